package ociremote

import (
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
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// namedWriters are the two kinds, each with what opens what was written.
func namedWriters(t *testing.T) map[string]func(t *testing.T) (NamedWriter, func() Repository) {
	return map[string]func(t *testing.T) (NamedWriter, func() Repository){
		"archive": func(t *testing.T) (NamedWriter, func() Repository) {
			file := filepath.Join(t.TempDir(), "x.tar")
			a, err := CreateArchive(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = a.Close() })
			return a, func() Repository {
				if err := a.Commit(); err != nil {
					t.Fatal(err)
				}
				l, err := openArchive(t.Context(), file)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
		},
		"layout": func(t *testing.T) (NamedWriter, func() Repository) {
			w, dir := newLayout(t)
			return w.(NamedWriter), func() Repository {
				if err := w.(NamedWriter).Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				l, err := openLayout(dir)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
		},
	}
}

// manifestOf is an image manifest that differs by a text, and may refer to another.
func manifestOf(text, artifactType string, subject *ocispec.Descriptor) (ocispec.Descriptor, []byte) {
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType, Config: ocispec.DescriptorEmptyJSON,
		Annotations: map[string]string{"text": text}, Subject: subject,
	}
	m.SchemaVersion = 2
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return descriptorOf(m.MediaType, data), data
}

func pushNamed(t *testing.T, w NamedWriter, d ocispec.Descriptor, data []byte, name string) {
	t.Helper()
	if err := w.PushNamed(t.Context(), d, bytes.NewReader(data), name, map[string]string{"io.example": "kept"}); err != nil {
		t.Fatal(err)
	}
}

func TestNamedEntries(t *testing.T) {
	t.Parallel()
	for name, create := range namedWriters(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, done := create(t)
			a, aData := manifestOf("a", "", nil)
			b, bData := manifestOf("b", "", nil)
			signature, signatureData := manifestOf("signature", "application/x", &a)
			pushNamed(t, w, a, aData, "registry.acme.io/shop/api:tuf")
			pushNamed(t, w, b, bData, "registry.acme.io/shop/web@"+b.Digest.String())
			described := signature
			described.ArtifactType = "application/x"
			pushNamed(t, w, described, signatureData, "")
			pushNamed(t, w, described, signatureData, "") // once more is once
			// Who writes does not take an image for the bundle.
			if _, err := w.Resolve(t.Context(), "tuf"); !errors.Is(err, ErrNotFound) {
				t.Errorf("tuf before it is there: %v", err)
			}
			bundle, blobs := mustPack(t, someFiles(), PackOptions{})
			push(t, w, bundle, blobs, "tuf")
			pushNamed(t, w, b, bData, "registry.acme.io/shop/api:1.0")
			pushNamed(t, w, a, aData, "registry.acme.io/shop/api:1.0") // moved
			for _, reopen := range []func() Repository{func() Repository { return w }, done} {
				repo := reopen()
				for name, want := range map[string]digest.Digest{
					"tuf": bundle.Descriptor.Digest, "registry.acme.io/shop/api:tuf": a.Digest, "registry.acme.io/shop/api:1.0": a.Digest,
					"registry.acme.io/shop/web@" + b.Digest.String(): b.Digest, b.Digest.String(): b.Digest,
				} {
					if got, err := repo.Resolve(t.Context(), name); err != nil || got.Digest != want {
						t.Errorf("%s is %s, %v", name, got.Digest, err)
					}
				}
				list, err := Referrers(t.Context(), repo, a, ReferrersOptions{ArtifactTypes: []string{"application/x"}})
				if err != nil || len(list.Descriptors) != 1 || list.Descriptors[0].Digest != signature.Digest || list.Descriptors[0].Annotations["text"] != "signature" {
					t.Errorf("referrers: %+v, %v", list, err)
				}
				entries, err := IndexEntries(t.Context(), repo)
				if err != nil || len(entries) != 5 {
					t.Errorf("%+v, %v", entries, err)
				}
				for _, e := range entries {
					switch {
					case e.Name == "" && e.Descriptor.ArtifactType != "application/x":
						t.Errorf("%+v", e)
					case strings.Contains(e.Name, "/api:") && (e.Descriptor.Annotations[AnnotationRepository] != "shop/api" || e.Descriptor.Annotations["io.example"] != "kept"):
						t.Errorf("%+v", e)
					}
				}
				var tags []string
				err = repo.(tagLister).Tags(t.Context(), "", func(page []string) error { tags = append(tags, page...); return nil })
				if err != nil || !slices.Equal(tags, []string{"tuf"}) {
					t.Errorf("tags are %q, %v", tags, err)
				}
			}
		})
	}
	if _, err := IndexEntries(t.Context(), NewMemory()); !errors.Is(err, ErrForeign) {
		t.Errorf("memory: %v", err)
	}
}

// tagLister is a repository that lists its tags.
type tagLister interface {
	Tags(ctx context.Context, last string, fn func([]string) error) error
}

func TestNamesAreCanonical(t *testing.T) {
	t.Parallel()
	d, data := manifestOf("a", "", nil)
	other := digest.FromString("other").String()
	for _, create := range namedWriters(t) {
		w, _ := create(t)
		for _, name := range []string{
			"tuf", "shop/api:1.0", "registry.acme.io/shop/api", "REGISTRY.acme.io/shop/api:1.0", "index.docker.io/library/x:1", "docker.io/x:1",
			"registry.acme.io/shop/api:1.0@" + d.Digest.String(), "registry.acme.io/shop/api@" + other, "oci-layout:x:1", "registry.acme.io/shop/api:a/b",
		} {
			if err := w.PushNamed(t.Context(), d, bytes.NewReader(data), name, nil); !errors.Is(err, ErrInvalidReference) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A layout gathers entries. Others see the older index until they are written, and what
// others write meanwhile stays.
func TestLayoutGathersEntries(t *testing.T) {
	t.Parallel()
	w, dir := newLayout(t)
	named := w.(NamedWriter)
	name := func(n int) string { return fmt.Sprintf("registry.acme.io/shop/api:%d", n) }
	manifests := map[int]ocispec.Descriptor{}
	add := func(n int) {
		d, data := manifestOf(fmt.Sprint(n), "", nil)
		manifests[n] = d
		pushNamed(t, named, d, data, name(n))
	}
	add(0) // makes the layout
	add(1)
	seen := func() int {
		l, err := openLayout(dir)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := IndexEntries(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if n := seen(); n != 1 {
		t.Errorf("%d entries are there", n)
	}
	second, err := CreateLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	other, data := manifestOf("other", "", nil)
	if err := second.PushReference(t.Context(), other, bytes.NewReader(data), "other"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{name(0), name(1), "other"} {
		if _, err := w.Resolve(t.Context(), n); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	for n := 2; n < maxPending+2; n++ {
		add(n)
	}
	if n := seen(); n < maxPending {
		t.Errorf("%d entries are there: they are not written in between", n)
	}
	if err := named.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := seen(); n != maxPending+3 {
		t.Errorf("%d entries in the end", n)
	}
	// What others replace in place is seen.
	index := filepath.Join(dir, ocispec.ImageIndexFile)
	before, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	swapped := strings.NewReplacer(manifests[0].Digest.String(), manifests[1].Digest.String(), manifests[1].Digest.String(), manifests[0].Digest.String()).Replace(string(before))
	if err := os.WriteFile(index, []byte(swapped), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := w.Resolve(t.Context(), name(0)); err != nil || d.Digest != manifests[1].Digest {
		t.Errorf("%s, %v", d.Digest, err)
	}
}

// Referrers of many images in one archive are all found, and each manifest is read once
// to learn what it refers to.
func TestReferrersOfManyImages(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	const images = 1500
	file := filepath.Join(t.TempDir(), "x.tar")
	a, err := CreateArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []ocispec.Descriptor
	for n := range images {
		d, data := manifestOf(fmt.Sprint(n), "", nil)
		all = append(all, d)
		pushNamed(t, a, d, data, fmt.Sprintf("registry.acme.io/shop/api:%d", n))
		s, data := manifestOf("of it", "application/x", &d)
		pushNamed(t, a, s, data, "")
		if n%500 == 0 { // in between, too
			if list, err := Referrers(t.Context(), a, d, ReferrersOptions{}); err != nil || len(list.Descriptors) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
		}
	}
	if err := a.Commit(); err != nil {
		t.Fatal(err)
	}
	l, err := openArchive(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	counting := &countingFiles{layoutFiles: l.files}
	l.files = counting
	for _, d := range all {
		list, err := Referrers(t.Context(), l, d, ReferrersOptions{})
		if err != nil || len(list.Descriptors) != 1 || list.Truncated {
			t.Fatalf("%+v, %v", list, err)
		}
	}
	if counting.opened > 3*images { // each once, and each referrer when it is asked for
		t.Errorf("%d files were opened", counting.opened)
	}
}

type countingFiles struct {
	layoutFiles
	opened int
}

func (c *countingFiles) open(name string) (io.ReadCloser, int64, error) {
	c.opened++
	return c.layoutFiles.open(name)
}

// wrapped passes lists of referrers on.
type wrapped struct{ Repository }

func (w wrapped) ListReferrers(ctx context.Context, subject ocispec.Descriptor, o ReferrersOptions) (*ReferrerList, error) {
	return Referrers(ctx, w.Repository, subject, o)
}

func TestWrappedReferrers(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	d, data := manifestOf("a", "", nil)
	s, sData := manifestOf("s", "application/x", &d)
	for _, e := range []struct {
		d    ocispec.Descriptor
		data []byte
	}{{d, data}, {s, sData}} {
		if err := m.Push(t.Context(), e.d, bytes.NewReader(e.data)); err != nil {
			t.Fatal(err)
		}
	}
	for types, want := range map[string]int{"application/x": 1, "application/y": 0} {
		list, err := Referrers(t.Context(), wrapped{m}, d, ReferrersOptions{ArtifactTypes: []string{types}})
		if err != nil || len(list.Descriptors) != want {
			t.Errorf("%s: %+v, %v", types, list, err)
		}
	}
}
