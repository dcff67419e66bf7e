package mirror_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// answer lets a registry answer GETs of paths that contain a text in another way.
func answer(g *tuftest.Registry, path string, with http.HandlerFunc) {
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, path) {
			with(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// swapped are other bytes of the same length.
func swapped(data []byte) []byte { return bytes.Repeat([]byte("x"), len(data)) }

func writes(data []byte, mediaType string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
	}
}

// endless is a body that does not end.
func endless(mediaType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 64<<10)); err != nil {
				return
			}
		}
	}
}

// layerOf is the layer of an image of a world.
func (w *world) layerOf(repository string, image ocispec.Descriptor) (ocispec.Descriptor, []byte) {
	w.t.Helper()
	data, _ := w.source.Manifest(repository, image.Digest.String())
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		w.t.Fatal(err)
	}
	layer, _ := w.source.Blob(repository, m.Layers[0].Digest.String())
	return m.Layers[0], layer
}

// A source that turns hostile is refused, and the destination keeps what it has.
func TestHostileSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		turn func(w *world, image ocispec.Descriptor)
		want []error
	}{
		{"swapped blob", func(w *world, image ocispec.Descriptor) {
			layer, data := w.layerOf("shop/api", image)
			answer(w.source, "/blobs/"+layer.Digest.String(), writes(swapped(data), "application/octet-stream"))
		}, []error{ociremote.ErrMalformed}},
		{"blob of another length", func(w *world, image ocispec.Descriptor) {
			layer, data := w.layerOf("shop/api", image)
			answer(w.source, "/blobs/"+layer.Digest.String(), writes(append(data, 'x'), "application/octet-stream"))
		}, []error{ociremote.ErrMalformed}},
		{"endless blob", func(w *world, image ocispec.Descriptor) {
			layer, _ := w.layerOf("shop/api", image)
			answer(w.source, "/blobs/"+layer.Digest.String(), endless("application/octet-stream"))
		}, []error{ociremote.ErrMalformed}},
		{"swapped manifest", func(w *world, image ocispec.Descriptor) {
			data, _ := w.source.Manifest("shop/api", image.Digest.String())
			other := bytes.Replace(data, []byte("linux"), []byte("minix"), 1)
			other = append(other, '\n')
			answer(w.source, "shop/api/manifests/2.0", writes(other, image.MediaType))
		}, []error{verify.ErrDiffers}},
		{"endless manifest", func(w *world, image ocispec.Descriptor) {
			answer(w.source, "shop/api/manifests/2.0", endless(image.MediaType))
		}, []error{ociremote.ErrTooLarge}},
		{"moved tag", func(w *world, _ ocispec.Descriptor) {
			must(notationsign.PushImage(w.t.Context(), oras(w.source, "shop/api"), []byte("evil"), notationsign.Platforms[0], "2.0"))
		}, []error{verify.ErrDiffers}},
		{"endless referrers", func(w *world, image ocispec.Descriptor) {
			var pages atomic.Int64 // of two images
			answer(w.source, "/referrers/", func(rw http.ResponseWriter, r *http.Request) {
				var index ocispec.Index
				index.SchemaVersion, index.MediaType = 2, ocispec.MediaTypeImageIndex
				var page int64
				for range 100 {
					page = pages.Add(1)
					d := describe(ocispec.MediaTypeImageManifest, fmt.Appendf(nil, "%d", page))
					d.ArtifactType = "application/vnd.cncf.notary.signature"
					index.Manifests = append(index.Manifests, d)
				}
				rw.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
				rw.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, page))
				_ = json.NewEncoder(rw).Encode(index)
			})
		}, []error{mirror.ErrEndless, verify.ErrNoSignature}},
		{"endless list of referrers", func(w *world, _ ocispec.Descriptor) {
			answer(w.source, "/referrers/", endless(ocispec.MediaTypeImageIndex))
		}, []error{ociremote.ErrTooLarge}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RegistryOptions{})
			old := w.image("shop/api", "1.0", "one")
			w.publish()
			w.copy(w.options(tagged("shop/api", "1.0")))
			image := w.image("shop/api", "2.0", "two")
			w.publish()
			o := w.options(tagged("shop/api", "1.0"), tagged("shop/api", "2.0"))
			tt.turn(w, image)
			r, err := mirror.Copy(t.Context(), o)
			if !isOne(err, tt.want) {
				t.Errorf("error is %v", err)
			}
			if tags := w.destination.Tags("inside/shop/api"); len(tags) != 1 || w.destination.Digest("inside/shop/api", "1.0") != old.Digest.String() {
				t.Errorf("the destination has %q", tags)
			}
			if r == nil || r.Images[1].Err == nil {
				t.Fatalf("result is %+v", r)
			}
			// It is what it was, and complete.
			w.source.Intercept(nil)
			w.verifies("inside/shop/api", "1.0")
		})
	}
}

func isOne(err error, want []error) bool {
	for _, w := range want {
		if errors.Is(err, w) {
			return true
		}
	}
	return false
}

// verifies holds an image of the destination to the trust there.
func (w *world) verifies(repository, tag string) {
	w.t.Helper()
	c := w.client()
	entry := w.entry
	entry.Maps = []trust.Map{must(trust.ParseMap(w.destination.Host() + "/inside=" + host))}
	client := must(trust.New(w.repo.RootBytes(), trust.Options{
		Source: trust.RepositorySource(open(w.t, c, w.destination.Host()+"/inside/trust", false), "tuf"),
	}))
	v := must(verify.New(verify.Options{Trusts: []verify.Trust{{Entry: entry, Client: client}}, Open: openWith(c)}))
	if r := v.Image(w.t.Context(), must(ociremote.ParseImage(w.destination.Host()+"/"+repository+":"+tag)), nil); r.Err != nil {
		w.t.Errorf("%s:%s at the destination: %v", repository, tag, r.Err)
	}
}

// A source whose tag of the metadata moves, or goes back, while images are copied,
// changes nothing: what was verified is what is copied.
func TestSourceMovesMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	image := w.image("shop/api", "1.0", "one")
	w.publish()
	o := w.options(tagged("shop/api", "1.0"))
	before := w.source.Digest("acme/trust", "tuf")
	w.repo.AddEntry("targets", "images/shop/api:1.0", 7, strings.Repeat("0", 64), nil)
	w.repo.Publish()
	w.source.Push("acme/trust", "tuf", tuftest.Pack(t, w.repo.Files(), tuftest.PackOptions{}))
	w.copy(o)
	if got := w.destination.Digest("inside/trust", "tuf"); got != before {
		t.Errorf("the destination has %s, want %s", got, before)
	}
	if w.destination.Digest("inside/shop/api", "1.0") != image.Digest.String() {
		t.Error("the image is not there")
	}
}

// A destination that is ahead is found before an image is written.
func TestDestinationIsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	w.image("shop/api", "1.0", "one")
	w.publish()
	o := w.options(tagged("shop/api", "1.0"))
	w.repo.Publish()
	w.destination.Push("inside/trust", "tuf", tuftest.Pack(t, w.repo.Files(), tuftest.PackOptions{}))
	w.destination.Reset()
	if _, err := mirror.Copy(t.Context(), o); !errors.Is(err, trust.ErrRollback) {
		t.Errorf("error is %v", err)
	}
	for _, r := range w.destination.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
}

// Tags without an end, and history tags that name something else, are refused.
func TestHostileHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	w.publish()
	w.publish()
	w.publish()
	// v2 is called v3.
	b, _ := w.source.Manifest("acme/trust", "tuf.v2")
	w.source.PutManifest("acme/trust", "tuf.v3", b)
	o := w.options()
	o.History = 5
	r, err := mirror.Copy(t.Context(), o)
	if !errors.Is(err, trust.ErrMismatch) || len(r.History) != 1 || r.History[0] != "tuf.v2" {
		t.Errorf("%v, %+v", err, r)
	}
	if w.destination.Digest("inside/trust", "tuf.v3") != "" || w.destination.Digest("inside/trust", "tuf") == "" {
		t.Errorf("the destination has %q", w.destination.Tags("inside/trust"))
	}

	w = newWorld(t, tuftest.RegistryOptions{})
	w.publish()
	n := 0
	answer(w.source, "/tags/list", func(rw http.ResponseWriter, r *http.Request) {
		tags := make([]string, 5000)
		for i := range tags {
			n++
			tags[i] = fmt.Sprintf("a%09d", n)
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Link", fmt.Sprintf(`<%s?last=%s>; rel="next"`, r.URL.Path, tags[len(tags)-1]))
		_ = json.NewEncoder(rw).Encode(map[string]any{"name": "acme/trust", "tags": tags})
	})
	o = w.options()
	o.History = 5
	if _, err := mirror.Copy(t.Context(), o); !errors.Is(err, mirror.ErrEndless) {
		t.Errorf("error is %v", err)
	}
	if tags := w.destination.Tags("inside/trust"); len(tags) != 0 {
		t.Errorf("the destination has %q", tags)
	}
}

// Garbage among the referrers is left out, and keeps nothing from being copied.
func TestGarbageReferrers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	image := w.image("shop/api", "1.0", "one")
	sbom := w.attach("shop/api", image, "application/spdx+json", []byte("sbom"))
	w.attach("shop/api", sbom, "application/vnd.example.note", []byte("of the sbom"))
	w.attach("shop/api", image, ociremote.MediaTypeBundle, []byte("attached"))
	lost := w.attach("shop/api", image, "application/vnd.cncf.notary.signature", []byte("lost envelope"))
	w.source.DeleteBlob("shop/api", digest.FromString("lost envelope").String())
	w.publish()
	c := w.client()
	at := w.destination.Host() + "/inside/shop/api"

	r := w.copy(w.options(tagged("shop/api", "1.0")))
	if got := r.Images[0]; got.Signatures != 1 || got.Attachments != 1 || got.Referrers != 0 {
		t.Errorf("%+v", got)
	}
	if got := referrers(t, c, at, image); len(got) != 2 {
		t.Errorf("%d referrers", len(got))
	}
	if warned := strings.Join(w.warnings, "\n"); !strings.Contains(warned, lost.Digest.String()) || !strings.Contains(warned, "left out") {
		t.Errorf("warnings are %q", warned)
	}
	// With all of them, those of an SBOM too.
	o := w.options(tagged("shop/api", "1.0"))
	o.Referrers = true
	r = w.copy(o)
	if got := r.Images[0]; got.Signatures != 1 || got.Attachments != 1 || got.Referrers != 2 || got.Unchanged {
		t.Errorf("%+v", got)
	}
	if got := referrers(t, c, at, sbom); len(got) != 1 {
		t.Errorf("%d referrers of the SBOM", len(got))
	}
}

// The one signature that is good is no garbage: without it the image would not verify
// where it goes.
func TestGoodSignatureIsNeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	image := w.image("shop/api", "1.0", "one")
	w.publish()
	signature := referrers(t, w.client(), w.source.Host()+"/shop/api", image)[0]
	w.destination.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, signature.Digest.String()) {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		next.ServeHTTP(rw, r)
	})
	if _, err := mirror.Copy(t.Context(), w.options(tagged("shop/api", "1.0"))); err == nil {
		t.Error("copied without its signature")
	}
	if tags := w.destination.Tags("inside/shop/api"); len(tags) != 0 {
		t.Errorf("the destination has %q", tags)
	}
}

// listed lets a registry list these referrers on every one of pages that have no end.
func (w *world) listed(all ...ocispec.Descriptor) {
	var pages atomic.Int64
	answer(w.source, "/referrers/", func(rw http.ResponseWriter, r *http.Request) {
		index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: slices.Clone(all)}
		index.SchemaVersion = 2
		page := pages.Add(1)
		rw.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, page))
		index.Manifests = append(index.Manifests, describe(ocispec.MediaTypeImageManifest, fmt.Append(nil, page)))
		rw.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		_ = json.NewEncoder(rw).Encode(index)
	})
}

// A good signature does not make a list without an end one that is copied.
func TestEndlessReferrersWithAGoodOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	image := w.image("shop/api", "1.0", "one")
	w.publish()
	signature := referrers(t, w.client(), w.source.Host()+"/shop/api", image)[0]
	o := w.options(tagged("shop/api", "1.0"))
	w.listed(signature)
	for _, all := range []bool{false, true} {
		o.Referrers = all
		if _, err := mirror.Copy(t.Context(), o); !errors.Is(err, mirror.ErrEndless) {
			t.Errorf("all %v: error is %v", all, err)
		}
	}
	if tags := w.destination.Tags("inside/shop/api"); len(tags) != 0 {
		t.Errorf("the destination has %q", tags)
	}
}

// What a list passes off as a referrer, and what is too large to be one, is left out.
func TestReferrersThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	image := w.image("shop/api", "1.0", "one")
	other := w.image("shop/api", "2.0", "two")
	ofOther := w.attach("shop/api", other, "application/spdx+json", []byte("of the other"))
	ofOther.ArtifactType = "application/spdx+json"
	w.publish()
	signature := referrers(t, w.client(), w.source.Host()+"/shop/api", image)[0]
	// Its layer says that it has 2 GiB.
	data, _ := w.source.Manifest("shop/api", w.attach("shop/api", image, "application/x", []byte("large")).Digest.String())
	data = bytes.Replace(data, []byte(`"size":5`), []byte(`"size":2147483648`), 1)
	large := describe(ocispec.MediaTypeImageManifest, data)
	large.ArtifactType = "application/x"
	o := w.options(tagged("shop/api", "1.0"))
	o.Referrers = true
	w.source.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case strings.Contains(r.URL.Path, "/referrers/"):
			writes(must(jsonIndex(signature, ofOther, large)), ocispec.MediaTypeImageIndex)(rw, r)
		case strings.HasSuffix(r.URL.Path, large.Digest.String()):
			writes(data, large.MediaType)(rw, r)
		default:
			next.ServeHTTP(rw, r)
		}
	})
	r := w.copy(o)
	if got := r.Images[0]; got.Err != nil || got.Signatures != 1 || got.Referrers != 0 {
		t.Errorf("%+v", got)
	}
	for _, d := range []ocispec.Descriptor{ofOther, large} {
		if _, ok := w.destination.Manifest("inside/shop/api", d.Digest.String()); ok {
			t.Errorf("%s is there", d.Digest)
		}
		if !strings.Contains(strings.Join(w.warnings, "\n"), d.Digest.String()) {
			t.Errorf("%s is not named", d.Digest)
		}
	}
}

// Referrers of referrers are followed so far, and no farther.
func TestReferrersOfReferrers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	image := w.image("shop/api", "1.0", "one")
	d := image
	for n := range 5 {
		d = w.attach("shop/api", d, "application/x", fmt.Append(nil, n))
	}
	w.publish()
	o := w.options(tagged("shop/api", "1.0"))
	o.Referrers = true
	if got := w.copy(o).Images[0]; got.Referrers != 3 {
		t.Errorf("%+v", got)
	}
}
