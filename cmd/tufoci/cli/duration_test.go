package cli

import (
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/period"
)

func TestFormatTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	for want, in := range map[string]time.Time{
		"2026-12-01T00:00Z (in 7d 4h)":     time.Date(2026, 12, 1, 1, 0, 0, 0, time.FixedZone("", 3600)),
		"2026-08-28T19:25:56Z (87d ago)":   time.Date(2026, 8, 28, 19, 25, 56, 0, time.UTC),
		"2026-11-23T20:00Z (0s ago)":       now,
		"-":                                {},
		"2026-11-23T20:01:30Z (in 1m 30s)": now.Add(90 * time.Second),
	} {
		if got := formatTime(in, now); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

// What a flag shows as its default can be typed again.
func TestSpanRoundTrip(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{5 * time.Minute, 36 * time.Hour, 7 * day, 365 * day, 90 * time.Second, 1500 * time.Millisecond} {
		v := span(d)
		if got, err := period.Parse(v.String()); err != nil || got != d {
			t.Errorf("%v is shown as %q and read as %v, %v", d, v.String(), got, err)
		}
	}
}
