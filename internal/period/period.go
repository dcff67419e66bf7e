// Package period reads and writes lengths of time as tufoci's files and flags
// have them: 90s, 36h, 7d, 2w, 1y.
package period

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

// Day has 24 hours, a year 365 days.
const Day = 24 * time.Hour

// Longest is the greatest length of time that is taken.
const Longest = 100 * 365 * Day

var (
	part = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(y|w|d|h|ms|m|s)`)
	unit = map[string]time.Duration{
		"y": 365 * Day, "w": 7 * Day, "d": Day, "h": time.Hour, "m": time.Minute,
		"s": time.Second, "ms": time.Millisecond,
	}
)

// Parse reads a length of time, of one part or of several (1d12h). It must be
// more than nothing and at most 100 years.
func Parse(s string) (time.Duration, error) {
	var total float64
	for rest := s; rest != ""; {
		m := part.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf("length of time %q: want for example 36h, 7d, 2w or 1y", s)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, fmt.Errorf("length of time %q: %w", s, err)
		}
		total += n * float64(unit[m[2]])
		rest = rest[len(m[0]):]
	}
	if total <= 0 || total > float64(Longest) {
		return 0, fmt.Errorf("length of time %q: want more than nothing and at most 100y", s)
	}
	return time.Duration(math.Round(total)), nil
}

// Format writes a length of time so that Parse reads the same: in days, hours or
// minutes where these are whole. Nothing is "0s", which Parse refuses.
func Format(d time.Duration) string {
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"d", Day}, {"h", time.Hour}, {"m", time.Minute}} {
		if d >= u.size && d%u.size == 0 {
			return fmt.Sprintf("%d%s", d/u.size, u.name)
		}
	}
	if d > -time.Millisecond && d < time.Millisecond && d != 0 {
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', -1, 64) + "ms" // Parse has no µs
	}
	return d.String()
}
