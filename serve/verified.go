package serve

import (
	"context"
	"errors"
	"fmt"

	"github.com/tufoci/tufoci/trust"
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

	history history[*state]
}

// state is one verified state of the repository. It never changes.
type state struct {
	view     *trust.View
	sums     [2]string // of root and timestamp
	files    map[string]*file
	complete bool // nothing is left to try again
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
	if err := v.unready(ctx); err != nil {
		end()
		<-v.refresher.Done()
		return nil, err
	}
	return v, nil
}

// unready says why there is nothing to serve after the first refresh. One that ctx has
// ended was told to nobody, and is no state.
func (v *verified) unready(ctx context.Context) error {
	switch {
	case v.history.newest() != nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return v.failed
}

func (v *verified) follow(context.Context) { <-v.refresher.Done() }

// refreshed is told about each refresh, one after the other.
func (v *verified) refreshed(ctx context.Context, view *trust.View, err error) {
	r := Refreshed{Err: err}
	if err == nil {
		r, err = v.adopt(ctx, view)
	}
	if err != nil {
		if ctx.Err() != nil {
			return
		}
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
	current := v.history.newest()
	if current != nil && current.complete && current.sums == sums {
		return Refreshed{Status: &st}, nil
	}
	inv, err := view.Inventory(ctx)
	if err != nil {
		return Refreshed{}, err
	}
	v.readCarried(ctx, view)
	if err := ctx.Err(); err != nil {
		return Refreshed{}, err
	}
	v.history.put(&state{
		view: view, sums: sums, files: catalogue(view, inv, v.carried),
		complete: len(inv.Missing) == 0 && v.carriedRead,
	}, v.o.Trust.Now())
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

// usable judges the newest state. The refresher is asked first, which knows when it has
// last succeeded, and makes haste if its view has expired.
func (v *verified) usable() error {
	if _, err := v.refresher.View(); errors.Is(err, trust.ErrClock) {
		return err
	}
	return v.history.newest().view.Usable()
}

// find looks in the newest state first. A role that is missing there may be one of a
// state before.
func (v *verified) find(title string) *file {
	var missing *file
	for _, s := range v.history.all() {
		switch f := s.state.files[title]; {
		case f == nil:
		case f.missing == nil:
			return f
		case missing == nil:
			missing = f
		}
	}
	return missing
}
