package verify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// indexOf pushes an index of some manifests, as often as they are given.
func (w *world) indexOf(manifests ...ocispec.Descriptor) ocispec.Descriptor {
	w.t.Helper()
	return w.blob(ocispec.MediaTypeImageIndex, must(json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests,
	})))
}

// What an index within an image lists is not to run either, however deep it lies. Nobody
// is asked for more where nothing is revoked, or where no signature holds.
func TestRevokedWithin(t *testing.T) {
	t.Parallel()
	deep := func(w *world, inner ocispec.Descriptor, levels int) ocispec.Descriptor {
		for range levels {
			inner = w.indexOf(inner)
		}
		return inner
	}
	heap := func(w *world, n int) ocispec.Descriptor {
		var all []ocispec.Descriptor
		for i := range n {
			d := w.indexOf(w.push(fmt.Sprint("heap ", i), ""))
			all = append(all, d, d)
		}
		return w.indexOf(all...)
	}
	for name, tt := range map[string]struct {
		image    func(w *world, bad ocispec.Descriptor) ocispec.Descriptor // the outer index
		of       string                                                    // repository of the revocation
		harmless bool                                                      // nothing is revoked
		mapping  bool                                                      // nothing but that is required
		unsigned bool
		gone     bool // the index that lists what is revoked
		want     error
		read     int // indexes within the image
	}{
		"one deep": {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 2) }, want: verify.ErrRevoked, read: 1},
		"beside others": {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor {
			return w.indexOf(deep(w, bad, 1), w.push("other", ""))
		}, want: verify.ErrRevoked, read: 1},
		"an index":                             {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 3) }, want: verify.ErrRevoked, read: 2},
		"four deep":                            {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 5) }, want: verify.ErrRevoked, read: 4},
		"five deep":                            {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 6) }, want: ociremote.ErrMalformed, read: 4},
		"mapping alone":                        {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 2) }, mapping: true, want: verify.ErrRevoked, read: 1},
		"in another repository":                {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 2) }, of: "shop/other"},
		"no signature":                         {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 2) }, unsigned: true, want: verify.ErrNoSignature},
		"withheld":                             {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 2) }, gone: true, want: ociremote.ErrNotFound, read: 1},
		"withheld, with nothing to search for": {image: func(w *world, bad ocispec.Descriptor) ocispec.Descriptor { return deep(w, bad, 2) }, gone: true, harmless: true},
		"as many as are read":                  {image: func(w *world, _ ocispec.Descriptor) ocispec.Descriptor { return heap(w, 32) }, read: 32},
		"more than are read":                   {image: func(w *world, _ ocispec.Descriptor) ocispec.Descriptor { return heap(w, 33) }, want: ociremote.ErrMalformed, read: 32},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, withReferrers)
			bad := w.push("bad", "")
			image := tt.image(w, bad)
			must(image, w.images.Tag(w.ctx(), image, "1.0"))
			w.mapped(image, "1.0")
			if !tt.unsigned {
				w.sign(image)
			}
			if !tt.harmless {
				w.revoke([]map[string]any{revokedImage(bad.Digest, tt.of)})
			}
			if tt.mapping {
				w.entry.Require = []string{trust.RequireMapping}
			}
			w.publish()
			if tt.gone {
				w.answering("/manifests/"+w.indexOf(bad).Digest.String(), http.StatusNotFound)
				w.registry.Reset()
			}
			r := w.verify(":1.0")
			if !errors.Is(r.Err, tt.want) {
				t.Errorf("got %v, want %v", r.Err, tt.want)
			}
			others := 1 // the signature
			if tt.unsigned || tt.mapping {
				others = 0
			}
			if n := w.asked("GET manifests/sha256:") - others; n != tt.read {
				t.Errorf("%d indexes were read, want %d: %v", n, tt.read, w.requests())
			}
		})
	}
}
