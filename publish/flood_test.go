package publish_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

// swell puts a bundle of the same metadata under its history tag, built on the head by its
// own account, with a file of so many bytes that takes next to nothing on its way.
func swell(t testing.TB, g *tuftest.Registry, tag string, size int) {
	t.Helper()
	files := map[string][]byte{"targets/filler": make([]byte, size)}
	b := bundle(t, remote(t, g, repository), tag)
	for _, f := range b.Files {
		data, ok := b.Inline(f.Title)
		if !ok {
			data, _ = g.Blob(repository, f.Descriptor.Digest.String())
		}
		files[f.Title] = data
	}
	annotations := maps.Clone(b.Annotations)
	delete(annotations, ociremote.AnnotationVersion)
	annotations[ociremote.AnnotationPrevious] = g.Digest(repository, channel)
	g.Push(repository, tag, tuftest.Pack(t, files, tuftest.PackOptions{Annotations: annotations, Inline: slices.Collect(maps.Keys(files))}))
}

// Whoever holds no key can put more into the bundles of a history than was signed: what was
// read of one is not held while the next is. It runs alone, since it looks at all memory.
func TestHistoryHoldsNoBundles(t *testing.T) {
	tuftest.Sequential(t)
	const bundles, size = 8, 4 << 20
	g, a := published(t)
	for range bundles {
		a.stage("", "a", a.now.String())
		a.now = a.now.Add(time.Minute)
		a.publish(g)
	}
	for n := range bundles {
		swell(t, g, fmt.Sprintf("tuf.v%d", n+1), size)
	}
	var first, last atomic.Uint64
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		for tag, at := range map[string]*atomic.Uint64{"tags/list": &first, "manifests/tuf.v1": &last} {
			if strings.HasSuffix(r.URL.Path, "/"+tag) {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				at.Store(m.HeapAlloc)
			}
		}
		next.ServeHTTP(w, r)
	})
	timeline := historyOf(t, g, a, publish.HistoryOptions{Concurrency: 1})
	for _, e := range timeline.Entries {
		if !e.Verified {
			t.Errorf("%s: %v", e.Tag, e.Err)
		}
	}
	if more := int64(last.Load()) - int64(first.Load()); first.Load() == 0 || last.Load() == 0 || more > bundles*size/2 {
		t.Errorf("%d bytes more are held at the end than at the start", more)
	}
}

// What is read of one claim, to find that nobody has signed it, is not held while the next
// is looked at: each asks for it anew.
func TestClaimsOfStrangersAreNotHeld(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	root := []byte(`{"signed":{},"signatures":[]}`)
	g.PutBlob(repository, root)
	manifest, _ := g.Manifest(repository, channel)
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	m.Layers = append(m.Layers[1:], ocispec.Descriptor{
		MediaType: ociremote.MediaTypeMetadata, Digest: digest.FromBytes(root), Size: int64(len(root)),
		Annotations: map[string]string{ocispec.AnnotationTitle: "metadata/2.root.json"},
	})
	m.Annotations[ociremote.AnnotationPrevious] = g.Digest(repository, channel)
	head := m.Annotations[ociremote.AnnotationPrevious]
	m.Annotations[ocispec.AnnotationCreated] = now.Add(-time.Hour).Format(time.RFC3339)
	claims := []string{"tuf.v2", "tuf.v3", "tuf.v4"}
	for _, tag := range claims {
		m.Annotations["claim"] = tag
		var data bytes.Buffer
		if err := json.NewEncoder(&data).Encode(m); err != nil {
			t.Fatal(err)
		}
		g.PutManifest(repository, tag, data.Bytes())
	}
	// One that says at length what it was built on is told in brief.
	m.Annotations[ociremote.AnnotationPrevious] = head + strings.Repeat("x", 1<<20)
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	g.PutManifest(repository, "tuf.v5", manifest)
	a.stage("", "a", "of a")
	g.Reset()
	var said warnings
	r, err := a.try(t.Context(), g, publish.Options{Warn: said.add})
	if err != nil || r.HistoryTag != "tuf.v6" {
		t.Fatalf("published as %+v, %v", r, err)
	}
	if text := said.String(); strings.Count(text, "is skipped") != len(claims)+1 || len(text) > 8<<10 {
		t.Errorf("%d bytes of warnings: %.2000s", len(text), text)
	}
	asked := 0
	for _, r := range g.Requests() {
		if strings.HasSuffix(r.Path, "/blobs/"+digest.FromBytes(root).String()) {
			asked++
		}
	}
	if asked < len(claims) {
		t.Errorf("the root that %d claims have was asked for %d times", len(claims), asked)
	}
}
