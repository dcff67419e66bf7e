package trust

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const day = 24 * time.Hour

// period is a length of time in trust.yaml: "36h", "7d", "2w", "1y" of 365 days,
// or what time.ParseDuration reads. Whole days are written as days.
type period time.Duration

func parsePeriod(s string) (period, error) {
	for unit, length := range map[string]time.Duration{"d": day, "w": 7 * day, "y": 365 * day} {
		number, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n > uint64(100*365*day/length) {
			return 0, fmt.Errorf("length of time %q: want for example 36h, 7d, 2w or 1y", s)
		}
		return period(time.Duration(n) * length), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("length of time %q: want for example 36h, 7d, 2w or 1y", s)
	}
	return period(d), nil
}

// String is what parsePeriod reads.
func (p period) String() string {
	if d := time.Duration(p); d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return time.Duration(p).String()
}

// IsZero leaves out a period that is not set.
func (p period) IsZero() bool { return p == 0 }

// MarshalYAML implements yaml.Marshaler.
func (p period) MarshalYAML() (any, error) { return p.String(), nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *period) UnmarshalYAML(node *yaml.Node) (err error) {
	*p, err = parsePeriod(node.Value)
	return err
}
