package ociremote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// noise is n bytes that do not compress, the same for the same seed.
func noise(seed string, n int) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

// someFiles is a small repository.
func someFiles() []Content {
	return []Content{
		{Title: "metadata/timestamp.json", Data: []byte(`{"timestamp":3}`)},
		{Title: "metadata/2.snapshot.json", Data: []byte(`{"snapshot":2}`)},
		{Title: "metadata/1.targets.json", Data: []byte(`{"targets":1}`)},
		{Title: "metadata/1.root.json", Data: []byte(`{"root":1}`)},
		{Title: "metadata/2.root.json", Data: []byte(`{"root":2}`)},
		{Title: "targets/dir/0a.file", Data: []byte("a file")},
	}
}

func mustPack(t *testing.T, files []Content, o PackOptions) (*Bundle, []Blob) {
	t.Helper()
	b, blobs, err := Pack(files, o)
	if err != nil {
		t.Fatal(err)
	}
	return b, blobs
}

// push stores a bundle under a name.
func push(t *testing.T, repo WritableRepository, b *Bundle, blobs []Blob, name string) {
	t.Helper()
	ctx := context.Background()
	for _, blob := range blobs {
		if err := repo.Push(ctx, blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.PushReference(ctx, b.Descriptor, bytes.NewReader(b.Manifest), name); err != nil {
		t.Fatal(err)
	}
}

func TestPackRoundTrip(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{"", LayoutDefault, LayoutNoData, LayoutGitLab} {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			subject := descriptorOf(ocispec.MediaTypeImageManifest, []byte("image"))
			want, blobs := mustPack(t, someFiles(), PackOptions{
				Layout: layout, Partial: true, Subject: &subject, Annotations: map[string]string{AnnotationRootVersion: "2"},
			})
			repo := NewMemory()
			push(t, repo, want, blobs, "tuf")
			got, err := FetchBundle(t.Context(), repo, "tuf", Known{})
			if err != nil {
				t.Fatal(err)
			}
			if !got.Partial || got.Legacy || got.Annotations[AnnotationRootVersion] != "2" || got.Annotations[AnnotationVersion] != "1" {
				t.Errorf("got %+v", got)
			}
			if wantLayout := layout; got.Layout != want.Layout || (wantLayout != "" && got.Layout != wantLayout) {
				t.Errorf("layout %q, packed %q, asked for %q", got.Layout, want.Layout, layout)
			}
			if got.Subject == nil || got.Subject.Digest != subject.Digest {
				t.Errorf("subject %v", got.Subject)
			}
			if !got.SameContent(want) || len(got.Files) != len(someFiles()) {
				t.Errorf("files %v, want %v", got.Files, want.Files)
			}
			for _, f := range someFiles() {
				if data, ok := got.Inline(f.Title); !ok || !bytes.Equal(data, f.Data) {
					t.Errorf("%s: inline %q, want %q", f.Title, data, f.Data)
				}
				file, ok := got.File(f.Title)
				if !ok {
					t.Fatalf("%s is missing", f.Title)
				}
				data, err := FetchBlob(t.Context(), repo, file.Descriptor, 1000)
				if err != nil || !bytes.Equal(data, f.Data) {
					t.Errorf("%s: %q, %v", f.Title, data, err)
				}
			}
			if hasData := bytes.Contains(got.Manifest, []byte(`"data"`)); hasData != (layout != LayoutNoData) {
				t.Errorf("manifest has data: %v", hasData)
			}
			if hasType := bytes.Contains(got.Manifest, []byte(`"artifactType"`)); hasType != (layout != LayoutGitLab) {
				t.Errorf("manifest has an artifact type: %v", hasType)
			}
		})
	}
}

func TestPackIsDeterministic(t *testing.T) {
	t.Parallel()
	files := someFiles()
	a, blobs := mustPack(t, files, PackOptions{})
	for i := range files[:len(files)/2] {
		j := len(files) - 1 - i
		files[i], files[j] = files[j], files[i]
	}
	b, _ := mustPack(t, files, PackOptions{})
	if !bytes.Equal(a.Manifest, b.Manifest) {
		t.Error("another order of files gives another manifest")
	}
	if !a.SameContent(b) {
		t.Error("the content is not the same")
	}
	seen := map[digest.Digest]bool{}
	for _, blob := range blobs {
		if seen[blob.Descriptor.Digest] {
			t.Errorf("%s twice", blob.Descriptor.Digest)
		}
		seen[blob.Descriptor.Digest] = true
	}
	if blobs[0].Descriptor.MediaType != ocispec.MediaTypeEmptyJSON || blobs[1].Descriptor.MediaType != MediaTypeInline {
		t.Errorf("blobs %v", blobs[:2])
	}
}

func TestPackEachBlobOnce(t *testing.T) {
	t.Parallel()
	d := descriptorOf("", []byte("same"))
	_, blobs := mustPack(t, []Content{
		{Title: "targets/a", Digest: d.Digest, Size: d.Size},
		{Title: "targets/b", Data: []byte("same")},
		{Title: "targets/c", Data: []byte("{}")},
		{Title: "targets/d", Digest: digest.FromString("elsewhere"), Size: 9},
	}, PackOptions{})
	if len(blobs) != 4 {
		t.Fatalf("%d blobs: config, inline layer and two files are wanted", len(blobs))
	}
	if string(blobs[2].Data) != "same" || blobs[3].Data != nil {
		t.Errorf("blobs %v", blobs[2:])
	}
}

// The inline layer is filled in its order, skips what does not fit and goes on.
func TestPackFillsInOrder(t *testing.T) {
	t.Parallel()
	files := []Content{
		{Title: "metadata/timestamp.json", Data: noise("t", 1000)},
		{Title: "metadata/9.snapshot.json", Data: noise("s", 1000)},
		{Title: "metadata/9.targets.json", Data: noise("g", 1000)},
		{Title: "metadata/10.root.json", Data: noise("10", 1000)},
		{Title: "metadata/9.root.json", Data: noise("9", 1000)},
		{Title: "metadata/2.root.json", Data: noise("2", 1000)},
		{Title: "metadata/1.aaa.json", Data: noise("a", 1000)},
		{Title: "targets/aaa", Data: noise("ta", 1000)},
		{Title: "targets/bbb", Data: noise("tb", 1000)},
	}
	base, _ := mustPack(t, files, PackOptions{MaxManifest: 1})
	if len(base.inline) != 0 {
		t.Fatalf("%d files inline in no room", len(base.inline))
	}
	for n := 1; n <= len(files); n++ {
		limit := base.Descriptor.Size + 300 + int64(n)*1560
		b, _ := mustPack(t, files, PackOptions{MaxManifest: limit})
		if b.Descriptor.Size > limit {
			t.Errorf("room for %d: %d bytes, the limit is %d", n, b.Descriptor.Size, limit)
		}
		if len(b.inline) != n {
			t.Errorf("room for %d: %d inline", n, len(b.inline))
		}
		for _, f := range files[:n] {
			if _, ok := b.Inline(f.Title); !ok {
				t.Errorf("room for %d: %s is not inline", n, f.Title)
			}
		}
	}
	files[1].Data = noise("s", 100_000)
	b, _ := mustPack(t, files, PackOptions{MaxManifest: 20_000})
	if _, ok := b.Inline(files[1].Title); ok || len(b.inline) != len(files)-1 {
		t.Errorf("%d inline, the large one: %v", len(b.inline), ok)
	}
}

// Files that compress well together are judged by what they really take.
func TestPackUsesTheRoom(t *testing.T) {
	t.Parallel()
	var files []Content
	common := noise("common", 3000)
	for i := range 60 {
		files = append(files, Content{Title: fmt.Sprintf("targets/%03d", i), Data: append(noise(fmt.Sprint(i), 10), common...)})
	}
	b, _ := mustPack(t, files, PackOptions{MaxManifest: 40_000})
	if len(b.inline) != len(files) || b.Descriptor.Size > 40_000 {
		t.Errorf("%d of %d inline in %d bytes", len(b.inline), len(files), b.Descriptor.Size)
	}
}

// Files that compress worse together than alone do not overfill the manifest.
func TestPackNeverOverfills(t *testing.T) {
	t.Parallel()
	var files []Content
	for i := range 12 {
		data := noise(fmt.Sprint(i), 1500)
		for j := range data {
			data[j] = byte(16*i) + data[j]%16
		}
		files = append(files, Content{Title: fmt.Sprintf("targets/%02d", i), Data: data})
	}
	base, _ := mustPack(t, files, PackOptions{MaxManifest: 1})
	for _, extra := range []int64{3000, 6000, 9000, 12000, 15000} {
		limit := base.Descriptor.Size + extra
		b, _ := mustPack(t, files, PackOptions{MaxManifest: limit})
		if b.Descriptor.Size > limit || len(b.inline) == 0 {
			t.Errorf("%d files inline in %d bytes, the limit is %d", len(b.inline), b.Descriptor.Size, limit)
		}
	}
}

func TestPackSkipsNamesThatUSTARCannotHold(t *testing.T) {
	t.Parallel()
	b, _ := mustPack(t, []Content{
		{Title: "targets/ä", Data: []byte("x")},
		{Title: "targets/" + strings.Repeat("n", 300), Data: []byte("x")},
		{Title: "targets/plain", Data: []byte("x")},
	}, PackOptions{})
	if len(b.Files) != 3 || len(b.inline) != 1 {
		t.Errorf("%d files, %d inline", len(b.Files), len(b.inline))
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	ok := someFiles()
	var many []Content
	for i := range 1100 {
		many = append(many, Content{Title: fmt.Sprintf("targets/%04d%s", i, strings.Repeat("n", 4000)), Digest: digest.FromString("x"), Size: 1})
	}
	tests := []struct {
		name  string
		files []Content
		o     PackOptions
		want  string
	}{
		{"no files", nil, PackOptions{}, "no files"},
		{"title", append(ok[:1:1], Content{Title: "elsewhere/x", Data: []byte("x")}), PackOptions{}, "neither below"},
		{"title twice", append(ok[:1:1], ok[0]), PackOptions{}, "twice"},
		{"digest of other data", []Content{{Title: "targets/x", Data: []byte("x"), Digest: digest.FromString("y"), Size: 1}}, PackOptions{}, "the data has"},
		{"size of other data", []Content{{Title: "targets/x", Data: []byte("x"), Digest: digest.FromString("x"), Size: 2}}, PackOptions{}, "the data has"},
		{"no data and no digest", []Content{{Title: "targets/x"}}, PackOptions{}, "invalid digest"},
		{"negative size", []Content{{Title: "targets/x", Digest: digest.FromString("x"), Size: -1}}, PackOptions{}, "out of range"},
		{"layout", ok, PackOptions{Layout: "other"}, "unknown layout"},
		{"annotation", ok, PackOptions{Annotations: map[string]string{"a": strings.Repeat("x", 256)}}, "255"},
		{"too many", many, PackOptions{}, "too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, blobs, err := Pack(tt.files, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || b != nil || blobs != nil {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, _, err := Pack(many, PackOptions{}); !errors.Is(err, ErrTooLarge) || errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}
