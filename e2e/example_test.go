package e2e

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// The worked example of docs/layout.md parses and verifies from the root that it
// holds, without a request beyond the manifest's own.
func TestExampleOfTheLayout(t *testing.T) {
	t.Parallel()
	manifest, err := os.ReadFile("../docs/example/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := ociremote.ParseBundle(manifest)
	if err != nil {
		t.Fatal(err)
	}
	root, ok := bundle.Inline("metadata/1.root.json")
	if !ok {
		t.Fatal("the inline layer lacks the first root")
	}
	repo := ociremote.NewMemory()
	ctx := context.Background()
	if err := repo.PushReference(ctx, bundle.Descriptor, bytes.NewReader(manifest), "tuf"); err != nil {
		t.Fatal(err)
	}
	created, err := time.Parse(time.RFC3339, bundle.Annotations["org.opencontainers.image.created"])
	if err != nil {
		t.Fatal(err)
	}
	client, err := trust.New(root, trust.Options{
		Source: trust.RepositorySource(repo, "tuf"),
		Now:    func() time.Time { return created },
	})
	if err != nil {
		t.Fatal(err)
	}
	view, err := client.Refresh(ctx)
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := view.Get(ctx, "hello.txt")
	if err != nil || string(data) != "hello, trust\n" {
		t.Errorf("hello.txt: %q, %v", data, err)
	}
	if got := view.Status().Root.Version; got != 2 {
		t.Errorf("root v%d, want v2", got)
	}
}
