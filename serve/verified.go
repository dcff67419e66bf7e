package serve

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tufoci/tufoci/trust"
)

// Clients in the middle of a refresh, or about to get a target file that they have
// looked up, still find what belongs to the states before the present one.
const (
	keptStates = 8
	keptTime   = 15 * time.Minute // after it was replaced
)

// verified is a repository that is verified from a pin.
type verified struct {
	o         Options
	refresher *trust.Refresher
	// carried are the roots below the pin, once they could be read. They are not
	// asked for again: nothing of theirs may change.
	carried     []trust.File
	carriedRead bool
	failed      error // of the last refresh

	mu     sync.RWMutex
	states []*state // newest first
}

// state is one verified state of the repository. Only replaced changes.
type state struct {
	view     *trust.View
	sums     [2]string // of root and timestamp
	files    map[string]*file
	complete bool // nothing is left to try again
	replaced time.Time
}

func openVerified(ctx context.Context, o Options) (contents, error) {
	client, err := trust.New(o.Root, o.Trust)
	if err != nil {
		return nil, err
	}
	v := &verified{o: o}
	life, end := context.WithCancel(ctx)
	v.refresher, err = trust.NewRefresher(life, client, trust.RefresherOptions{
		Min: min(pace, o.Refresh), Max: o.Refresh, Jitter: jitter,
		OnRefresh: func(view *trust.View, err error) { v.refreshed(life, view, err) },
	})
	if err != nil {
		end()
		return nil, err
	}
	context.AfterFunc(ctx, end)
	if v.newest() == nil {
		end()
		<-v.refresher.Done()
		return nil, v.failed
	}
	return v, nil
}

func (v *verified) follow(context.Context) { <-v.refresher.Done() }

// refreshed is told about each refresh, one after the other.
func (v *verified) refreshed(ctx context.Context, view *trust.View, err error) {
	r := Refreshed{Err: err}
	if err == nil {
		r, err = v.adopt(ctx, view)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r = Refreshed{Err: err}
		v.failed = err
	}
	v.o.OnRefresh(r)
}

// adopt makes a view the one that is served. A delegated role that cannot be read or
// verified does not hold up the others; it is tried again at the next refresh.
func (v *verified) adopt(ctx context.Context, view *trust.View) (Refreshed, error) {
	if b := view.Bundle(); b != nil && b.Partial {
		return Refreshed{}, fmt.Errorf("%w: %s", ErrPartial, view.Status().SourceRef)
	}
	st := view.Status()
	sums := [2]string{st.Root.SHA256, st.Timestamp.SHA256}
	current := v.newest()
	if current != nil && current.complete && current.sums == sums {
		return Refreshed{Status: &st}, nil
	}
	inv, err := view.Inventory(ctx)
	if err != nil {
		return Refreshed{}, err
	}
	v.readCarried(ctx, view)
	v.put(&state{
		view: view, sums: sums, files: catalogue(view, inv, v.carried),
		complete: len(inv.Missing) == 0 && v.carriedRead,
	})
	return Refreshed{Status: &st, Changed: current == nil || current.sums != sums, Missing: inv.Missing}, nil
}

func (v *verified) readCarried(ctx context.Context, view *trust.View) {
	if v.carriedRead {
		return
	}
	roots, err := view.CarriedRoots(ctx)
	if err != nil {
		v.o.Trust.Warn(fmt.Sprintf("the roots below the pin cannot be read: %v", err))
		return
	}
	v.carried, v.carriedRead = roots, true
}

// put makes a state the newest, and forgets the oldest.
func (v *verified) put(s *state) {
	now := v.o.Trust.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	kept := []*state{s}
	for i, old := range v.states {
		if i == 0 {
			old.replaced = now
		}
		if len(kept) < keptStates && now.Sub(old.replaced) < keptTime {
			kept = append(kept, old)
		}
	}
	v.states = kept
}

func (v *verified) newest() *state {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if len(v.states) == 0 {
		return nil
	}
	return v.states[0]
}

// usable judges the newest state.
func (v *verified) usable() error { return v.newest().view.Usable() }

// find looks in the newest state first. The others have no timestamp to give.
func (v *verified) find(title string) *file {
	v.mu.RLock()
	defer v.mu.RUnlock()
	now := v.o.Trust.Now()
	var missing *file
	for i, s := range v.states {
		f := s.files[title]
		switch {
		case f == nil || i > 0 && now.Sub(s.replaced) >= keptTime:
		case f.missing == nil:
			return f
		case missing == nil:
			missing = f
		}
	}
	return missing
}
