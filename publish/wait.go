package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// pollEvery is how often a publisher that waits for another looks, about: half
// of it is jitter, so that several who wait do not look at the same moment.
const pollEvery = 2 * time.Second

var (
	// errAtWork says of a claim that its publisher may be at work.
	errAtWork = errors.New("its publisher may be at work")
	// errWaited ends a plan because another publisher was waited for.
	errWaited = errors.New("another publisher was at work")
)

// Pause is a moment between two looks at what another publisher does, within
// what is left to wait; 0 if nothing is.
func Pause(left time.Duration) time.Duration {
	return max(0, min(left, pollEvery/2+rand.N(pollEvery)))
}

// wait lets another publisher go on, and returns errWaited; nil if there is no
// time left, or for a plan that is only shown.
func (p *publication) wait(ctx context.Context) error {
	pause := Pause(p.left)
	if pause == 0 || p.o.DryRun {
		return nil
	}
	p.left -= pause
	if err := p.o.Sleep(ctx, pause); err != nil {
		return fmt.Errorf("waiting for another publisher: %w", err)
	}
	return errWaited
}
