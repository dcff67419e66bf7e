package verify_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// rounds lets the registry answer a request only when all of its round have
// arrived: what waits for another one never gets there. Requests are named by the
// ends of their paths.
func (w *world) rounds(t *testing.T, rounds [][]string) (rest func() []string) {
	t.Helper()
	gates := make([]sync.WaitGroup, len(rounds))
	for i, round := range rounds {
		gates[i].Add(len(round))
	}
	var mu sync.Mutex
	left := make([][]string, len(rounds))
	for i := range rounds {
		left[i] = slices.Clone(rounds[i])
	}
	take := func(path string) int {
		mu.Lock()
		defer mu.Unlock()
		for i := range left {
			for j, end := range left[i] {
				if strings.HasSuffix(path, end) {
					left[i] = slices.Delete(left[i], j, j+1)
					return i
				}
			}
		}
		return -1
	}
	w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if i := take(r.URL.Path); i >= 0 {
			gates[i].Done()
			arrived := make(chan struct{})
			go func() { gates[i].Wait(); close(arrived) }()
			select {
			case <-arrived:
			case <-time.After(10 * time.Second):
				t.Errorf("%s waits in vain for others of %v", r.URL.Path, rounds[i])
			}
		}
		next.ServeHTTP(rw, r)
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Concat(left...)
	}
}

// TestRequests holds verify to the numbers of requests and round trips of the
// design.
func TestRequests(t *testing.T) {
	t.Parallel()
	const bundle = "acme/trust/manifests/tuf"
	mapping := func(w *world) { w.entry.Require = []string{trust.RequireMapping} }
	for name, tt := range map[string]struct {
		edit   func(w *world)
		known  bool // an earlier run has seen the tag
		digest bool // it is asked for by digest
		rounds func(manifest, referrers, signature, envelope string) [][]string
	}{
		"mapping by tag": {
			edit:   mapping,
			rounds: func(tag, _, _, _ string) [][]string { return [][]string{{bundle, tag}} },
		},
		"mapping by digest": {
			edit: mapping, digest: true,
			rounds: func(manifest, _, _, _ string) [][]string { return [][]string{{bundle, manifest}} },
		},
		"digest": {
			digest: true,
			rounds: func(manifest, referrers, signature, envelope string) [][]string {
				return [][]string{{bundle, manifest, referrers}, {signature}, {envelope}}
			},
		},
		"known tag": {
			known: true,
			rounds: func(manifest, referrers, signature, envelope string) [][]string {
				return [][]string{{bundle, manifest, referrers}, {signature}, {envelope}}
			},
		},
		"new tag": {
			rounds: func(manifest, referrers, signature, envelope string) [][]string {
				return [][]string{{bundle, manifest}, {referrers}, {signature}, {envelope}}
			},
		},
	} {
		for _, at := range registries {
			t.Run(name+"/"+string(at), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, at)
				image := w.push("hello", "1.0")
				w.mapped(image, "1.0")
				s := w.signBy(image, w.leaf, notationsign.Options{})
				ask := ":1.0"
				if tt.digest {
					ask = "@" + image.Digest.String()
				}
				if tt.edit != nil {
					tt.edit(w)
				}
				w.publish()
				if tt.known {
					if r := w.verify(ask); r.Err != nil {
						t.Fatal(r.Err)
					}
					w.registry.Reset()
				}
				rounds := tt.rounds("/manifests/"+ask[1:], "/referrers/"+image.Digest.String(), "/manifests/"+s.Digest.String(), "/blobs/"+w.envelopeOf(s))
				if at == withoutReferrers {
					rounds = withTag(rounds, image)
				}
				w.registry.Reset()
				rest := w.rounds(t, rounds)
				if r := w.verify(ask); r.Err != nil {
					t.Fatal(r.Err)
				}
				want := len(slices.Concat(rounds...))
				if got := w.requests(); len(got) != want || len(rest()) > 0 {
					t.Errorf("%d requests, want %d: %v; not made: %v", len(got), want, got, rest())
				}
			})
		}
	}
}

// envelopeOf is the digest of the envelope behind the manifest of a signature.
func (w *world) envelopeOf(s ocispec.Descriptor) string {
	w.t.Helper()
	data, _ := w.registry.Manifest(repository, s.Digest.String())
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		w.t.Fatal(err)
	}
	return m.Layers[0].Digest.String()
}

// withTag adds the request for the referrers tag behind that for the referrers.
func withTag(rounds [][]string, image ocispec.Descriptor) [][]string {
	for i, round := range rounds {
		if strings.HasPrefix(round[len(round)-1], "/referrers/") {
			tag := "/manifests/" + strings.Replace(image.Digest.String(), ":", "-", 1)
			return slices.Insert(rounds, i+1, []string{tag})
		}
	}
	return rounds
}

// Many images of one trust cost one refresh, and two trusts that decide on an image
// read it once.
func TestRequestsAreShared(t *testing.T) {
	t.Parallel()
	w, image := good(t, withReferrers)
	second := w.entry
	second.Name = "second"
	w.publish()
	o := w.options(w.entry, second)
	v := must(verify.New(o))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			ref, _ := w.image("@" + image.Digest.String())
			if r := v.Image(t.Context(), ref, nil); r.Err != nil || len(r.Verdicts) != 2 {
				t.Errorf("%v: %+v", r.Err, r.Verdicts)
			}
		})
	}
	all.Wait()
	counts := map[string]int{}
	for _, r := range w.requests() {
		counts[r]++
	}
	if n := counts["GET trust:manifests/tuf"]; n != 2 {
		t.Errorf("%d refreshes of two trusts", n)
	}
	for request, n := range counts {
		if request != "GET trust:manifests/tuf" && n != 8 {
			t.Errorf("%s: %d times for 8 images", request, n)
		}
	}
}

// A digest that a registry serves for a tag, and not the one that was expected,
// costs one request in vain and nothing else.
func TestRequestsAfterMove(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.publish()
	if r := w.verify(":1.0"); r.Err != nil {
		t.Fatal(r.Err)
	}
	next := unsigned(w)
	w.sign(next)
	w.publish()
	r := w.verify(":1.0")
	if r.Err != nil || r.Digest != next.Digest {
		t.Fatalf("%v, %s", r.Err, r.Digest)
	}
	if got := w.requests(); len(got) != 6 {
		t.Errorf("%d requests: %v", len(got), got)
	}
}

// What one image has taught of a trust, the next one knows.
func TestRequestsOfTheNextImage(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	next := w.push("next", "2.0")
	w.mapped(next, "2.0")
	s := w.signBy(next, w.leaf, notationsign.Options{})
	w.publish()
	v := must(verify.New(w.options()))
	first, _ := w.image(":1.0")
	if r := v.Image(t.Context(), first, nil); r.Err != nil {
		t.Fatal(r.Err)
	}
	w.registry.Reset()
	rest := w.rounds(t, [][]string{
		{"/manifests/2.0", "/referrers/" + next.Digest.String()}, {"/manifests/" + s.Digest.String()}, {"/blobs/" + w.envelopeOf(s)},
	})
	second, _ := w.image(":2.0")
	if r := v.Image(t.Context(), second, nil); r.Err != nil {
		t.Fatal(r.Err)
	}
	if got := w.requests(); len(got) != 4 || len(rest()) != 0 {
		t.Errorf("%v; not made: %v", got, rest())
	}
}

// The index of a platform is read at the same time as what refers to it, and with
// all else where an earlier run has seen it.
func TestRequestsOfPlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	index, platforms := w.pushIndex("multi", "2.0")
	w.mapped(index, "2.0")
	s := w.signBy(index, w.leaf, notationsign.Options{})
	w.entryOf(platforms[0], map[string]any{"index": index.Digest.String()}, ":2.0-amd64")
	must(platforms[0], w.images.Tag(w.ctx(), platforms[0], "2.0-amd64"))
	w.publish()
	const bundle, tag = "acme/trust/manifests/tuf", "/manifests/2.0-amd64"
	list, refers := "/manifests/"+index.Digest.String(), "/referrers/"+index.Digest.String()
	signature, envelope := "/manifests/"+s.Digest.String(), "/blobs/"+w.envelopeOf(s)
	for _, rounds := range [][][]string{
		{{bundle, tag}, {list, refers}, {signature}, {envelope}},
		{{bundle, tag, list, refers}, {signature}, {envelope}},
	} {
		w.registry.Reset()
		rest := w.rounds(t, rounds)
		if r := w.verify(":2.0-amd64"); r.Err != nil {
			t.Fatal(r.Err)
		}
		if got := w.requests(); len(got) != 6 || len(rest()) != 0 {
			t.Errorf("%v; not made: %v", got, rest())
		}
	}
}
