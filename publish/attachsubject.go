package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// subject is one image to attach to.
type subject struct {
	repo     ociremote.WritableRepository
	manifest *ociremote.Manifest
	// names are those in the metadata.
	names []string
	// members are the indexes of the attachments that ask for it.
	members []int
	// renew: all of them only renew.
	renew bool
}

// subjects reads the images, several at a time, and puts together those that are one.
// Of those that are not as they are signed there is the result.
func (a *attacher) subjects(ctx context.Context, images []Attachment, results []AttachResult) []*subject {
	found := make([]*subject, len(images))
	for n, image := range images {
		a.group.Go(func() error {
			results[n].Attachment = image
			found[n], results[n].Err = a.find(ctx, image)
			results[n].Skipped = found[n] == nil && results[n].Err == nil
			return nil
		})
	}
	_ = a.group.Wait()
	type place struct {
		repository, path string
		digest           digest.Digest
	}
	known := map[place]*subject{}
	var all []*subject
	for n, s := range found {
		if s == nil {
			continue
		}
		ref := images[n].Image
		at := place{ref.Name(), ref.Path, s.manifest.Descriptor.Digest}
		if first := known[at]; first != nil {
			first.names, first.members = append(first.names, s.names...), append(first.members, n)
			first.renew = first.renew && s.renew
			continue
		}
		s.members = []int{n}
		known[at] = s
		all = append(all, s)
	}
	return all
}

// find reads an image, which has to be the one that is signed. It is nil if there is
// nothing to renew.
func (a *attacher) find(ctx context.Context, image Attachment) (*subject, error) {
	if !a.status.Verified {
		return nil, ErrUnverified
	}
	repo, err := a.open(ctx, image.Image)
	if err != nil {
		return nil, imageError(image.Image, err)
	}
	if image.Renew {
		if some, err := a.hasAny(ctx, repo, image); err != nil || !some {
			return nil, err
		}
	}
	m, err := fetchManifest(ctx, repo, image.Image)
	if err != nil {
		return nil, err
	}
	names, err := a.signed(ctx, image, m.Descriptor)
	if err != nil {
		return nil, err
	}
	return &subject{repo: repo, manifest: m, names: names, renew: image.Renew}, nil
}

// signed returns the names under which an image is signed: its tag, if it has one,
// and its digest. A tag may stand alone.
func (a *attacher) signed(ctx context.Context, image Attachment, served ocispec.Descriptor) ([]string, error) {
	byDigest := trust.ImageDigest(image.Repository, served.Digest.String())
	names := []string{byDigest}
	if image.Tag != "" {
		names = []string{trust.ImageTag(image.Repository, image.Tag), byDigest}
	}
	for _, name := range names {
		target, err := a.view.Lookup(ctx, name)
		switch {
		case trust.IsUnlisted(err) && name == byDigest && image.Tag != "":
			return names[:1], nil
		case errors.Is(err, trust.ErrTargetNotFound):
			return nil, fmt.Errorf("%w: %w", ErrNotSigned, err)
		case err != nil:
			return nil, err
		}
		if signed := digest.NewDigestFromEncoded(digest.SHA256, target.Hashes["sha256"]); signed != served.Digest || target.Length != served.Size {
			return nil, &DiffersError{Name: strings.TrimPrefix(name, imagesPrefix), Role: target.Role, Signed: signed, Served: served.Digest}
		}
	}
	return names, nil
}
