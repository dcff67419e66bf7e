package doctor

import (
	"testing"
	"time"
)

// A role that nobody has verified tells the time only within bounds, and in words that fit a line.
func FuzzSignedClock(f *testing.F) {
	for _, s := range []string{
		`{"signed":{"expires":"2027-01-01T00:00:00Z","x-tufoci-expires":3600}}`, `{"signed":{"expires":"0001-01-01T00:00:00Z","x-tufoci-expires":3153600000}}`,
		`{"signed":{"x-tufoci-expires":-1}}`, `{"signed":{"expires":"9999-12-31T23:59:59Z","x-tufoci-expires":1}}`, `null`,
	} {
		f.Add([]byte(s))
	}
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		c := checkSigned("timestamp", data, now)
		if c.Area != AreaClock || c.Status == "" || c.Found == "" || len(c.Found) > 200 {
			t.Fatalf("%+v", c)
		}
	})
}
