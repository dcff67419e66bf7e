package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/tufoci/tufoci/ociremote"
)

// destination is the repository that is written, and the channel in it.
type destination struct {
	repo    ociremote.WritableRepository
	channel string
	push    pusher
	warn    func(string)
}

func newDestination(repo ociremote.WritableRepository, channel string, concurrency int, p Progress, warn func(string)) *destination {
	if warn == nil {
		warn = func(string) {}
	}
	return &destination{repo: repo, channel: channel, push: newPusher(repo, concurrency, p), warn: warn}
}

// head reads the bundle under the channel tag: one request. It is nil if the
// tag does not exist, and a [ForeignTagError] if what is there cannot be the
// bundle of a whole repository that tufoci wrote.
func (d *destination) head(ctx context.Context) (*ociremote.Bundle, error) {
	return d.headBut(ctx, ociremote.Known{})
}

// headBut is head, but for a bundle that is known: [ociremote.ErrNotModified] if the
// tag names that one.
func (d *destination) headBut(ctx context.Context, known ociremote.Known) (*ociremote.Bundle, error) {
	return fetchHead(ctx, d.repo, d.channel, known)
}

func fetchHead(ctx context.Context, repo ociremote.Repository, channel string, known ociremote.Known) (*ociremote.Bundle, error) {
	b, err := ociremote.FetchBundle(ctx, repo, channel, known)
	switch {
	case errors.Is(err, ociremote.ErrForeign):
		return nil, &ForeignTagError{Tag: channel, Err: err}
	case errors.Is(err, ociremote.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading tag %q: %w", channel, err)
	case b.Partial:
		return nil, &ForeignTagError{Tag: channel, Err: errors.New("a partial bundle, made for one image")}
	case b.Legacy:
		return nil, &ForeignTagError{Tag: channel, Err: errors.New("a repository in the older layout of another tool")}
	}
	return b, nil
}

// digest resolves a tag; empty if it does not exist.
func (d *destination) digest(ctx context.Context, tag string) (digest.Digest, error) {
	return tagDigest(ctx, d.repo, tag)
}

// tagDigest is the manifest that a tag names; "" if there is no such tag.
func tagDigest(ctx context.Context, repo ociremote.WritableRepository, tag string) (digest.Digest, error) {
	desc, err := repo.Resolve(ctx, tag)
	if isNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("resolving tag %q: %w", tag, err)
	}
	return desc.Digest, nil
}

// put writes the manifest of a candidate under a tag. A request that failed
// after the registry had acted, or that the registry refused because its tags
// are immutable and the tag is there, is no failure if the tag names this
// manifest now.
func (d *destination) put(ctx context.Context, c candidate, tag string) error {
	there, err := d.write(ctx, c, tag)
	if there == c.bundle.Descriptor.Digest {
		return nil
	}
	return err
}

// write writes the manifest of a candidate under a tag. If that fails, it also
// returns what the tag names now, empty if nothing, or if that cannot be told.
func (d *destination) write(ctx context.Context, c candidate, tag string) (there digest.Digest, err error) {
	ours := c.bundle.Descriptor
	err = d.sendManifest(ctx, c, func(desc ocispec.Descriptor) error {
		return d.repo.PushReference(ctx, desc, bytes.NewReader(c.bundle.Manifest), tag)
	})
	if err == nil {
		return ours.Digest, nil
	}
	there, resolveErr := d.digest(ctx, tag)
	if resolveErr != nil {
		there = ""
	}
	return there, fmt.Errorf("writing tag %q: %w", tag, err)
}

// sendManifest sends the manifest of a candidate. If the registry does not take it,
// what it has lost of the blobs is sent anew.
func (d *destination) sendManifest(ctx context.Context, c candidate, send func(ocispec.Descriptor) error) error {
	ours := c.bundle.Descriptor
	desc := ocispec.Descriptor{MediaType: ours.MediaType, Digest: ours.Digest, Size: ours.Size}
	err := send(desc)
	if refused(err) && d.push.restore(ctx, c.blobs) {
		err = send(desc)
	}
	return err
}

// putReferrer writes the manifest of a candidate that refers to another, without a
// tag, and lists it where the repository does not do so by itself.
func (d *destination) putReferrer(ctx context.Context, c candidate) error {
	err := d.sendManifest(ctx, c, func(desc ocispec.Descriptor) error {
		layout, ok := d.repo.(ociremote.NamedWriter)
		if !ok {
			return d.repo.Push(ctx, desc, bytes.NewReader(c.bundle.Manifest))
		}
		desc.ArtifactType = ociremote.MediaTypeBundle
		return errors.Join(layout.PushNamed(ctx, desc, bytes.NewReader(c.bundle.Manifest), "", nil), layout.Flush(ctx))
	})
	if errors.Is(err, errdef.ErrAlreadyExists) {
		return nil
	}
	return err
}

// refused reports that a registry did not take a manifest, as it does when a
// blob is missing.
func refused(err error) bool {
	e, ok := errors.AsType[*ociremote.TransportError](err)
	return errors.Is(err, ociremote.ErrBlobNotFound) || isNotFound(err) ||
		ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusNotFound)
}

// tagged returns what tags name, asked for at the same time.
func (d *destination) tagged(ctx context.Context, tags ...string) ([]digest.Digest, error) {
	type answer struct {
		digest digest.Digest
		err    error
	}
	answers := make([]chan answer, len(tags))
	for i, tag := range tags {
		answers[i] = make(chan answer, 1)
		go func() {
			got, err := d.digest(ctx, tag)
			answers[i] <- answer{got, err}
		}()
	}
	digests := make([]digest.Digest, len(tags))
	var errs []error
	for i := range answers {
		a := <-answers[i]
		digests[i] = a.digest
		errs = append(errs, a.err)
	}
	return digests, errors.Join(errs...)
}

// named are the blobs of a bundle, which may be nil. They exist where its
// manifest does.
func named(b *ociremote.Bundle) (map[digest.Digest]bool, error) {
	if b == nil {
		return nil, nil
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(b.Manifest, &m); err != nil {
		return nil, err
	}
	all := map[digest.Digest]bool{m.Config.Digest: true}
	for _, l := range m.Layers {
		all[l.Digest] = true
	}
	return all, nil
}

func isNotFound(err error) bool {
	return errors.Is(err, ociremote.ErrNotFound) || errors.Is(err, errdef.ErrNotFound)
}
