package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// MonitorOptions steer [Monitor]. The zero value works.
type MonitorOptions struct {
	// Channel is the tag that is read; default [ociremote.DefaultChannel].
	Channel string
	// ValidFor is how much life every role must have left. Zero: what it has
	// if whoever renews it does so in time, see [metadata.RoleLife.Floor].
	ValidFor time.Duration
	// Seen is what was seen before: the head may be older than none of it.
	Seen []trust.Seen
	// Base is what was published from a workspace last, nil if that is not
	// known: the head must not be older, and be built on it.
	Base *metadata.Head
	// History is how many of the newest history tags are looked at for forks and
	// dead claims; 0: none, see [History].
	History int
	// ClientsFrom are versions of root: does a client that has one still reach the
	// head? None may be above the newest.
	ClientsFrom []int64
	// Beside says which copies to look at, given the head; nil: none.
	Beside func(ctx context.Context, view *trust.View) ([]BesideCopy, error)
	// Concurrency is how many copies are read at the same time; default 5.
	Concurrency int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what is no failure but should be read; nil: nobody is.
	Warn func(string)
}

// Health is the health of a repository.
type Health struct {
	// View is the head, verified at the last moment at which all of it was
	// current.
	View   *trust.View
	Digest digest.Digest
	// RootSHA256 is the hex checksum of the pinned root.
	RootSHA256 string
	Roles      []RoleHealth
	Beside     []BesideState
	// Timeline are the newest bundles; nil if they were not asked for, or could not
	// be read, which is a warning.
	Timeline *Timeline
	// Fork: what was published from the workspace last is no ancestor of the head.
	Fork *ForkError
	// Clients are those that were asked for, in that order.
	Clients []ClientHealth
}

// RoleHealth is the health of one role.
type RoleHealth struct {
	metadata.RoleLife
	// Left is the life that it has left, negative once it has expired; Floor
	// is what it must have.
	Left, Floor time.Duration
}

// Short reports whether the role has too little life left.
func (r RoleHealth) Short() bool { return r.Left < r.Floor }

// Forks are the forks of the history that was read, newest first.
func (h *Health) Forks() []HistoryEntry {
	if h.Timeline == nil {
		return nil
	}
	return h.Timeline.Of(StateFork)
}

// Overwrites are the forks that somebody has to see to: changes are lost, or the head
// was put back. Where two refreshes signed one version in the same moment, the one that
// lost leaves a fork of which nothing is missed.
func (h *Health) Overwrites() []HistoryEntry {
	return slices.DeleteFunc(h.Forks(), func(e HistoryEntry) bool {
		return len(e.Lost) == 0 && e.Versions.Timestamp <= h.View.Status().Timestamp.Version
	})
}

// OK reports whether no role is short, no copy lags, nothing was overwritten and no
// client is cut off.
func (h *Health) OK() bool {
	if h.Fork != nil || len(h.Overwrites()) > 0 {
		return false
	}
	for _, c := range h.Clients {
		if c.Err != nil {
			return false
		}
	}
	for _, role := range h.Roles {
		if role.Short() {
			return false
		}
	}
	for _, c := range h.Beside {
		if c.Lags {
			return false
		}
	}
	return true
}

// Monitor verifies the head from pin, any root of the repository, and says how
// long each role will last, how far the copies next to images are, what was overwritten
// and which clients are cut off. It writes nothing. An expired head is a result and no
// error.
//
// Errors: [trust.ErrWrongRoot], [trust.ErrRollback] and whatever else keeps the
// head from verifying; [ErrForeignTag]; [ociremote.ErrNotFound].
func Monitor(ctx context.Context, pin []byte, repo ociremote.Repository, o MonitorOptions) (*Health, error) {
	if o.Channel == "" {
		o.Channel = ociremote.DefaultChannel
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h, err := monitoredHead(ctx, pin, repo, o)
	if err != nil {
		return nil, err
	}
	known, err := h.metadata(ctx)
	if err != nil {
		return nil, err
	}
	lives, err := metadata.Lives(known)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(pin)
	result := &Health{View: h.view, Digest: h.digest(), RootSHA256: hex.EncodeToString(sum[:])}
	for _, l := range lives {
		role := RoleHealth{RoleLife: l, Left: l.Expires.Sub(o.Now()), Floor: o.ValidFor}
		if role.Floor == 0 {
			role.Floor = l.Floor()
		}
		result.Roles = append(result.Roles, role)
	}
	if err := o.past(ctx, pin, repo, h, result); err != nil {
		return nil, err
	}
	if result.Clients, err = clientsFrom(ctx, h, o.ClientsFrom, o.Now()); err != nil {
		return nil, err
	}
	if o.Beside != nil {
		copies, err := o.Beside(ctx, h.view)
		if err != nil {
			return nil, err
		}
		result.Beside = CheckBeside(ctx, h.view, copies, BesideOptions{Concurrency: o.Concurrency, Now: o.Now, Warn: o.Warn})
	}
	return result, nil
}

// past looks at what the head was built on, and at what else is in the history.
func (o MonitorOptions) past(ctx context.Context, pin []byte, repo ociremote.Repository, h *head, result *Health) error {
	if o.Base != nil {
		from, err := newAnchor(pin)
		if err != nil {
			return err
		}
		p, err := newPublication(nil, from, o.Base, readOnly{repo}, Options{Channel: o.Channel, Now: o.Now, Warn: o.Warn})
		if err != nil {
			return err
		}
		var ok bool
		if err := p.checkFork(ctx, h); err != nil {
			if result.Fork, ok = errors.AsType[*ForkError](err); !ok {
				return err
			}
		}
	}
	if o.History == 0 {
		return nil
	}
	timeline, err := historyOf(ctx, pin, repo, h, HistoryOptions{Channel: o.Channel, Max: o.History, Concurrency: o.Concurrency, Now: o.Now})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		if o.Warn != nil {
			o.Warn(fmt.Sprintf("forks and dead claims are not known: %v", err))
		}
		return nil
	}
	result.Timeline = timeline
	return nil
}

// monitoredHead reads and verifies the head.
func monitoredHead(ctx context.Context, pin []byte, repo ociremote.Repository, o MonitorOptions) (*head, error) {
	from, err := newAnchor(pin)
	if err != nil {
		return nil, err
	}
	from.seen = o.Seen
	if o.Base != nil {
		base, err := newPublished(o.Base)
		if err != nil {
			return nil, err
		}
		from.seen = append(slices.Clip(o.Seen), base.seen())
	}
	b, err := fetchHead(ctx, repo, o.Channel, ociremote.Known{})
	switch {
	case err != nil:
		return nil, err
	case b == nil:
		return nil, noHead(o.Channel)
	}
	if theirs, ok := from.in(b); !ok {
		return nil, from.wrong(o.Channel, theirs)
	}
	return from.verify(ctx, b, &shown{behind: repo}, o.Channel, o.Now())
}
