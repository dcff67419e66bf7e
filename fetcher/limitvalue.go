package fetcher

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tufoci/tufoci/internal/period"
)

// errNoLimit: no limit has this name.
var errNoLimit = errors.New("no such limit")

// Set sets one limit by its name, to a value as people write it: 64MiB, 512KiB or a
// number of bytes, 5m, 32. The value "default" takes back what was set. An unknown
// name is refused with the list of those that there are, and a value above the
// ceiling of its limit with that ceiling.
func (l *Limits) Set(name, value string) error {
	limit, err := limitNamed(name)
	if err != nil {
		return err
	}
	if value == "default" {
		*limit.field(l) = 0
		return nil
	}
	n, err := limit.parse(value)
	if err != nil {
		return fmt.Errorf("limit %s: %w", name, err)
	}
	if n <= 0 || n > limit.Ceiling {
		return fmt.Errorf("limit %s: %s, want more than nothing and at most %s", name, value, limit.Format(limit.Ceiling))
	}
	*limit.field(l) = n
	return nil
}

func limitNamed(name string) (Limit, error) {
	var known []string
	for _, limit := range AllLimits() {
		if limit.Name == name {
			return limit, nil
		}
		known = append(known, limit.Name)
	}
	return Limit{}, fmt.Errorf("%w: %.64q; there are %s", errNoLimit, name, strings.Join(known, ", "))
}

// LimitNamed returns the limit of that name; false if there is none.
func LimitNamed(name string) (Limit, bool) {
	limit, err := limitNamed(name)
	return limit, err == nil
}

// Of returns the value of the limit in l; 0 stands for the default.
func (limit Limit) Of(l Limits) int64 { return *limit.field(&l) }

// Changed returns the limits that are set to something else than their default, in
// the form that [Limits.Set] reads, by name.
func (l Limits) Changed() map[string]string {
	changed := map[string]string{}
	for _, limit := range AllLimits() {
		if n := limit.Of(l); n != 0 && n != limit.Default {
			changed[limit.Name] = limit.Format(n)
		}
	}
	return changed
}

var sizeForm = regexp.MustCompile(`^([0-9]{1,18})(|B|KiB|MiB|GiB)$`)

// sizes are the units of bytes, the largest first.
var sizes = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (limit Limit) parse(value string) (int64, error) {
	switch limit.Unit {
	case UnitTime:
		d, err := period.Parse(value)
		if err != nil {
			return 0, fmt.Errorf("%.64q: want for example 90s, 5m or 1h, at most %s", value, limit.Format(limit.Ceiling))
		}
		return int64(d), nil
	case UnitCount:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%.64q: want a whole number", value)
		}
		return n, nil
	}
	m := sizeForm.FindStringSubmatch(value)
	if m == nil {
		return 0, fmt.Errorf("%.64q: want for example 64MiB, 512KiB or a number of bytes", value)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, err
	}
	for _, unit := range sizes {
		if m[2] != unit.name {
			continue
		}
		if n > limit.Ceiling/unit.size { // also what does not fit into 64 bits
			return limit.Ceiling + 1, nil
		}
		n *= unit.size
	}
	return n, nil
}

// Format writes a value of the limit so that [Limits.Set] reads the same.
func (limit Limit) Format(n int64) string {
	switch limit.Unit {
	case UnitTime:
		return period.Format(time.Duration(n))
	case UnitCount:
		return strconv.FormatInt(n, 10)
	}
	for _, unit := range sizes {
		if n >= unit.size && n%unit.size == 0 {
			return strconv.FormatInt(n/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
