package ociremote

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
)

func newLayout(t *testing.T) (WritableRepository, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	repo, err := CreateLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	return repo, dir
}

// noTemps fails if something was left behind.
func noTemps(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, tempPattern))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestLayout(t *testing.T) {
	t.Parallel()
	repo, dir := newLayout(t)
	if _, err := os.Stat(dir); err == nil {
		t.Error("an empty layout was written")
	}
	if _, err := FetchBundle(t.Context(), repo, "tuf", Known{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("before the first push: got %v, want ErrNotFound", err)
	}
	testWritable(t, repo)
	noTemps(t, dir)
	again, err := openLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FetchBundle(t.Context(), again, "tuf", Known{}); err != nil {
		t.Error(err)
	}
}

// What oras finds in what we write is what we wrote.
func TestLayoutIsReadByOras(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	repo, dir := newLayout(t)
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, repo, b, blobs, "tuf")
	push(t, repo, b, blobs, "tuf.v1")
	store, err := oci.NewFromFS(ctx, os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.tar")
	archive, err := CreateArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	push(t, archive, b, blobs, "tuf")
	if err := archive.Commit(); err != nil {
		t.Fatal(err)
	}
	fromTar, err := oci.NewFromTar(ctx, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []oras.ReadOnlyTarget{store, fromTar} {
		dst := NewMemory()
		desc, err := src.Resolve(ctx, "tuf")
		if err != nil {
			t.Fatal(err)
		}
		if err := oras.CopyGraph(ctx, src, dst, desc, oras.DefaultCopyGraphOptions); err != nil {
			t.Fatal(err)
		}
		got, err := FetchBundle(ctx, dst, desc.Digest.String(), Known{})
		if err != nil || !bytes.Equal(got.Manifest, b.Manifest) {
			t.Errorf("copied: %v", err)
		}
	}
}

// What oras writes is found, too: bare tags.
func TestLayoutOfOras(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	store, err := oci.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	for _, blob := range blobs {
		if err := store.Push(ctx, blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Push(ctx, b.Descriptor, bytes.NewReader(b.Manifest)); err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(ctx, b.Descriptor, "tuf"); err != nil {
		t.Fatal(err)
	}
	repo, err := openLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := FetchBundle(ctx, repo, "tuf", Known{}); err != nil || !got.SameContent(b) {
		t.Error(err)
	}
}

// setIndex replaces the entries of index.json by ones with these names, ""
// being none.
func setIndex(t *testing.T, dir string, entries ...ocispec.Descriptor) {
	t.Helper()
	data := encode(t, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: entries})
	if err := os.WriteFile(filepath.Join(dir, ocispec.ImageIndexFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func named(d ocispec.Descriptor, name string) ocispec.Descriptor {
	if name != "" {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	}
	return d
}

func TestLayoutNames(t *testing.T) {
	t.Parallel()
	repo, dir := newLayout(t)
	a, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, repo, a, blobs, "x")
	b, blobs := mustPack(t, someFiles()[:2], PackOptions{})
	push(t, repo, b, blobs, "x")
	partial, blobs := mustPack(t, someFiles()[:3], PackOptions{Partial: true})
	push(t, repo, partial, blobs, "x")
	image := descriptorOf(ocispec.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"`+someDigest+`","size":1},"layers":[]}`))
	for _, tt := range []struct {
		name    string
		entries []ocispec.Descriptor
		ask     string
		want    *Bundle // nil: not found
		err     error
	}{
		{"bare tag", []ocispec.Descriptor{named(a.Descriptor, "tuf"), named(b.Descriptor, "other")}, "tuf", a, nil},
		{"full reference", []ocispec.Descriptor{named(a.Descriptor, "registry.example.com:5000/acme/trust:tuf"), named(b.Descriptor, "other")}, "tuf", a, nil},
		{"bare before full", []ocispec.Descriptor{named(a.Descriptor, "host/acme:tuf"), named(b.Descriptor, "tuf")}, "tuf", b, nil},
		{"one manifest twice", []ocispec.Descriptor{named(a.Descriptor, "h1/acme:tuf"), named(a.Descriptor, "h2/acme:tuf")}, "tuf", a, nil},
		{"ambiguous full references", []ocispec.Descriptor{named(a.Descriptor, "h1/acme:tuf"), named(b.Descriptor, "h2/acme:tuf")}, "tuf", nil, ErrMalformed},
		{"two bare tags", []ocispec.Descriptor{named(a.Descriptor, "tuf"), named(b.Descriptor, "tuf")}, "tuf", nil, ErrMalformed},
		{"no name", []ocispec.Descriptor{a.Descriptor}, "tuf", a, nil},
		{"no name, another channel", []ocispec.Descriptor{a.Descriptor}, "beta", a, nil},
		{"no name, a history tag", []ocispec.Descriptor{a.Descriptor}, "tuf.v1", nil, ErrNotFound},
		{"no name beside others", []ocispec.Descriptor{image, partial.Descriptor, a.Descriptor}, "tuf", a, nil},
		{"no names", []ocispec.Descriptor{a.Descriptor, b.Descriptor}, "tuf", nil, ErrMalformed},
		{"no name, not alone", []ocispec.Descriptor{a.Descriptor, named(b.Descriptor, "other")}, "tuf", nil, ErrNotFound},
		{"no name, an image", []ocispec.Descriptor{image}, "tuf", nil, ErrNotFound},
		{"no name, partial", []ocispec.Descriptor{partial.Descriptor}, "tuf", nil, ErrNotFound},
		{"tag at the end of a path", []ocispec.Descriptor{named(a.Descriptor, "x:y:tuf")}, "tuf", nil, ErrNotFound},
		{"nothing", nil, "tuf", nil, ErrNotFound},
		{"digest in the index", []ocispec.Descriptor{named(a.Descriptor, "x")}, a.Descriptor.Digest.String(), a, nil},
		{"digest not in the index", []ocispec.Descriptor{named(b.Descriptor, "x")}, a.Descriptor.Digest.String(), a, nil},
		{"unknown digest", []ocispec.Descriptor{named(b.Descriptor, "x")}, someDigest, nil, ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if image.Digest != "" {
				path := filepath.Join(dir, filepath.FromSlash(blobFile(image.Digest)))
				if err := os.WriteFile(path, []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"`+someDigest+`","size":1},"layers":[]}`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			setIndex(t, dir, tt.entries...)
			l, err := openLayout(dir)
			if err != nil {
				t.Fatal(err)
			}
			got, err := FetchBundle(t.Context(), l, tt.ask, Known{})
			if tt.want == nil {
				if got != nil || !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				return
			}
			if err != nil || got.Descriptor.Digest != tt.want.Descriptor.Digest {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A tag that moves changes its own entry of index.json and no other byte that
// others wrote.
func TestLayoutKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	repo, dir := newLayout(t)
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, repo, b, blobs, "x")
	foreign := []string{
		`{"digest":"sha512:abc" , "size": 1e2,"mediaType":"application/x","future":{"a":[1.50,null]}}`,
		`{ "mediaType":"application/vnd.oci.image.index.v1+json","digest":"` + someDigest + `","size":12,"annotations":{"org.opencontainers.image.ref.name":"v1","\u006dine":"<&>"},"platform":{"os":"linux"}}`,
	}
	before := `{"future" : {"x":1.0}, "manifests":[` + foreign[0] + `,{"mediaType":"x","digest":"` + someDigest + `","size":1,"annotations":{"org.opencontainers.image.ref.name":"tuf"}},` + foreign[1] + `],"schemaVersion":2,"annotations":{"b":"1","a":"2"}}`
	index := filepath.Join(dir, ocispec.ImageIndexFile)
	if err := os.WriteFile(index, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	push(t, repo, b, blobs, "tuf")
	after, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(foreign, `"future":{"x":1.0}`, `"annotations":{"b":"1","a":"2"}`) {
		if !bytes.Contains(after, []byte(want)) {
			t.Errorf("%s\nhas no %s", after, want)
		}
	}
	if bytes.Contains(after, []byte(`"mediaType":"x"`)) {
		t.Error("the old entry of the tag is still there")
	}
	if got, err := FetchBundle(t.Context(), repo, "tuf", Known{}); err != nil || got.Descriptor.Digest != b.Descriptor.Digest {
		t.Error(err)
	}
	if err := repo.(*layoutDirectory).Delete(t.Context(), b.Descriptor); err != nil {
		t.Fatal(err)
	}
	after, _ = os.ReadFile(index)
	for _, want := range foreign {
		if !bytes.Contains(after, []byte(want)) {
			t.Errorf("deleting: %s\nhas no %s", after, want)
		}
	}
}

func TestLayoutRefusesDirectories(t *testing.T) {
	t.Parallel()
	b, _ := mustPack(t, someFiles(), PackOptions{})
	write := func(name, text string) func(dir string) {
		return func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	marker, index := write(ocispec.ImageLayoutFile, string(layoutMarker)), write(ocispec.ImageIndexFile, `{"schemaVersion":2,"manifests":[]}`)
	tests := []struct {
		name     string
		files    []func(string)
		read     error // what reading says; nil: it is taken
		writable bool
	}{
		{"empty", nil, ErrNotFound, true},
		{"of something else", []func(string){write("file", "x")}, ErrNotFound, false},
		{"without index", []func(string){marker}, ErrNotFound, true},
		{"without marker", []func(string){index}, ErrNotFound, false},
		{"whole", []func(string){marker, index}, nil, true},
		{"other version", []func(string){write(ocispec.ImageLayoutFile, `{"imageLayoutVersion":"2.0.0"}`), index}, ErrMalformed, false},
		{"marker no JSON", []func(string){write(ocispec.ImageLayoutFile, `x`), index}, ErrMalformed, false},
		{"marker too large", []func(string){write(ocispec.ImageLayoutFile, strings.Repeat(" ", maxLayoutFile+1)), index}, ErrTooLarge, false},
		{"index no JSON", []func(string){marker, write(ocispec.ImageIndexFile, `x`)}, ErrMalformed, false},
		{"index with a key twice", []func(string){marker, write(ocispec.ImageIndexFile, `{"manifests":[],"manifests":[]}`)}, ErrMalformed, false},
		{"index with a key in another spelling", []func(string){marker, write(ocispec.ImageIndexFile, `{"Manifests":[]}`)}, ErrMalformed, false},
		{"index without entries", []func(string){marker, write(ocispec.ImageIndexFile, `{"manifests":null}`)}, nil, true},
		{"index with an object of entries", []func(string){marker, write(ocispec.ImageIndexFile, `{"manifests":{}}`)}, ErrMalformed, false},
		{"index too large", []func(string){marker, func(dir string) {
			write(ocispec.ImageIndexFile, "{}")(dir)
			if err := os.Truncate(filepath.Join(dir, ocispec.ImageIndexFile), maxIndex+1); err != nil {
				t.Fatal(err)
			}
		}}, ErrTooLarge, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, f := range tt.files {
				f(dir)
			}
			if _, err := openLayout(dir); !errors.Is(err, tt.read) {
				t.Errorf("reading: got %v, want %v", err, tt.read)
			}
			repo, err := CreateLayout(dir)
			if (err == nil) != tt.writable {
				t.Fatalf("writing: got %v", err)
			}
			if err != nil {
				return
			}
			if err := repo.PushReference(t.Context(), b.Descriptor, bytes.NewReader(b.Manifest), "tuf"); err != nil {
				t.Fatal(err)
			}
			if _, err := openLayout(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// A blob that is there and damaged is written anew.
func TestLayoutHealsBlobs(t *testing.T) {
	t.Parallel()
	repo, dir := newLayout(t)
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, repo, b, blobs, "tuf")
	last := blobs[len(blobs)-1]
	path := filepath.Join(dir, filepath.FromSlash(blobFile(last.Descriptor.Digest)))
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), int(last.Descriptor.Size)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchBlob(t.Context(), repo, last.Descriptor, 100); !errors.Is(err, ErrMalformed) {
		t.Errorf("damaged: got %v", err)
	}
	push(t, repo, b, blobs, "tuf")
	if _, err := FetchBlob(t.Context(), repo, last.Descriptor, 100); err != nil {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchBlob(t.Context(), repo, last.Descriptor, 100); !errors.Is(err, ErrBlobNotFound) {
		t.Errorf("lost: got %v", err)
	}
	// A manifest that the index names and that is lost is no missing tag.
	if err := os.Remove(filepath.Join(dir, filepath.FromSlash(blobFile(b.Descriptor.Digest)))); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchBundle(t.Context(), repo, "tuf", Known{}); !errors.Is(err, ErrBlobNotFound) || errors.Is(err, ErrNotFound) {
		t.Errorf("lost manifest: got %v", err)
	}
}

// Writers of one directory lose no tag, and readers always find a whole index.
func TestLayoutConcurrently(t *testing.T) {
	t.Parallel()
	_, dir := newLayout(t)
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	const writers, tags = 4, 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			repo, err := CreateLayout(dir)
			if err != nil {
				t.Error(err)
				return
			}
			for _, blob := range blobs {
				if err := repo.Push(t.Context(), blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
					t.Error(err)
				}
			}
			for i := range tags {
				if err := repo.PushReference(t.Context(), b.Descriptor, bytes.NewReader(b.Manifest), fmt.Sprintf("t%d-%d", w, i)); err != nil {
					t.Error(err)
				}
				l, err := openLayout(dir)
				if err != nil {
					t.Error(err)
					continue
				}
				if _, err := FetchBundle(t.Context(), l, fmt.Sprintf("t%d-%d", w, i), Known{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	repo, err := CreateLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := repo.Tags(t.Context(), "", func(page []string) error { n += len(page); return nil }); err != nil || n != writers*tags {
		t.Errorf("%d tags, %v", n, err)
	}
	noTemps(t, dir)
}

func TestLayoutLockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	repo, _ := newLayout(t)
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, repo, b, blobs, "tuf")
	held := repo.(*layoutDirectory)
	err := held.update(t.Context(), func(*layoutIndex) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return repo.PushReference(ctx, b.Descriptor, bytes.NewReader(b.Manifest), "other")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "x.tar")
	archive, err := CreateArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	testWritable(t, archive)
	if _, err := os.Stat(file); err == nil {
		t.Error("the archive is there before its end")
	}
	if err := archive.Commit(); err != nil {
		t.Fatal(err)
	}
	noTemps(t, dir)
	if err := archive.Close(); err != nil {
		t.Error(err)
	}
	if archive.Commit() == nil || archive.Push(t.Context(), descriptorOf("x", nil), bytes.NewReader(nil)) == nil {
		t.Error("a closed archive is used")
	}
	if _, err := archive.Resolve(t.Context(), "tuf"); err == nil {
		t.Error("a closed archive is read")
	}
	repo, err := openArchive(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := mustPack(t, someFiles()[:2], PackOptions{})
	got, err := FetchBundle(t.Context(), repo, "tuf", Known{})
	if err != nil || got.Descriptor.Digest != b.Descriptor.Digest {
		t.Fatal(err)
	}
	for _, f := range got.Files {
		if _, err := FetchBlob(t.Context(), repo, f.Descriptor, 1000); err != nil {
			t.Error(err)
		}
	}
	// What was opened stays what it was.
	second, err := CreateArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchBundle(t.Context(), repo, "tuf", Known{}); err != nil {
		t.Error(err)
	}
	if repo, err = openArchive(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchBundle(t.Context(), repo, "tuf", Known{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an empty archive: got %v", err)
	}
}

func TestArchiveDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "x.tar")
	if err := os.WriteFile(file, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	archive, err := CreateArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, archive, b, blobs, "tuf")
	if err := archive.Close(); err != nil {
		t.Error(err)
	}
	noTemps(t, dir)
	if data, err := os.ReadFile(file); err != nil || string(data) != "as it was" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := CreateArchive(filepath.Join(dir, "none", "x.tar")); err == nil {
		t.Error("an archive in no directory")
	}
}

// The same pushes give the same bytes.
func TestArchiveIsDeterministic(t *testing.T) {
	t.Parallel()
	var sums []digest.Digest
	for range 2 {
		file := filepath.Join(t.TempDir(), "x.tar")
		archive, err := CreateArchive(file)
		if err != nil {
			t.Fatal(err)
		}
		b, blobs := mustPack(t, someFiles(), PackOptions{})
		// One that fails leaves no trace.
		if archive.Push(t.Context(), descriptorOf("x", []byte("right")), strings.NewReader("wrong")) == nil {
			t.Error("content of another digest was taken")
		}
		for _, name := range []string{"tuf", "tuf.v2", "beta"} {
			push(t, archive, b, blobs, name)
		}
		if err := archive.Commit(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("wrong")) {
			t.Error("what was refused is in the archive")
		}
		sums = append(sums, digest.FromBytes(data))
	}
	if sums[0] != sums[1] {
		t.Error("the archives differ")
	}
}

func TestArchiveRefuses(t *testing.T) {
	t.Parallel()
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	good := filepath.Join(t.TempDir(), "x.tar")
	archive, err := CreateArchive(good)
	if err != nil {
		t.Fatal(err)
	}
	push(t, archive, b, blobs, "tuf")
	if err := archive.Commit(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	twice := tarOf(t, []Content{{Title: ocispec.ImageLayoutFile, Data: layoutMarker}, {Title: "./" + ocispec.ImageLayoutFile, Data: layoutMarker}}, nil)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"gzip", gzipped(t, data), "gunzip"},
		{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0}, "unzstd"},
		{"empty", nil, "no OCI layout"},
		{"text", []byte(strings.Repeat("no tar ", 200)), "invalid tar"},
		{"cut off", data[:len(data)/2+100], "EOF"},
		{"other tar", tarOf(t, someFiles(), nil), "no OCI layout"},
		{"entry two times", twice, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.tar")
			if err := os.WriteFile(file, tt.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := openArchive(t.Context(), file); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := openArchive(t.Context(), filepath.Join(t.TempDir(), "none.tar")); !errors.Is(err, ErrNotFound) {
		t.Errorf("no file: got %v", err)
	}
	if _, err := openArchive(t.Context(), t.TempDir()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a directory: got %v", err)
	}
}

// A tar made by another program: directories, a leading "./", PAX headers.
func TestArchiveOfTar(t *testing.T) {
	t.Parallel()
	repo, dir := newLayout(t)
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, repo, b, blobs, "tuf")
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		hdr, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		hdr.Name, hdr.Format, hdr.PAXRecords = "./"+filepath.ToSlash(rel), tar.FormatPAX, map[string]string{"TUFOCI.test": "x"}
		if d.IsDir() {
			return tw.WriteHeader(hdr)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		hdr.Size = int64(len(data))
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		_, err = tw.Write(data)
		return err
	})
	if err := errors.Join(err, tw.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := openArchive(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := FetchBundle(t.Context(), l, "tuf", Known{})
	if err != nil || !got.SameContent(b) {
		t.Fatal(err)
	}
	rc, err := l.Fetch(t.Context(), got.Files[0].Descriptor)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(rc); err != nil || digest.FromBytes(data) != got.Files[0].Descriptor.Digest {
		t.Error(err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
}

func TestIndexTags(t *testing.T) {
	t.Parallel()
	idx, err := parseIndex(encode(t, ocispec.Index{Manifests: []ocispec.Descriptor{
		named(descriptorOf("x", nil), "b"), named(descriptorOf("x", nil), "host/repo:a"), named(descriptorOf("x", nil), "b"), descriptorOf("x", nil),
		named(descriptorOf("x", nil), "host/repo"), named(descriptorOf("x", nil), "host:5000/repo"),
	}}))
	if err != nil || !slices.Equal(idx.tags(), []string{"a", "b"}) {
		t.Errorf("got %q, %v", idx.tags(), err)
	}
	data, err := idx.encode()
	if err != nil || !json.Valid(data) {
		t.Errorf("%s, %v", data, err)
	}
	if data, err = emptyIndex().encode(); err != nil || string(data) != `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}` {
		t.Errorf("%s, %v", data, err)
	}
	if data, err = (&layoutIndex{}).encode(); err != nil || string(data) != `{"manifests":[]}` {
		t.Errorf("%s, %v", data, err)
	}
}

// A sealed archive is complete and has no name yet.
func TestArchiveSealed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "x.tar")
	archive, err := CreateArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	b, blobs := mustPack(t, someFiles(), PackOptions{})
	push(t, archive, b, blobs, "tuf")
	sealed, err := archive.Seal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it has its name before Commit")
	}
	if err := archive.Push(t.Context(), descriptorOf("x", []byte("more")), strings.NewReader("more")); err == nil {
		t.Error("something was added to a sealed archive")
	}
	if err := archive.PushReference(t.Context(), b.Descriptor, bytes.NewReader(b.Manifest), "other"); err == nil {
		t.Error("something got another name in a sealed archive")
	}
	if again, err := archive.Seal(); err != nil || again.Digest != sealed.Digest {
		t.Errorf("sealed again: %v", err)
	}
	if err := archive.Commit(); err != nil {
		t.Fatal(err)
	}
	noTemps(t, dir)
	data, err := os.ReadFile(file)
	if err != nil || digest.FromBytes(data) != sealed.Digest || int64(len(data)) != sealed.Size {
		t.Errorf("the file is not what was sealed: %v", err)
	}
	if got, err := FetchBundle(t.Context(), sealed, "tuf", Known{}); err != nil || got.Descriptor.Digest != b.Descriptor.Digest {
		t.Error(err)
	}
	if _, err := archive.Seal(); err == nil {
		t.Error("a closed archive is sealed")
	}
}

// An index in which very many manifests have one name is searched in one go, since nobody
// can give that up.
func TestManyOfOneName(t *testing.T) {
	t.Parallel()
	const many = 25_000 // as fit into an index.json
	idx := &layoutIndex{}
	for n := range many {
		d := ocispec.Descriptor{Digest: digest.Digest(fmt.Sprintf("sha256:%064x", n)), Annotations: map[string]string{ocispec.AnnotationRefName: "host/x:tuf"}}
		idx.append(layoutEntry{desc: d})
		idx.append(layoutEntry{desc: d})
	}
	start := time.Now()
	found, err := idx.find("tuf", true)
	if took := time.Since(start); err != nil || len(found) != many || took > time.Second {
		t.Errorf("%d found in %v, %v", len(found), took, err)
	}
	if _, err := idx.find("host/x:tuf", true); err == nil {
		t.Error("one of many was taken")
	}
}
