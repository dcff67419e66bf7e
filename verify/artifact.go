package verify

import (
	"context"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// maxReferrers of an image are listed, if no more signatures are to be looked at:
// some of them are no signatures.
const maxReferrers = 256

// artifact is what one try reads of an image: each thing once, for all trusts.
// Nothing of it is believed.
type artifact struct {
	repo     ociremote.Repository
	name     string // tag or digest
	shared   bool   // several trusts ask
	most     int    // signatures that are looked at
	manifest *memo[*ociremote.Manifest]

	mu         sync.Mutex
	referrers  map[digest.Digest]*memo[*ociremote.ReferrerList]
	signatures map[digest.Digest]*memo[*envelope]
	indexes    map[digest.Digest]*memo[*ociremote.Manifest]
}

func newArtifact(repo ociremote.Repository, name string, trusts, most int) *artifact {
	return &artifact{
		repo: repo, name: name, shared: trusts > 1, most: most, manifest: newMemo[*ociremote.Manifest](),
		referrers:  map[digest.Digest]*memo[*ociremote.ReferrerList]{},
		signatures: map[digest.Digest]*memo[*envelope]{},
		indexes:    map[digest.Digest]*memo[*ociremote.Manifest]{},
	}
}

// fetch reads the image's manifest.
func (a *artifact) fetch(ctx context.Context) (*ociremote.Manifest, error) {
	return a.manifest.get(ctx, func(ctx context.Context) (*ociremote.Manifest, error) {
		return ociremote.FetchManifest(ctx, a.repo, a.name)
	})
}

// fetchIndex reads another manifest, by its digest.
func (a *artifact) fetchIndex(ctx context.Context, dgst digest.Digest) (*ociremote.Manifest, error) {
	return entry(a, a.indexes, dgst).get(ctx, func(ctx context.Context) (*ociremote.Manifest, error) {
		return ociremote.FetchManifest(ctx, a.repo, dgst.String())
	})
}

// listReferrers lists what may be signatures of a manifest.
func (a *artifact) listReferrers(ctx context.Context, subject ocispec.Descriptor) (*ociremote.ReferrerList, error) {
	return entry(a, a.referrers, subject.Digest).get(ctx, func(ctx context.Context) (*ociremote.ReferrerList, error) {
		return ociremote.Referrers(ctx, a.repo, subject, ociremote.ReferrersOptions{
			ArtifactTypes: []string{signatureType}, Max: max(maxReferrers, a.most),
		})
	})
}

// fetchSignature reads the envelope behind a referrer of a manifest. It is kept only
// where another trust will ask for it: whoever can push decides how much that is.
func (a *artifact) fetchSignature(ctx context.Context, referrer ocispec.Descriptor, subject digest.Digest) (*envelope, error) {
	if !a.shared {
		return fetchEnvelope(ctx, a.repo, referrer, subject)
	}
	return entry(a, a.signatures, referrer.Digest).get(ctx, func(ctx context.Context) (*envelope, error) {
		return fetchEnvelope(ctx, a.repo, referrer, subject)
	})
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
