package verify

import (
	"context"
	"errors"
	"strings"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
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
	s := newSight(f.look(ctx))
	if s.err == nil || ctx.Err() == nil {
		f.newest = s
	}
	return s
}

// look reads home, or the state if no network is to be used.
func (f *follower) look(ctx context.Context) (*trust.View, error) {
	switch {
	case f.opts.Offline:
		return f.Client.Load(ctx)
	case f.Fallback == trust.FallbackNone:
		return f.Client.Refresh(ctx)
	default:
		return f.Client.RefreshIfReachable(ctx)
	}
}

// newSight is a look at a view, or at why there is none.
func newSight(view *trust.View, err error) *sight {
	if err == nil && !view.Status().Verified {
		err = ErrUnverifiedTrust
	}
	return &sight{view: view, err: err, revocations: newMemo[*material.Revocations](), material: newMemo[*Material]()}
}

// wantsCopies reports whether what lies next to an image may answer, given what home
// has: if that could not be reached, or there is none, or no network is to be used.
func (f *follower) wantsCopies(home *sight) bool {
	switch {
	case f.Fallback == trust.FallbackNone:
		return false
	case f.opts.Offline:
		return true
	default:
		return errors.Is(home.err, trust.ErrNoHome) || trust.IsUnreachable(home.err)
	}
}

// expectsCopies is what wantsCopies will probably say.
func (f *follower) expectsCopies(ctx context.Context) bool {
	if f.Fallback == trust.FallbackNone {
		return false
	}
	if s := f.latest(); s != nil {
		return f.wantsCopies(s)
	}
	return f.opts.Offline || !f.Client.HasHome() || f.Client.Unreachable(ctx) != nil
}

// guess is the entry of an image by what is known without a request; nil if nothing
// is. It is used to ask for things early, and never believed.
func (f *follower) guess(ctx context.Context, canonical string, image ociremote.ImageReference) *Mapping {
	name := trust.ImageTag(inHost(canonical), image.Tag)
	if image.Digest != "" {
		name = trust.ImageDigest(inHost(canonical), image.Digest.String())
	}
	var view *trust.View
	if s := f.latest(); s != nil {
		view = s.view
	}
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
	m, err := newMapping(t)
	if err != nil {
		return nil
	}
	return &m
}

// latest is the newest look that there is without waiting; nil if there is none.
func (f *follower) latest() *sight {
	select {
	case <-f.turn:
		defer func() { f.turn <- struct{}{} }()
		return f.newest
	default:
		return nil
	}
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
