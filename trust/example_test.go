package trust_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// published is a trust repository as its publisher would have put it out, and the
// root that its consumers were given.
func published(ctx context.Context) (repo ociremote.WritableRepository, root []byte) {
	t := new(testing.B)
	signed := tuftest.NewRepo(t, tuftest.RepoOptions{})
	signed.AddTarget("policies/admission.yaml", []byte("allow: signed\n"))
	signed.Publish()
	repo = ociremote.NewMemory()
	bundle := tuftest.Pack(t, signed.Files(), tuftest.PackOptions{})
	for sum, data := range bundle.Blobs {
		desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.Digest(sum), Size: int64(len(data))}
		if err := repo.Push(ctx, desc, bytes.NewReader(data)); err != nil {
			log.Fatal(err)
		}
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(bundle.Digest), Size: int64(len(bundle.Manifest))}
	if err := repo.PushReference(ctx, desc, bytes.NewReader(bundle.Manifest), "tuf"); err != nil {
		log.Fatal(err)
	}
	return repo, signed.RootBytes()
}

func ExampleClient_Refresh() {
	ctx := context.Background()
	repo, root := published(ctx)

	// The root comes from outside, never from the repository itself.
	client, err := trust.New(root, trust.Options{
		Source: trust.RepositorySource(repo, "tuf"),
		Now:    func() time.Time { return tuftest.Epoch },
	})
	if err != nil {
		log.Fatal(err)
	}
	view, err := client.Refresh(ctx)
	if err != nil {
		log.Fatal(err)
	}
	data, target, err := view.Get(ctx, "policies/admission.yaml")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s from %s v%d: %s", target.Path, target.Role, target.RoleVersion, data)
	// Output: policies/admission.yaml from targets v2: allow: signed
}
