package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tufoci/tufoci/internal/period"
)

const day = period.Day

// span is a flag value for a length of time: 90s, 36h, 7d, 2w, 1y, or several
// of them (1d12h).
type span time.Duration

func (d *span) Set(s string) error {
	v, err := period.Parse(s)
	*d = span(v)
	return err
}

func (d *span) Type() string { return "duration" }

func (d *span) String() string {
	if *d == 0 {
		return ""
	}
	return period.Format(time.Duration(*d))
}

// formatSpan prints the two largest units of a length of time, as in "7d 4h".
func formatSpan(d time.Duration) string {
	if d < 0 {
		return "-" + formatSpan(-d)
	}
	units := []struct {
		name string
		size time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		out := fmt.Sprintf("%d%s", d/u.size, u.name)
		if i+1 < len(units) {
			if next := (d % u.size) / units[i+1].size; next > 0 {
				out += fmt.Sprintf(" %d%s", next, units[i+1].name)
			}
		}
		return out
	}
	return "0s"
}

// instant is a flag value for a point in time, RFC 3339.
type instant struct{ time.Time }

func (t *instant) Set(s string) error {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		if v, err = time.Parse("2006-01-02T15:04Z07:00", s); err != nil {
			return fmt.Errorf("time %q: want RFC 3339, for example 2026-12-01T00:00:00Z", s)
		}
	}
	t.Time = v.UTC()
	return nil
}

func (t *instant) Type() string { return "time" }

func (t *instant) String() string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// formatTime prints a point in time in UTC with what is left of it, as in
// "2026-12-01T00:00Z (in 7d 4h)".
func formatTime(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	layout := "2006-01-02T15:04Z"
	if t.Second() != 0 {
		layout = "2006-01-02T15:04:05Z"
	}
	return t.UTC().Format(layout) + " (" + formatLeft(t, now) + ")"
}

// formatLeft prints the way from now to t: "in 7d 4h" or "87d ago".
func formatLeft(t, now time.Time) string {
	if d := t.Sub(now); d > 0 {
		return "in " + formatSpan(d)
	}
	return formatSpan(now.Sub(t)) + " ago"
}

// moment is a point in time in JSON: RFC 3339 in UTC, "" for none.
type moment struct{ time.Time }

// MarshalJSON implements [json.Marshaler].
func (m moment) MarshalJSON() ([]byte, error) {
	if m.IsZero() {
		return []byte(`""`), nil
	}
	return json.Marshal(m.UTC().Truncate(time.Second))
}

// expiry says when something ends or has ended: "expires in 7d 4h".
func expiry(t, now time.Time) string {
	if t.After(now) {
		return "expires " + formatLeft(t, now)
	}
	return "expired " + formatLeft(t, now)
}

// joinWords lists words as in "a, b and c".
func joinWords(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
