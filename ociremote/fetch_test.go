package ociremote

import (
	"bytes"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

func TestFetchBundleFromMemory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	repo := NewMemory()
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	if _, err := FetchBundle(ctx, repo, "tuf", Known{}); !errors.Is(err, ErrNotFound) || !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("empty: got %v, want ErrNotFound", err)
	}
	push(t, repo, b, blobs, "tuf")
	for _, name := range []string{"tuf", b.Descriptor.Digest.String()} {
		got, err := FetchBundle(ctx, repo, name, Known{})
		if err != nil || !bytes.Equal(got.Manifest, b.Manifest) || got.Descriptor.Digest != b.Descriptor.Digest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := FetchBundle(ctx, repo, "tuf", Known{Digest: b.Descriptor.Digest}); !errors.Is(err, ErrNotModified) {
		t.Errorf("known: got %v, want ErrNotModified", err)
	}
	if _, err := FetchBundle(ctx, repo, "tuf", Known{Digest: digest.FromString("old")}); err != nil {
		t.Errorf("other known: %v", err)
	}
}

func TestFetchBlob(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	repo := NewMemory()
	data := []byte("some data")
	desc := descriptorOf(MediaTypeTarget, data)
	if _, err := FetchBlob(ctx, repo, desc, 100); !errors.Is(err, ErrBlobNotFound) || errors.Is(err, ErrNotFound) {
		t.Errorf("missing: got %v, want ErrBlobNotFound", err)
	}
	if err := repo.Push(ctx, desc, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if got, err := FetchBlob(ctx, repo, desc, desc.Size); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := FetchBlob(ctx, repo, desc, desc.Size-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: got %v, want ErrTooLarge", err)
	}
	for _, size := range []int64{desc.Size - 1, desc.Size + 1, -1} {
		lie := desc
		lie.Size = size
		if _, err := FetchBlob(ctx, repo, lie, 100); !errors.Is(err, ErrMalformed) {
			t.Errorf("size %d: got %v, want ErrMalformed", size, err)
		}
	}
	bad := desc
	bad.Digest = "sha512:ab"
	if _, err := FetchBlob(ctx, repo, bad, 100); !errors.Is(err, ErrMalformed) {
		t.Errorf("digest: got %v, want ErrMalformed", err)
	}
	// A store that changed behind its digest.
	m := repo.(*memory)
	m.blobs[desc.Digest] = memoryBlob{desc.MediaType, []byte("SOME DATA")}
	if _, err := FetchBlob(ctx, repo, desc, 100); !errors.Is(err, ErrMalformed) {
		t.Errorf("damaged: got %v, want ErrMalformed", err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	testWritable(t, NewMemory())
}

// testWritable is what every empty WritableRepository does.
func testWritable(t *testing.T, repo WritableRepository) {
	ctx := t.Context()
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	wrong := descriptorOf(MediaTypeTarget, []byte("right"))
	if err := repo.Push(ctx, wrong, bytes.NewReader([]byte("wrong"))); err == nil {
		t.Error("a blob with another digest was taken")
	}
	if ok, err := repo.Exists(ctx, wrong); ok || err != nil {
		t.Errorf("the wrong blob exists: %v, %v", ok, err)
	}
	for range 2 { // a second time changes nothing
		push(t, repo, b, blobs, "tuf")
	}
	push(t, repo, b, blobs, "tuf.v1")
	push(t, repo, b, blobs, b.Descriptor.Digest.String())
	if err := repo.PushReference(ctx, b.Descriptor, bytes.NewReader(b.Manifest), "no/tag"); err == nil {
		t.Error("an invalid tag was taken")
	}
	if ok, err := repo.Exists(ctx, blobs[0].Descriptor); !ok || err != nil {
		t.Errorf("the config does not exist: %v", err)
	}
	desc, err := repo.Resolve(ctx, "tuf")
	if err != nil || !content.Equal(desc, b.Descriptor) {
		t.Errorf("resolved %v, %v", desc, err)
	}
	if _, err := repo.Resolve(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	other, otherBlobs := mustPack(t, someFiles()[:2], PackOptions{})
	push(t, repo, other, otherBlobs, "tuf")
	got, err := FetchBundle(ctx, repo, "tuf", Known{Digest: b.Descriptor.Digest})
	if err != nil || got.Descriptor.Digest != other.Descriptor.Digest {
		t.Errorf("moved tag: %v", err)
	}
	for _, f := range b.Files {
		if _, err := FetchBlob(ctx, repo, f.Descriptor, 1000); err != nil {
			t.Errorf("%s: %v", f.Title, err)
		}
	}
	for last, want := range map[string]int{"": 2, "tuf": 1, "tuf.v1": 0, "a": 2} {
		var tags []string
		if err := repo.Tags(ctx, last, func(page []string) error { tags = append(tags, page...); return nil }); err != nil || len(tags) != want {
			t.Errorf("tags after %q: %v, %v", last, tags, err)
		}
	}
	del, ok := repo.(content.Deleter)
	if !ok {
		return
	}
	if err := del.Delete(ctx, b.Descriptor); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Resolve(ctx, "tuf.v1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: got %v, want ErrNotFound", err)
	}
	if err := del.Delete(ctx, b.Descriptor); !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("deleted twice: got %v", err)
	}
}
