package metadata

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

const day = 24 * time.Hour

var (
	periodPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(y|w|d|h|ms|m|s)`)
	periodUnit = map[string]time.Duration{
		"y": 365 * day, "w": 7 * day, "d": day, "h": time.Hour, "m": time.Minute,
		"s": time.Second, "ms": time.Millisecond,
	}
)

// ParsePeriod reads a length of time: 90s, 36h, 7d, 2w, 1y, or several of them (1d12h). A year has 365 days. It must be
// more than nothing and at most 100 years. ErrInvalid.
func ParsePeriod(s string) (time.Duration, error) {
	var total float64
	rest := s
	for rest != "" {
		part := periodPart.FindStringSubmatch(rest)
		if part == nil {
			return 0, fmt.Errorf("%w length of time %q: want for example 36h, 7d, 2w or 1y", ErrInvalid, s)
		}
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%w length of time %q: %w", ErrInvalid, s, err)
		}
		total += n * float64(periodUnit[part[2]])
		rest = rest[len(part[0]):]
	}
	if total <= 0 || total > float64(100*365*day) {
		return 0, fmt.Errorf("%w length of time %q: want more than nothing and at most 100y", ErrInvalid, s)
	}
	return time.Duration(math.Round(total)), nil
}

// FormatPeriod writes a length of time so that ParsePeriod reads the same: in days, hours or minutes where these are
// whole.
func FormatPeriod(d time.Duration) string {
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}} {
		if d >= u.size && d%u.size == 0 {
			return fmt.Sprintf("%d%s", d/u.size, u.name)
		}
	}
	return d.String()
}
