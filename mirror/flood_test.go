package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// talkative is a manifest that refers to another and says more than anybody asks for.
func talkative(subject, config ocispec.Descriptor) []byte {
	subject.Annotations = nil
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/" + strings.Repeat("x", maxType), Subject: &subject, Config: config,
		Layers:      []ocispec.Descriptor{},
		Annotations: map[string]string{"long": strings.Repeat("x", 1<<16), ociremote.AnnotationTimestampVersion: "7"},
	}
	m.SchemaVersion = 2
	return must(json.Marshal(m))
}

// wantListed checks what is remembered of a talkative referrer.
func wantListed(t *testing.T, d ocispec.Descriptor) {
	t.Helper()
	if len(d.Annotations) != 1 || d.Annotations[ociremote.AnnotationTimestampVersion] != "7" || d.ArtifactType != "" || d.Size == 0 {
		t.Errorf("remembered %d annotations, type %.20q, %d bytes", len(d.Annotations), d.ArtifactType, d.Size)
	}
}

// What has no name is read once, however often the index of an archive lists it, and
// remembered without what it says at length. Nothing is read for somebody who has given up.
func TestDeliveryThatListsOneThingOften(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g := newGap(t)
	f := cargoFiles(files(t, g.save("good.tar")))
	d := f.add(ocispec.MediaTypeImageManifest, talkative(f.named(canonicalHost+"/shop/api:1"), f.add(ocispec.MediaTypeEmptyJSON, []byte("{}"))))
	f.setIndex(func(index *ocispec.Index) { index.Manifests = append(index.Manifests, d, d, d) })
	file := filepath.Join(t.TempDir(), "often.tar")
	pack(t, file, f)
	archive := g.loadOptions(file).Archive
	delivered, err := openDelivery(t.Context(), archive, "tuf")
	if err != nil {
		t.Fatal(err)
	}
	if len(delivered.loose) != 2 { // and a signature
		t.Errorf("%d manifests without a name", len(delivered.loose))
	}
	for _, there := range delivered.loose {
		if there.Digest == d.Digest {
			wantListed(t, there)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openDelivery(ctx, archive, "tuf"); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	image := delivered.images[0]
	walk := &contentWalk{d: delivered, blobs: map[blobSize]bool{}, manifests: map[digest.Digest]bool{}, image: image, visited: map[digest.Digest]bool{}}
	if err := walk.manifest(t.Context(), image.desc.Digest, 0); err != nil {
		t.Fatal(err)
	}
	clear(walk.visited) // of another image with the same blobs, which are known
	if err := walk.manifest(ctx, image.desc.Digest, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("its content, given up: %v", err)
	}
}

// Lists of referrers are remembered while an image is copied, one for each manifest of it:
// without what they say at length.
func TestListsAreRememberedInBrief(t *testing.T) {
	t.Parallel()
	behind := ociremote.NewMemory()
	subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("image"), Size: 5}
	data := talkative(subject, ocispec.DescriptorEmptyJSON)
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := behind.Push(t.Context(), d, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	list, err := newOverlay(behind, nil).list(t.Context(), subject)
	if err != nil || len(list.Descriptors) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	wantListed(t, list.Descriptors[0])
}
