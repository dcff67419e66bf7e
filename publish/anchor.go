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

// anchor is what a head is held to: a pinned root, and what was seen before.
type anchor struct {
	// root can lack signatures, before the first publish.
	root    []byte
	version int64
	// seen is what a head may not be older than.
	seen []trust.Seen
}

func newAnchor(root []byte) (anchor, error) {
	version, err := signedVersion(root)
	if err != nil {
		return anchor{}, fmt.Errorf("pinned root: %w: %w", trust.ErrMalformed, err)
	}
	return anchor{root: root, version: version}, nil
}

// in reports whether a bundle has the pinned root, and which root of that
// version it has.
func (a anchor) in(b *ociremote.Bundle) (theirs digest.Digest, ok bool) {
	f, _ := b.File(metadata.Title("root", a.version))
	return f.Descriptor.Digest, f.Descriptor.Digest == digest.FromBytes(a.root)
}

// verify reads a bundle as a client does from the pinned root, at the last
// moment at which all of it was current.
func (a anchor) verify(ctx context.Context, b *ociremote.Bundle, source *shown, channel string, now time.Time) (*head, error) {
	live, view, err := seeOnce(ctx, a.root, source, b, now)
	if err != nil {
		return nil, fmt.Errorf("verifying %s under tag %q: %w", b.Descriptor.Digest, channel, err)
	}
	h := &head{bundle: b, view: view, source: source, live: live}
	for _, seen := range a.seen {
		if err := seen.Check(view, fmt.Sprintf("tag %q names an older state", channel)); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// wrong says that a repository does not have the pinned root.
func (a anchor) wrong(channel string, theirs digest.Digest) error {
	e := &trust.VerificationError{
		Kind: trust.ErrWrongRoot, Role: "root", Version: a.version,
		Detail: fmt.Sprintf("the repository under tag %q does not have it", channel),
	}
	if theirs != "" {
		e.Detail = fmt.Sprintf("the repository under tag %q has another one of this version", channel)
		e.Digests = [2]string{digest.FromBytes(a.root).Encoded(), theirs.Encoded()}
	}
	return e
}
