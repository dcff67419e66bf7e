package metadata

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tufoci/tufoci/internal/period"
)

// Window is how little of its life a role has left when it is renewed: a length of time, or a share of its period. The
// zero value is what each role states.
type Window struct {
	Left    time.Duration
	Percent int // 1 to 100; counts if Left is 0
}

// ParseWindow reads a length of time (24h) or a share (50%). ErrInvalid.
func ParseWindow(s string) (Window, error) {
	if share, ok := strings.CutSuffix(s, "%"); ok {
		n, err := strconv.Atoi(share)
		if err != nil || n < 1 || n > 100 {
			return Window{}, fmt.Errorf("%w window %q: a share is 1%% to 100%%", ErrInvalid, s)
		}
		return Window{Percent: n}, nil
	}
	d, err := period.Parse(s)
	if err != nil {
		return Window{}, fmt.Errorf("%w window: %w", ErrInvalid, err)
	}
	return Window{Left: d}, nil
}

// of is the window of a role.
func (w Window) of(l life) time.Duration {
	switch {
	case w.Left > 0:
		return w.Left
	case w.Percent > 0:
		return l.period / 100 * time.Duration(w.Percent)
	}
	return l.renewWithin
}
