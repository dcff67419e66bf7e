package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/stranger"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// maxAncestors bounds how many bundles are read to find the one that this
// workspace published among the ancestors of the head.
const maxAncestors = 64

// checkFork compares the head with what this workspace published last. A head
// that was not built on that has overwritten it: registries have no
// compare-and-swap on tags.
//
// The digest of the previous bundle is an annotation, which whoever can write
// to the registry can forge. Such a one can hide or invent a fork, no more: no
// metadata is taken over that does not verify.
func (p *publication) checkFork(ctx context.Context, h *head) error {
	base := p.base
	if base == nil || h == nil || h.digest() == base.digest {
		return nil
	}
	fork := &ForkError{Tag: p.dst.channel, Ours: base.digest, OursVersion: base.version, Theirs: h.digest(), TheirsVersion: h.version()}
	switch kept, lost := base.compare(h.bundle); {
	case h.version() < base.version || lost:
		return fork
	case h.version() == base.version:
		if timestamp, _ := h.bundle.File(timestampTitle); timestamp.Descriptor.Digest != base.files[timestampTitle] {
			return fork
		}
		return nil
	case kept:
		return nil
	}
	switch found, err := p.descends(ctx, h.bundle); {
	case err != nil:
		return err
	case found == notAncestor:
		return fork
	case found == unknown:
		p.dst.warn(fmt.Sprintf("cannot tell whether the head %s was built on %s, which this workspace published as timestamp v%d: the bundles between them are gone",
			h.digest(), base.digest, base.version))
	}
	return nil
}

// published is what the workspace published last.
type published struct {
	digest digest.Digest
	// version is that of the timestamp.
	version int64
	// root is the version of the root that it was published under, the newest.
	root int64
	// files are the digests of its metadata by title.
	files map[string]digest.Digest
}

// newPublished reads the base of a workspace.
func newPublished(base *metadata.Head) (*published, error) {
	d, err := digest.Parse(base.Digest)
	if err != nil {
		return nil, fmt.Errorf("base of the workspace: digest %q: %w", base.Digest, err)
	}
	b := &published{digest: d, files: map[string]digest.Digest{}}
	for _, f := range base.Files {
		b.files[f.Name] = digest.FromBytes(f.Data)
		if role, version, ok := metadata.ParseTitle(f.Name); ok && role == "root" {
			b.root = max(b.root, version)
		}
		if f.Name != timestampTitle {
			continue
		}
		if b.version, err = signedVersion(f.Data); err != nil {
			return nil, fmt.Errorf("base of the workspace: timestamp: %w", err)
		}
	}
	return b, nil
}

// seen is what the workspace has seen by publishing it.
func (b *published) seen() trust.Seen { return trust.Seen{Timestamp: b.version, Root: b.root} }

// signedVersion is the version that a metadata file states.
func signedVersion(data []byte) (int64, error) {
	var file struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	err := json.Unmarshal(data, &file)
	return file.Signed.Version, err
}

// compare holds a bundle against what was published, the timestamp aside.
// kept: every role but the snapshot has the same bytes, so that no change can
// have been lost. lost: a file that was published has other bytes under the
// same name, that is, the same version.
func (b *published) compare(head *ociremote.Bundle) (kept, lost bool) {
	kept = true
	for title, d := range b.files {
		f, ok := head.File(title)
		switch {
		case title == timestampTitle: // has no version in its name
		case ok && f.Descriptor.Digest != d:
			return false, true
		case !ok && !online(title):
			kept = false
		}
	}
	return kept, false
}

// ancestry says whether what the workspace published is an ancestor of a bundle.
type ancestry int

const (
	isAncestor ancestry = iota
	notAncestor
	unknown // bundles on the way are gone, or they are too many
)

// descends follows the annotations from a bundle to the one that it was built
// on, until it meets what the workspace published, or something older.
func (p *publication) descends(ctx context.Context, b *ociremote.Bundle) (ancestry, error) {
	for range maxAncestors {
		previous := previousOf(b)
		switch {
		case previous == p.base.digest:
			return isAncestor, nil
		case previous == "" || previous.Validate() != nil:
			return notAncestor, nil
		}
		older, err := ociremote.FetchBundle(ctx, p.dst.repo, previous.String(), ociremote.Known{})
		switch {
		case isNotFound(err):
			return unknown, nil
		case err != nil:
			return unknown, fmt.Errorf("reading the history of tag %q: %w", p.dst.channel, err)
		case versionOf(older) <= p.base.version:
			return notAncestor, nil
		}
		b = older
	}
	return unknown, nil
}

// maxPrevious is how much is told of what a bundle says that it was built on, in bytes:
// more than a digest has.
const maxPrevious = 256

// previousOf is the bundle that one says that it was built on; "" for nothing. Nobody has
// signed it, nor that it is a digest.
func previousOf(b *ociremote.Bundle) digest.Digest {
	return digest.Digest(stranger.Cut(b.Annotations[ociremote.AnnotationPrevious], maxPrevious))
}

// versionOf is the timestamp version that the annotations state; 0 if none.
// Nobody has signed it: it is for order and for people only.
func versionOf(b *ociremote.Bundle) int64 {
	return saidVersion(b, ociremote.AnnotationTimestampVersion)
}

// saidVersion is a version that the annotations state; 0 if none.
func saidVersion(b *ociremote.Bundle, annotation string) int64 {
	v, err := strconv.ParseInt(b.Annotations[annotation], 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// overwritten says what happened to a channel tag that, right after it was
// written, names something else: nil if that was built on what was written.
func (p *publication) overwritten(ctx context.Context, c candidate, now digest.Digest) error {
	fork := &ForkError{Tag: p.dst.channel, Ours: c.bundle.Descriptor.Digest, OursVersion: c.version, Theirs: now}
	if now == "" {
		return fmt.Errorf("%w: tag %q was deleted right after it was written", ErrHeadMissing, p.dst.channel)
	}
	b, err := ociremote.FetchBundle(ctx, p.dst.repo, now.String(), ociremote.Known{})
	if err != nil {
		return errors.Join(fork, err)
	}
	if previousOf(b) == fork.Ours {
		return nil
	}
	fork.TheirsVersion = versionOf(b)
	if err := p.by.overwritten(fork); !p.rebases(err) {
		return err
	}
	p.dst.warn(fork.Error())
	return errMoved // what is staged is still there
}
