package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// RevocationsRole is the role that can only deny, for a key on call.
	RevocationsRole = "revocations"
	// OnCallRevocations is the list of that role.
	OnCallRevocations = "revocations/oncall.json"

	// maxIndexDepth is how deep indexes lie in each other that are revoked with what is in them.
	maxIndexDepth = 4
)

// ImageManifests returns the digest of an image and those of all manifests below it: what a client could run of an
// index that is revoked. ref has a digest. What an index holds that the registry does not have any more is counted by
// its digest. [ErrNoImage] for the image itself, and the errors of [FetchImages].
func ImageManifests(ctx context.Context, repo ociremote.Repository, ref ociremote.ImageReference) ([]digest.Digest, error) {
	m, err := fetchManifest(ctx, repo, ref)
	if err != nil {
		return nil, err
	}
	w := manifestWalk{repo: repo, ref: ref, found: []digest.Digest{m.Descriptor.Digest}}
	if err := w.below(ctx, m, 1); err != nil {
		return nil, err
	}
	return w.found, nil
}

// manifestWalk collects the manifests of an index, and of the indexes in it.
type manifestWalk struct {
	repo  ociremote.Repository
	ref   ociremote.ImageReference
	found []digest.Digest
}

func (w *manifestWalk) below(ctx context.Context, m *ociremote.Manifest, depth int) error {
	for _, child := range m.Children {
		if slices.Contains(w.found, child.Digest) {
			continue
		}
		if len(w.found) > maxPlatforms {
			return tooManyPlatforms(w.ref, len(w.found))
		}
		w.found = append(w.found, child.Digest)
		if err := w.index(ctx, child, depth); err != nil {
			return err
		}
	}
	return nil
}

// index goes into an index that stands in another one.
func (w *manifestWalk) index(ctx context.Context, d ocispec.Descriptor, depth int) error {
	if !ociremote.IsIndex(d.MediaType) {
		return nil
	}
	if depth == maxIndexDepth {
		return imageError(w.ref, &ociremote.MalformedError{What: "index", Err: fmt.Errorf("indexes in indexes, more than %d deep", maxIndexDepth)})
	}
	ref := w.ref
	ref.Tag, ref.Digest = "", d.Digest
	m, err := fetchManifest(ctx, w.repo, ref)
	if errors.Is(err, ErrNoImage) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.below(ctx, m, depth+1)
}

// AddRevocations returns a list with more entries, and which of them it did not have: none of these if it had all, and
// then the list as it was. current is the content of a list, nil for none. What the current list says stays as it is.
// [metadata.ErrInvalid] for the new entries, [trust.ErrRevocations] for a list that no client could read.
func AddRevocations(current []byte, more *material.Revocations) (data []byte, added *material.Revocations, err error) {
	if _, err := more.Marshal(); err != nil {
		return nil, nil, fmt.Errorf("%w: %v", metadata.ErrInvalid, err)
	}
	list := &material.Revocations{}
	if current != nil {
		if list, err = material.ParseRevocations(current); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", trust.ErrRevocations, err)
		}
	}
	added = more.Missing(list)
	added.Images = slices.DeleteFunc(added.Images, func(i material.RevokedImage) bool {
		return list.Image(i.Digest, i.Repository) != nil // in every repository already
	})
	if len(added.Images)+len(added.Certificates) == 0 {
		return current, added, nil
	}
	list.Add(added)
	data, err = list.Marshal()
	return data, added, err
}
