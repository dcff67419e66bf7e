package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"oras.land/oras-go/v2/errdef"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Held is the trust that a destination holds.
type Held struct {
	// Timestamp is its version, 0 if nothing is there.
	Timestamp int64
	// Expires is when the first of root, timestamp, snapshot and targets does.
	Expires time.Time
}

// Hold reads what a destination holds and verifies it from the root of a view, expired
// or not.
func Hold(ctx context.Context, view *trust.View, to Destination, now func() time.Time) (Held, error) {
	tag := cmp.Or(to.Tag, ociremote.DefaultChannel)
	if _, err := to.Trust.Resolve(ctx, tag); errors.Is(err, ociremote.ErrNotFound) || errors.Is(err, errdef.ErrNotFound) {
		return Held{}, nil
	}
	root, err := rootOf(view)
	if err != nil {
		return Held{}, err
	}
	client, err := trust.New(root, trust.Options{Source: trust.RepositorySource(to.Trust, tag), Now: now, AllowExpired: true, Limits: view.Limits()})
	if err != nil {
		return Held{}, err
	}
	there, err := client.Refresh(ctx)
	if err != nil {
		return Held{}, fmt.Errorf("what the mirror holds: %w", err)
	}
	st := there.Status()
	h := Held{Timestamp: st.Timestamp.Version, Expires: st.Root.Expires}
	for _, role := range []trust.RoleStatus{st.Timestamp, st.Snapshot, st.Targets} {
		if role.Expires.Before(h.Expires) {
			h.Expires = role.Expires
		}
	}
	return h, nil
}
