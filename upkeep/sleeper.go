package upkeep

import (
	"context"
	"time"

	"github.com/tufoci/tufoci/internal/pause"
)

// longestSleep is how often a sleeper looks at the clock: a machine that was
// suspended, or whose clock was set, is not late for longer.
const longestSleep = time.Minute

// sleeper waits by the clock of the world.
type sleeper struct {
	now func() time.Time
}

// wait sleeps until the clock shows until, and never longer than that was away when
// it began: a clock that is set back does not stop the loop.
func (s sleeper) wait(ctx context.Context, until time.Time) error {
	awake := time.Now().Add(until.Sub(s.now()))
	for {
		left := min(until.Sub(s.now()), time.Until(awake), longestSleep)
		if ctx.Err() != nil || left <= 0 {
			return ctx.Err()
		}
		_ = pause.For(ctx, left)
	}
}
