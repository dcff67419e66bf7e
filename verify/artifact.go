package verify

import (
	"context"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// artifact is what one try reads of an image: each thing once, for all trusts.
// Nothing of it is believed.
type artifact struct {
	repo   ociremote.Repository
	name   string // tag or digest
	shared bool   // several trusts ask
	most   int    // referrers that are listed
	// copies of a trust will be looked for, so that they are listed with what may be
	// signatures.
	copies   bool
	manifest *memo[*ociremote.Manifest]
	watch    *trust.Watch // over all that is read of the image

	mu          sync.Mutex
	referrers   map[digest.Digest]*memo[*ociremote.ReferrerList]
	attachments map[digest.Digest]*memo[*ociremote.ReferrerList] // unless they are listed with referrers
	signatures  map[digest.Digest]*memo[*envelope]
	indexes     map[digest.Digest]*memo[*ociremote.Manifest]
}

func newArtifact(repo ociremote.Repository, name string, trusts, most int, copies bool, watch *trust.Watch) *artifact {
	return &artifact{
		repo: repo, name: name, shared: trusts > 1, most: most, copies: copies, manifest: newMemo[*ociremote.Manifest](), watch: watch,
		referrers:   map[digest.Digest]*memo[*ociremote.ReferrerList]{},
		attachments: map[digest.Digest]*memo[*ociremote.ReferrerList]{},
		signatures:  map[digest.Digest]*memo[*envelope]{},
		indexes:     map[digest.Digest]*memo[*ociremote.Manifest]{},
	}
}

// fetch reads the image's manifest.
func (a *artifact) fetch(ctx context.Context) (*ociremote.Manifest, error) {
	return a.manifest.get(ctx, func(ctx context.Context) (*ociremote.Manifest, error) {
		return watched(ctx, a, func(ctx context.Context) (*ociremote.Manifest, error) {
			return ociremote.FetchManifest(ctx, a.repo, a.name)
		})
	})
}

// fetchIndex reads another manifest, by its digest.
func (a *artifact) fetchIndex(ctx context.Context, dgst digest.Digest) (*ociremote.Manifest, error) {
	return entry(a, a.indexes, dgst).get(ctx, func(ctx context.Context) (*ociremote.Manifest, error) {
		return watched(ctx, a, func(ctx context.Context) (*ociremote.Manifest, error) {
			return ociremote.FetchManifest(ctx, a.repo, dgst.String())
		})
	})
}

// listReferrers lists what may be signatures of a manifest, with copies of a trust if
// those will be looked for.
func (a *artifact) listReferrers(ctx context.Context, subject ocispec.Descriptor) (*ociremote.ReferrerList, error) {
	types := []string{material.SignatureType}
	if a.copies {
		types = append(types, ociremote.MediaTypeBundle)
	}
	return entry(a, a.referrers, subject.Digest).get(ctx, func(ctx context.Context) (*ociremote.ReferrerList, error) {
		return a.list(ctx, subject, ociremote.ReferrersOptions{ArtifactTypes: types, Max: a.most})
	})
}

// listAttachments lists what may be copies of a trust that are attached to a manifest:
// one page, unless they are listed with the signatures.
func (a *artifact) listAttachments(ctx context.Context, subject ocispec.Descriptor) (*ociremote.ReferrerList, error) {
	if a.copies {
		return a.listReferrers(ctx, subject)
	}
	return entry(a, a.attachments, subject.Digest).get(ctx, func(ctx context.Context) (*ociremote.ReferrerList, error) {
		return a.list(ctx, subject, ociremote.ReferrersOptions{
			ArtifactTypes: []string{ociremote.MediaTypeBundle}, Max: a.most, MaxPages: 1,
		})
	})
}

// list asks what refers to a manifest.
func (a *artifact) list(ctx context.Context, subject ocispec.Descriptor, o ociremote.ReferrersOptions) (*ociremote.ReferrerList, error) {
	return watched(ctx, a, func(ctx context.Context) (*ociremote.ReferrerList, error) {
		return ociremote.Referrers(ctx, a.repo, subject, o)
	})
}

// fetchSignature reads the envelope behind a referrer of a manifest. It is kept only
// where another trust will ask for it: whoever can push decides how much that is.
func (a *artifact) fetchSignature(ctx context.Context, referrer ocispec.Descriptor, subject digest.Digest) (*envelope, error) {
	fetch := func(ctx context.Context) (*envelope, error) {
		return watched(ctx, a, func(ctx context.Context) (*envelope, error) {
			return fetchEnvelope(ctx, a.repo, referrer, subject)
		})
	}
	if !a.shared {
		return fetch(ctx)
	}
	return entry(a, a.signatures, referrer.Digest).get(ctx, fetch)
}

// watched reads something of the image within the limits.
func watched[T any](ctx context.Context, a *artifact, read func(context.Context) (T, error)) (value T, err error) {
	err = a.watch.Do(ctx, func(ctx context.Context) error {
		value, err = read(ctx)
		return err
	})
	return value, err
}

// entry is the memo of a digest, made when it is first asked for.
func entry[T any](a *artifact, of map[digest.Digest]*memo[T], dgst digest.Digest) *memo[T] {
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := of[dgst]
	if !ok {
		m = newMemo[T]()
		of[dgst] = m
	}
	return m
}
