package verify

import (
	"context"
	"errors"
	"time"
)

// The pause before an image is tried again: at first a fraction of the wait, up to
// minPause, then twice as long each time up to maxPause.
const (
	minPause    = time.Second
	maxPause    = 15 * time.Second
	firstPauses = 16
)

// persist tries an image until something vouches for it, or the wait is over. Each
// try asks anew, for the trusts too.
func (v *Verifier) persist(ctx context.Context, r *Result) {
	over := time.NewTimer(v.opts.Wait)
	defer over.Stop()
	pause := min(minPause, v.opts.Wait/firstPauses)
	seen := map[string]*sight{}
	for {
		v.attempt(ctx, r, seen)
		if v.opts.Wait == 0 || !errors.Is(r.Err, ErrNotVouched) {
			return
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-over.C:
			again.Stop()
			return
		case <-ctx.Done():
			again.Stop()
			return
		}
		pause = min(2*pause, maxPause)
	}
}
