package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// RollbackOptions steer [Rollback].
type RollbackOptions struct {
	// To is the timestamp version whose content is staged.
	To int64
	// DryRun stages nothing.
	DryRun bool
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// RolledBack is what a rollback staged.
type RolledBack struct {
	*metadata.Rollback
	// Tag and Digest are of the bundle that was read, Versions those of its roles.
	Tag      string
	Digest   digest.Digest
	Versions Versions
}

// Rollback stages the content of an older bundle in the workspace, as next versions, see
// [metadata.Workspace.Rollback]; publishing is a step of its own. The bundle is verified
// from the first root of the workspace, with all its roles, at the last moment at which
// they were current.
//
// Revocations and CRLs stay as they are now: what was revoked since would be trusted
// again.
//
// Errors: [ErrNoVersion] if no history tag has the version; whatever keeps the
// bundle from verifying; of package metadata [metadata.ErrStaged], [metadata.ErrInvalid].
func Rollback(ctx context.Context, ws *metadata.Workspace, repo ociremote.Repository, o RollbackOptions) (*RolledBack, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	root1, err := ws.Root1()
	if err != nil {
		return nil, err
	}
	from, err := newAnchor(root1)
	if err != nil {
		return nil, err
	}
	tag := ociremote.HistoryTag(ws.Config().Channel, o.To)
	h, err := olderHead(ctx, from, repo, tag, o)
	if err != nil {
		return nil, err
	}
	known, err := h.metadata(ctx)
	if err != nil {
		return nil, err
	}
	staged, err := ws.Rollback(known, metadata.RollbackOptions{
		Keep: isYardstick,
		Read: func(title, sha256 string, length int64) ([]byte, error) {
			return h.file(ctx, title, digest.NewDigestFromEncoded(digest.SHA256, sha256), length)
		},
		DryRun: o.DryRun,
	})
	if err != nil {
		return nil, err
	}
	st := h.view.Status()
	return &RolledBack{
		Rollback: staged, Tag: tag, Digest: h.digest(),
		Versions: Versions{Root: st.Root.Version, Timestamp: st.Timestamp.Version, Snapshot: st.Snapshot.Version, Targets: st.Targets.Version},
	}, nil
}

// olderHead reads and verifies a bundle of the history as the head that it was.
func olderHead(ctx context.Context, from anchor, repo ociremote.Repository, tag string, o RollbackOptions) (*head, error) {
	b, err := fetchHead(ctx, repo, tag, ociremote.Known{})
	switch {
	case err != nil:
		return nil, err
	case b == nil:
		return nil, fmt.Errorf("%w: history tag %q", ErrNoVersion, tag)
	}
	if theirs, ok := from.in(b); !ok {
		return nil, from.wrong(tag, theirs)
	}
	h, err := from.verify(ctx, b, &shown{behind: repo}, tag, o.Now())
	if err != nil {
		return nil, err
	}
	if got := h.version(); got != o.To {
		return nil, &trust.VerificationError{
			Kind: trust.ErrMismatch, Role: "timestamp", Version: got, Want: o.To, Detail: fmt.Sprintf("tag %q names another bundle", tag),
		}
	}
	return h, nil
}
