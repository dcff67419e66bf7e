package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxAttachments is how many attachments of one image are looked at.
	maxAttachments = 32
	// maxAttached is how large the files of an attachment should be at most, in bytes.
	maxAttached = trust.MaxCopy
	// maxSuperseded bounds the attachments of one image that are found to be older, in
	// bytes: they are in memory at the same time, and anybody can attach.
	maxSuperseded = 2 * maxAttached
)

// attachments lists what is attached to an image.
func attachments(ctx context.Context, repo ociremote.Repository, subject digest.Digest) (*ociremote.ReferrerList, error) {
	return ociremote.Referrers(ctx, repo, ocispec.Descriptor{Digest: subject}, ociremote.ReferrersOptions{
		ArtifactTypes: []string{ociremote.MediaTypeBundle}, Max: maxAttachments,
	})
}

// hasAny reports whether anything is attached to an image, by the digest that it is
// signed with: one request where nothing is.
func (a *attacher) hasAny(ctx context.Context, repo ociremote.Repository, image Attachment) (bool, error) {
	d := image.Image.Digest
	if d == "" {
		target, err := a.view.Lookup(ctx, trust.ImageTag(image.Repository, image.Tag))
		if err != nil {
			return false, err
		}
		d = digest.NewDigestFromEncoded(digest.SHA256, target.Hashes["sha256"])
	}
	list, err := attachments(ctx, repo, d)
	if isNotFound(err) {
		return false, nil // the image is no longer there
	}
	return err == nil && len(list.Descriptors) > 0, err
}

// sameButOnline reports whether two bundles differ in snapshot and timestamp alone.
func sameButOnline(a, b *ociremote.Bundle) bool {
	rest := func(b *ociremote.Bundle) []ociremote.File {
		return slices.DeleteFunc(slices.Clone(b.Files), func(f ociremote.File) bool { return online(f.Title) })
	}
	return slices.EqualFunc(rest(a), rest(b), func(f, g ociremote.File) bool {
		return f.Title == g.Title && f.Descriptor.Digest == g.Descriptor.Digest
	})
}

// superseded reads what is attached to an image and belongs to the same lineage,
// verified, and the names of its delegated roles. What does not, or cannot be read,
// is left alone.
func (a *attacher) superseded(ctx context.Context, s *subject, from *original) (old []*ociremote.Bundle, roles []string, err error) {
	list, err := attachments(ctx, s.repo, s.manifest.Descriptor.Digest)
	if err != nil {
		return nil, nil, fmt.Errorf("listing what is attached to %s: %w", s.manifest.Descriptor.Digest, err)
	}
	var held int64
	for _, d := range list.Descriptors {
		b, err := ociremote.FetchBundle(ctx, s.repo, d.Digest.String(), ociremote.Known{})
		if unreachable(err) {
			return nil, nil, err
		}
		if err != nil || !b.Partial || b.Subject == nil || b.Subject.Digest != s.manifest.Descriptor.Digest {
			continue
		}
		names, err := a.ours(ctx, s, from, b)
		switch {
		case unreachable(err), errors.Is(err, errAhead):
			return nil, nil, err
		case err != nil:
			a.o.Warn(fmt.Sprintf("%s is attached to %s and left alone: %v", b.Descriptor.Digest, s.manifest.Descriptor.Digest, err))
			continue
		}
		size := b.Held()
		if held+size > maxSuperseded {
			a.o.Warn(fmt.Sprintf("%s is attached to %s and left alone: the older ones have more than %d bytes together", b.Descriptor.Digest, s.manifest.Descriptor.Digest, int64(maxSuperseded)))
			continue
		}
		old, held = append(old, b), held+size
		for _, name := range names {
			if !slices.Contains(roles, name) && !from.has(name) {
				roles = append(roles, name)
			}
		}
	}
	return old, roles, nil
}

// errAhead marks the error about an attachment that is not older than the view.
var errAhead = errors.New("not behind")

// ours verifies that an attachment is of this lineage, and returns the names of the
// delegated roles that it holds.
func (a *attacher) ours(ctx context.Context, s *subject, from *original, b *ociremote.Bundle) ([]string, error) {
	anchor, ok := from.anchor(b)
	if !ok {
		return nil, errors.New("it has other roots")
	}
	view, err := glanceOnce(ctx, anchor, &shown{behind: s.repo, blobs: from.held()}, b, a.o.Now())
	if err != nil {
		return nil, err
	}
	if err := from.notBehind(view.Status(), "", "", b.Descriptor.Digest); err != nil {
		return nil, fmt.Errorf("%w%.0w", err, errAhead)
	}
	all, err := view.Roles(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range all {
		if r.Err == nil && !slices.Contains(topLevel, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names, nil
}

var topLevel = []string{"root", "timestamp", "snapshot", "targets"}

// prune deletes superseded attachments, if what supersedes them is listed and can be
// read. That it cannot is no failure: clients take the newest.
func (a *attacher) prune(ctx context.Context, s *subject, old []*ociremote.Bundle, result *AttachResult) error {
	if len(old) == 0 {
		return nil
	}
	deleter, ok := s.repo.(content.Deleter)
	if ok {
		ok = a.readBack(ctx, s, result.Digest)
	}
	for _, b := range old {
		d := b.Descriptor.Digest
		if ok && deleter.Delete(ctx, *bare(b.Descriptor)) == nil {
			result.Pruned = append(result.Pruned, d)
		} else {
			result.Kept = append(result.Kept, d)
		}
	}
	return ctx.Err()
}

// readBack reports whether an attachment is found and read as clients do.
func (a *attacher) readBack(ctx context.Context, s *subject, d digest.Digest) bool {
	list, err := attachments(ctx, s.repo, s.manifest.Descriptor.Digest)
	if err != nil {
		return false
	}
	for _, there := range list.Descriptors {
		if there.Digest == d {
			_, err := ociremote.FetchBundle(ctx, s.repo, d.String(), ociremote.Known{})
			return err == nil
		}
	}
	return false
}

// targets are the paths of the targets whose files there are.
func (a *attacher) targets(ctx context.Context) ([]string, error) {
	reserved, err := a.view.Reserved(ctx)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, t := range reserved {
		paths = append(paths, t.Path)
	}
	return paths, nil
}
