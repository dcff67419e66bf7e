package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/trust"
)

// ClientHealth says whether a client that has one root still reaches the head.
type ClientHealth struct {
	// Root is the version of that root, SHA256 the hex checksum of its file.
	Root   int64
	SHA256 string
	// Carried: the root is older than the pinned one, so that nothing vouches for its
	// bytes. A client that has another root of that version goes its own way.
	Carried bool
	// Err is what stops the client; nil: it arrives.
	Err error
}

// clientsFrom walks as clients do that start from these roots: each root from there on
// has to be there, signed by the one before it, up to the head's.
func clientsFrom(ctx context.Context, h *head, versions []int64, now time.Time) ([]ClientHealth, error) {
	newest := h.view.Status().Root.Version
	var clients []ClientHealth
	for _, version := range versions {
		if version < 1 || version > newest {
			return nil, fmt.Errorf("root v%d: %w: the newest is v%d", version, ErrNoRoot, newest)
		}
		c, err := h.clientFrom(ctx, version, now)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// clientFrom is the walk from one root. An error is one of the way to the registry.
func (h *head) clientFrom(ctx context.Context, version int64, now time.Time) (ClientHealth, error) {
	c := ClientHealth{Root: version}
	root, verified := h.view.RootVersion(version)
	if !verified {
		c.Carried = true
		var err error
		if root, err = h.carriedRoot(ctx, version); err != nil {
			c.Err = err
			return c, onTheWay(ctx, err)
		}
	}
	c.SHA256 = digest.FromBytes(root).Encoded()
	for v := version; v <= h.view.Status().Root.Version; v++ {
		if _, ok := h.bundle.File(metadata.Title("root", v)); !ok {
			c.Err = lacksRoot(v)
			return c, nil
		}
	}
	_, view, err := seeOnce(ctx, root, &shown{behind: h.source.behind, blobs: h.source.kept()}, h.bundle, now)
	switch {
	case err != nil:
		c.Err = err
	case view.Status().Root.SHA256 != h.view.Status().Root.SHA256 || view.Status().Timestamp.SHA256 != h.view.Status().Timestamp.SHA256:
		c.Err = &trust.VerificationError{
			Kind: trust.ErrMismatch, Role: "root", Version: view.Status().Root.Version,
			Detail: fmt.Sprintf("a client that has root v%d arrives somewhere else", version),
		}
	}
	return c, onTheWay(ctx, c.Err)
}

// onTheWay is the error itself if it is one of the way to the registry, and nil if it is
// what a client would see.
func onTheWay(ctx context.Context, err error) error {
	if unreachable(err) || ctx.Err() != nil {
		return err
	}
	return nil
}
