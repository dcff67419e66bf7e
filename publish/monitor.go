package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	// MinTimestamp is the least timestamp version that the head may have, as
	// seen before.
	MinTimestamp int64
	// Base is what was published from a workspace last, nil if that is not
	// known: the head must not be older.
	Base *metadata.Head
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

// OK reports whether no role is short and no copy lags.
func (h *Health) OK() bool {
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
// long each role will last, and how far the copies next to images are. It
// writes nothing. An expired head is a result and no error.
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
	if o.Beside != nil {
		copies, err := o.Beside(ctx, h.view)
		if err != nil {
			return nil, err
		}
		result.Beside = CheckBeside(ctx, h.view, copies, BesideOptions{Concurrency: o.Concurrency, Now: o.Now, Warn: o.Warn})
	}
	return result, nil
}

// monitoredHead reads and verifies the head.
func monitoredHead(ctx context.Context, pin []byte, repo ociremote.Repository, o MonitorOptions) (*head, error) {
	from, err := newAnchor(pin)
	if err != nil {
		return nil, err
	}
	from.minTimestamp = o.MinTimestamp
	if o.Base != nil {
		base, err := newPublished(o.Base)
		if err != nil {
			return nil, err
		}
		from.minTimestamp = max(from.minTimestamp, base.version)
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
