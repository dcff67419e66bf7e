package doctor

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// The registry's Date has whole seconds, and its answer takes a while: neither is skew.
func TestCheckDate(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	header := http.Header{"Date": {date.Format(http.TimeFormat)}}
	for off, want := range map[time.Duration]Status{
		0: OK, 900 * time.Millisecond: OK, MaxSkew: OK, MaxSkew + time.Second: OK, MaxSkew + 3*time.Second: Fail,
		-MaxSkew: OK, -MaxSkew - 2*time.Second: Fail, -time.Hour: Fail, time.Hour: Fail,
	} {
		c := checkDate(header, date.Add(off), date.Add(off+20*time.Millisecond))
		if c.Status != want || errors.Is(c.Err, ErrClock) != (want == Fail) {
			t.Errorf("%v: %+v", off, c)
		}
	}
	if c := checkDate(http.Header{}, date, date); c.Status != Skipped {
		t.Errorf("%+v", c)
	}
}

// A role that tufoci made says when it was signed; others do not, and are not guessed at.
func TestCheckSigned(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ours := `{"signed":{"expires":"2026-11-30T12:00:00Z","x-tufoci-expires":604800}}`
	for name, c := range map[string]struct {
		data string
		now  time.Time
		want Status
	}{
		"later":         {ours, at.Add(time.Hour), OK},
		"a bit earlier": {ours, at.Add(-MaxSkew), OK},
		"too early":     {ours, at.Add(-MaxSkew - time.Second), Fail},
		"no period":     {`{"signed":{"expires":"2026-11-30T12:00:00Z"}}`, at.Add(-time.Hour), Skipped},
		"negative":      {`{"signed":{"expires":"2026-11-30T12:00:00Z","x-tufoci-expires":-1}}`, at, Skipped},
		"endless":       {`{"signed":{"expires":"2026-11-30T12:00:00Z","x-tufoci-expires":9223372036854775807}}`, at, Skipped},
		"no JSON":       {`{`, at, Skipped},
	} {
		if got := checkSigned("timestamp", []byte(c.data), c.now); got.Status != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
