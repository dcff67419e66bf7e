package publish

import (
	"context"
	"errors"
	"time"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// BesideState is how far one copy is.
type BesideState struct {
	Name, Tag string
	// Version and Expires are of the timestamp of the copy; zero if there is none, or
	// none that verifies.
	Version int64
	Expires time.Time
	// Lags: it is older than the view by more than half of the timestamp's life, or of
	// before a root that ended its versions, or does not exist, or does not verify.
	Lags bool
	// Err is why the copy could not be read, does not verify, or is not older but
	// newer than the view: [trust.ErrRollback], or beside it: [ErrFork].
	Err error
}

// CheckBeside reads the copies, at the same time, and writes nothing. The results
// are in the order of the copies.
func CheckBeside(ctx context.Context, view *trust.View, copies []BesideCopy, o BesideOptions) []BesideState {
	k := newKeeper(ctx, view, o)
	life := lifeOf(ctx, view, k.o.Now())
	states := make([]BesideState, len(copies))
	k.each(copies, func(n int, c BesideCopy) { states[n] = k.check(ctx, c, life) })
	return states
}

func (k *keeper) check(ctx context.Context, c BesideCopy, life time.Duration) BesideState {
	place, old, err := k.find(ctx, k.destination(c))
	s := BesideState{Name: c.Name, Tag: place.channel}
	home := k.status.Timestamp
	switch {
	case errors.Is(err, ociremote.ErrNotModified):
		s.Version, s.Expires = home.Version, home.Expires
		return s
	case err == nil && old == nil:
		s.Lags = true
		return s
	}
	var there trust.RoleStatus
	if err == nil {
		there, err = k.verified(ctx, place, old)
	}
	if err != nil && there.Version == 0 {
		// What cannot be reached may be as it should be.
		s.Err, s.Lags = err, !unreachable(err)
		return s
	}
	s.Version, s.Expires, s.Err = there.Version, there.Expires, err
	s.Lags = home.Expires.Sub(there.Expires) > life/2 || err == nil && there.Version > home.Version
	return s
}

// verified is the timestamp of a copy, whether it has expired or not. The error may
// be that it is not behind the view.
func (k *keeper) verified(ctx context.Context, place *destination, old *ociremote.Bundle) (trust.RoleStatus, error) {
	c, err := k.cargo()
	if err != nil {
		return trust.RoleStatus{}, err
	}
	m := &mirroring{original: c.original, dst: place}
	_, view, err := m.live(ctx, old, k.o.Now())
	if err != nil {
		return trust.RoleStatus{}, err
	}
	there := view.Status()
	return there.Timestamp, c.notBehind(there, place.channel, c.candidate.bundle.Descriptor.Digest, old.Descriptor.Digest)
}

// unreachable reports that an error is about the way to a registry.
func unreachable(err error) bool {
	_, transport := errors.AsType[*ociremote.TransportError](err)
	_, auth := errors.AsType[*ociremote.AuthError](err)
	return transport || auth || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// lifeOf is how long a timestamp lives: what it says of itself, else, of another
// program's, what is left of it.
func lifeOf(ctx context.Context, view *trust.View, now time.Time) time.Duration {
	if data, err := view.Metadata(ctx, "timestamp"); err == nil {
		if _, life, ok := metadata.MadeAt(data); ok {
			return life
		}
	}
	return max(0, view.Status().Timestamp.Expires.Sub(now))
}
