package ociremote_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// What one client pushes at the same time for one subject is all listed, also where
// the list is kept by the client, and however often the repository was opened. A
// registry that lets no old list go is no failure.
func TestReferrersOfOneClientAreMerged(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{NoReferrers: true})
	client, err := ociremote.NewClient(ociremote.Options{RegistryConfig: filepath.Join(t.TempDir(), "config.json")})
	if err != nil {
		t.Fatal(err)
	}
	empty := []byte("{}")
	g.PutBlob("shop/api", empty)
	image := manifestOf(t, `"annotations":{"is":"the image"}`)
	g.PutManifest("shop/api", "1", image.Data)
	const n = 12
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		push := func() error {
			repo, err := client.Repository(t.Context(), ociremote.Reference{Host: g.Host(), Repository: "shop/api", Tag: "1"}, true)
			if err != nil {
				return err
			}
			m := manifestOf(t, fmt.Sprintf(`"artifactType":"application/x-test","annotations":{"n":"%d"},"subject":{"mediaType":%q,"digest":%q,"size":%d}`,
				i, ocispec.MediaTypeImageManifest, image.Digest, image.Size))
			desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: m.Digest, Size: m.Size}
			return repo.(ociremote.WritableRepository).Push(t.Context(), desc, bytes.NewReader(m.Data))
		}
		wg.Go(func() { errs[i] = push() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	repo, err := client.Repository(t.Context(), ociremote.Reference{Host: g.Host(), Repository: "shop/api", Tag: "1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ociremote.Referrers(t.Context(), repo, ocispec.Descriptor{Digest: image.Digest}, ociremote.ReferrersOptions{})
	if err != nil || len(list.Descriptors) != n {
		t.Errorf("%d are listed, want %d (%v)", len(list.Descriptors), n, err)
	}
}

// manifestOf is an image manifest with more members, as a descriptor with data.
func manifestOf(t testing.TB, members string) ocispec.Descriptor {
	t.Helper()
	data := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],%s}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, tuftest.Digest([]byte("{}")), members)
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data)), Data: data}
}
