package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// deadAfter is how old a claim is whose publisher is taken for dead.
	deadAfter = 5 * time.Minute
	// maxClaims bounds the claims above the head that are looked at.
	maxClaims = 100
)

// claims finds the first history tag from version upwards that does not
// exist. The tags are asked for one by one: a list of tags can be long, cut or
// stale. Of the claims on the way, the first that may be finished is returned; one
// whose publisher may be at work is waited for, if there is time: errWaited.
func (p *publication) claims(ctx context.Context, version int64, h *head, r *metadata.Release) (free int64, dead *ociremote.Bundle, err error) {
	for free = version; free < version+maxClaims; free++ {
		tag := ociremote.HistoryTag(p.dst.channel, free)
		b, err := ociremote.FetchBundle(ctx, p.dst.repo, tag, ociremote.Known{})
		switch {
		case isNotFound(err):
			return free, dead, nil
		case unreadable(err):
			p.dst.warn(fmt.Sprintf("claim %s is skipped: %v", tag, err))
			continue
		case err != nil:
			return 0, nil, fmt.Errorf("reading claim %s: %w", tag, err)
		}
		if dead != nil {
			continue
		}
		if err := p.finishable(ctx, b, free, h, r); err != nil {
			if errors.Is(err, errAtWork) {
				if err := p.wait(ctx); err != nil {
					return 0, nil, err
				}
			}
			p.dst.warn(fmt.Sprintf("claim %s is skipped: %v", tag, err))
			continue
		}
		dead = b
	}
	return 0, nil, fmt.Errorf("%w: %s to %s", ErrTooManyClaims,
		ociremote.HistoryTag(p.dst.channel, version), ociremote.HistoryTag(p.dst.channel, free-1))
}

// unreadable reports that an error is about the content of a manifest, not
// about the way to it.
func unreadable(err error) bool {
	return errors.Is(err, ociremote.ErrForeign) || errors.Is(err, ociremote.ErrMalformed) ||
		errors.Is(err, ociremote.ErrTooLarge) || errors.Is(err, ociremote.ErrNewerFormat)
}

// finishable says why a claim must not be made the head: a claim is finished
// if it was built on the head, if clients of the head would take it, and if
// its publisher is dead. The age is what the claim says of itself, which
// nobody has signed; but a claim is taken only if its signatures hold, and
// then early is no worse than late. A claim of exactly the changes that this
// workspace would publish needs no age: it is most likely its own, of a run
// that died. A nil release is that of somebody who publishes nothing.
func (p *publication) finishable(ctx context.Context, b *ociremote.Bundle, version int64, h *head, r *metadata.Release) error {
	if b.Partial || b.Legacy {
		return errors.New("not the bundle of a whole repository")
	}
	if previous := previousOf(b); previous != h.digest() {
		return fmt.Errorf("it was built on %q, the head is %q", previous, h.digest())
	}
	created, err := time.Parse(time.RFC3339, b.Annotations[ocispec.AnnotationCreated])
	if err != nil {
		return errors.New("it does not say when it was made")
	}
	if h != nil {
		// What it takes to look at claims is not held: anybody could leave a hundred.
		defer h.source.keep(h.source.kept())
	}
	age := p.o.Now().Sub(created)
	young := age < deadAfter && (r == nil || !sameChanges(b, r))
	if !young || p.left > 0 { // nobody waits for what clients would not take
		if _, err := p.verify(ctx, candidate{bundle: b, version: version}, h); err != nil {
			return fmt.Errorf("it does not verify: %w", err)
		}
	}
	if young {
		return fmt.Errorf("made %s ago: %w", age.Round(time.Second), errAtWork)
	}
	return nil
}

// sameChanges reports that a bundle and a release have the same files but for
// snapshot and timestamp, which every publisher makes anew.
func sameChanges(b *ociremote.Bundle, r *metadata.Release) bool {
	files := map[string]string{}
	for _, f := range b.Files {
		if !online(f.Title) {
			files[f.Title] = f.Descriptor.Digest.Encoded()
		}
	}
	for _, f := range r.Files {
		if online(f.Name) {
			continue
		}
		if files[f.Name] != f.SHA256 {
			return false
		}
		delete(files, f.Name)
	}
	return len(files) == 0
}

// finish makes a dead claim the head, unless the head has moved; both end the
// plan, with errFinished or errMoved.
func (p *publication) finish(ctx context.Context, dead *ociremote.Bundle, h *head) error {
	now, err := p.dst.digest(ctx, p.dst.channel)
	if err != nil {
		return err
	}
	if now != h.digest() {
		return errMoved
	}
	if err := p.dst.put(ctx, candidate{bundle: dead}, p.dst.channel); err != nil {
		return err
	}
	return errFinished
}

// claim writes the history tag of a candidate. errMoved: another publisher
// has it, in a registry whose tags cannot be overwritten.
func (p *publication) claim(ctx context.Context, c candidate, tag string) error {
	there, err := p.dst.write(ctx, c, tag)
	if err == nil || there == c.bundle.Descriptor.Digest {
		return nil
	}
	if there != "" {
		return errMoved
	}
	return err
}
