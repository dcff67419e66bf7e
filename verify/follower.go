package verify

import (
	"context"
	"strings"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
)

// follower is one trust of a Verifier.
type follower struct {
	Trust
	opts   Options
	stored *memo[*trust.View] // what was known before anything was asked
	turn   chan struct{}      // holds a token while nobody refreshes
	newest *sight
}

func newFollower(t Trust, o Options) *follower {
	f := &follower{Trust: t, opts: o, stored: newMemo[*trust.View](), turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f
}

// sight is one look at a trust: its view, or why there is none, and what is read
// of it. All images share one, until somebody needs a newer one.
type sight struct {
	view        *trust.View
	err         error
	revocations *memo[*material.Revocations]
	material    *memo[*Material]
}

// see returns a look at the trust that is not the one given, the first one for
// nil. It refreshes if nobody has done so meanwhile.
func (f *follower) see(ctx context.Context, not *sight) *sight {
	select {
	case <-f.turn:
	case <-ctx.Done():
		return &sight{err: ctx.Err()}
	}
	defer func() { f.turn <- struct{}{} }()
	if f.newest != nil && f.newest != not {
		return f.newest
	}
	s := &sight{
		revocations: newMemo[*material.Revocations](), material: newMemo[*Material](),
	}
	if f.opts.Offline {
		s.view, s.err = f.Client.Load(ctx)
	} else {
		s.view, s.err = f.Client.Refresh(ctx)
	}
	if s.err == nil && !s.view.Status().Verified {
		s.err = ErrUnverifiedTrust
	}
	if s.err == nil || ctx.Err() == nil {
		f.newest = s
	}
	return s
}

// guess is the entry of a name by what is known without a request; nil if nothing
// is. It is used to ask for things early, and never believed.
func (f *follower) guess(ctx context.Context, name string) *trust.Target {
	view := f.refreshed()
	if view == nil {
		var err error
		if view, err = f.stored.get(ctx, f.Client.Load); err != nil {
			return nil
		}
	}
	t, err := view.Lookup(ctx, name)
	if err != nil {
		return nil
	}
	return t
}

// refreshed is the newest view that there is without waiting; nil if there is none.
func (f *follower) refreshed() *trust.View {
	select {
	case <-f.turn:
		defer func() { f.turn <- struct{}{} }()
		if f.newest != nil {
			return f.newest.view
		}
	default:
	}
	return nil
}

// readRevocations reads them once.
func (s *sight) readRevocations(ctx context.Context) (*material.Revocations, error) {
	return s.revocations.get(ctx, s.view.Revocations)
}

// load reads the material once.
func (f *follower) load(ctx context.Context, s *sight) (*Material, error) {
	return s.material.get(ctx, func(ctx context.Context) (*Material, error) {
		revocations, err := s.readRevocations(ctx)
		if err != nil {
			return nil, err
		}
		return load(ctx, s.view, f.Scopes, revocations, f.opts.Now)
	})
}

// inHost cuts the host off a canonical repository: names of targets have none.
func inHost(canonical string) string {
	_, repository, _ := strings.Cut(canonical, "/")
	return repository
}
