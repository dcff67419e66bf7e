package trust

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tufoci/tufoci/internal/pause"
)

// RefresherOptions of [NewRefresher]. The zero value works.
type RefresherOptions struct {
	// Fraction of the timestamp's remaining life after which it is refreshed;
	// default 1/4. The wait is between Min (default 1 minute) and Max (default 6
	// hours), and after a failure Min.
	Fraction float64
	Min, Max time.Duration
	// Jitter is the fraction, 0 to 1, by which each wait is made shorter or longer
	// at random, those of Min and Max too, so that many programs that started
	// together do not ask together for ever. Default 0: none.
	Jitter float64
	// OnRefresh is told about each attempt; nil: nobody is.
	OnRefresh func(*View, error)
}

// Refresher keeps the newest verified view of one client for programs that run
// for long. It is safe for concurrent use.
type Refresher struct {
	client *Client
	opts   RefresherOptions
	done   chan struct{}
	hurry  chan struct{} // a view that was asked for is past its expiry

	mu   sync.RWMutex
	view *View
	seen time.Time // when view was refreshed
}

// NewRefresher refreshes once and returns an error if that fails; afterwards it
// refreshes in the background until ctx ends.
func NewRefresher(ctx context.Context, c *Client, o RefresherOptions) (*Refresher, error) {
	if o.Fraction <= 0 || o.Fraction >= 1 {
		o.Fraction = 0.25
	}
	if o.Min <= 0 {
		o.Min = time.Minute
	}
	if o.Max < o.Min {
		o.Max = max(6*time.Hour, o.Min)
	}
	o.Jitter = min(max(o.Jitter, 0), 1)
	r := &Refresher{client: c, opts: o, done: make(chan struct{}), hurry: make(chan struct{}, 1)}
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	go r.run(ctx)
	return r, nil
}

// View returns the newest verified view. ErrExpired once it has expired, beyond
// the client's MaxStale, without a newer one; ErrClock if the clock was set back
// behind its refresh, so that what has expired would be fresh again. A view that is
// past its expiry but within MaxStale says so. Delegated roles are judged when they
// are used, so that one that expires meanwhile is refused. A view past its expiry is
// refreshed in the background as soon as Min is over since the last attempt.
func (r *Refresher) View() (*View, error) {
	r.mu.RLock()
	v, seen := r.view, r.seen
	r.mu.RUnlock()
	j := r.client.judge()
	if err := checkClock(j.now, info{Success: seen}); err != nil {
		return nil, err
	}
	stale, err := v.usable(j)
	if stale || err != nil {
		select {
		case r.hurry <- struct{}{}:
		default:
		}
	}
	if err != nil {
		return nil, err
	}
	if stale {
		v.warn(j, false)
	}
	return v, nil
}

// Done is closed once the background work has ended, after ctx has.
func (r *Refresher) Done() <-chan struct{} { return r.done }

func (r *Refresher) refresh(ctx context.Context) error {
	v, err := r.client.Refresh(ctx)
	if err == nil {
		v.clock = r.client.judge
		r.mu.Lock()
		r.view, r.seen = v, v.judge.now
		r.mu.Unlock()
	}
	if r.opts.OnRefresh != nil {
		r.opts.OnRefresh(v, err)
	}
	return err
}

func (r *Refresher) run(ctx context.Context) {
	defer close(r.done)
	var err error
	for {
		if r.rest(ctx, spread(r.wait(err), r.opts.Jitter, rand.Float64())) != nil {
			return
		}
		err = r.refresh(ctx)
	}
}

// rest waits for the next attempt. Timers stand still while a machine sleeps, and
// clocks jump: that a view which is past its expiry is asked for ends the wait, once
// Min is over.
func (r *Refresher) rest(ctx context.Context, wait time.Duration) error {
	select {
	case <-r.hurry: // was asked for before the last attempt
	default:
	}
	least := min(wait, r.opts.Min)
	if err := pause.For(ctx, least); err != nil {
		return err
	}
	timer := time.NewTimer(wait - least)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.hurry:
	case <-timer.C:
	}
	return nil
}

// wait returns how long to wait for the next attempt.
func (r *Refresher) wait(failed error) time.Duration {
	if failed != nil {
		return r.opts.Min
	}
	r.mu.RLock()
	expires := r.view.set.timestamp.Signed.Expires
	r.mu.RUnlock()
	left := float64(expires.Sub(r.client.judge().now))
	return min(max(time.Duration(left*r.opts.Fraction), r.opts.Min), r.opts.Max)
}

// spread makes a wait shorter or longer by up to a fraction of it. at is where in
// that range it comes to lie, 0 to 1.
func spread(wait time.Duration, jitter, at float64) time.Duration {
	return wait + time.Duration(float64(wait)*jitter*(2*at-1))
}
