package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// ClaimedTag is what somebody else says of a tag: another program that signs, or a list.
type ClaimedTag struct {
	// Reference has a host, a repository and a tag.
	Reference ociremote.ImageReference
	Digest    digest.Digest
	// Length of the manifest in bytes; 0 if nobody says it.
	Length int64
}

// ImportPlan compares what is claimed of tags with what a registry serves. Each list is in the order of the claims.
type ImportPlan struct {
	// Add are tags that the registry serves exactly so.
	Add []*Image
	// Left are all others.
	Left []LeftTag
}

// LeftTag is a tag that is not to be signed.
type LeftTag struct {
	ClaimedTag
	Served digest.Digest // "" if the registry does not have it
	Reason string
}

// Entries are what is to be signed of the images that are as claimed; replace, that their tags may move.
func (p *ImportPlan) Entries(replace bool) []metadata.ImageEntry {
	var out []metadata.ImageEntry
	for _, i := range p.Add {
		out = append(out, i.Entries(replace)...)
	}
	return out
}

// PlanImport reads every tag that is claimed, one GET each, and takes those that the registry serves with the claimed
// digest, and of the claimed length: what has moved since, or is gone, is left. The length and the media type to sign are
// those of the bytes. Images have to be on host, the canonical one.
//
// Errors: [ErrImageHost], and those of the registry; nothing is taken then.
func PlanImport(ctx context.Context, open OpenImage, claims []ClaimedTag, host string, o FetchOptions) (*ImportPlan, error) {
	images, left := make([]*Image, len(claims)), make([]*LeftTag, len(claims))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency(o.Concurrency))
	for n, claim := range claims {
		request, err := NewImageRequest(claim.Reference, host)
		if err != nil {
			return nil, err
		}
		group.Go(func() error {
			repo, err := open(ctx, request.Reference)
			if err != nil {
				return imageError(request.Reference, err)
			}
			image, err := fetchImage(ctx, repo, request, o.AllPlatforms)
			switch reason, served := claim.differs(image, err); {
			case reason != "":
				left[n] = &LeftTag{claim, served, reason}
			case err != nil:
				return err
			default:
				images[n] = image
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	plan := &ImportPlan{}
	for n := range claims {
		if left[n] != nil {
			plan.Left = append(plan.Left, *left[n])
		} else {
			plan.Add = append(plan.Add, images[n])
		}
	}
	return plan, nil
}

// differs says why what was read is not what is claimed; "" if it is, or if nothing could be read.
func (c ClaimedTag) differs(image *Image, err error) (reason string, served digest.Digest) {
	switch {
	case errors.Is(err, ErrNoImage):
		return "the registry does not have it any more", ""
	case errors.Is(err, ociremote.ErrMalformed):
		return err.Error(), ""
	case err != nil:
		return "", ""
	}
	got := image.Manifest.Descriptor
	switch kind := artifactType(image.Manifest); {
	case got.Digest != c.Digest:
		return fmt.Sprintf("it was moved: the registry serves %s", got.Digest), got.Digest
	case c.Length != 0 && got.Size != c.Length:
		return fmt.Sprintf("%d bytes are signed, the registry serves %d", c.Length, got.Size), got.Digest
	case kind != "":
		return "no image: " + kind, got.Digest
	}
	return "", got.Digest
}
