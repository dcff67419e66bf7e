package verify_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/verify"
)

// refusal is one way to be refused: one thing is wrong with an image that verifies
// without it.
type refusal struct {
	// only in these places; nil: in all.
	only []place
	// spoil makes it wrong and returns which image is asked for, ":1.0" if "".
	spoil func(w *world, image ocispec.Descriptor) string
	edit  func(w *world, o *verify.Options)
	want  error
	// text is in the error: the evidence.
	text func(w *world, image ocispec.Descriptor) string
	// check looks at more evidence.
	check func(t *testing.T, w *world, r *verify.Result)
}

var registries = []place{withReferrers, withoutReferrers}

func text(s string) func(*world, ocispec.Descriptor) string {
	return func(*world, ocispec.Descriptor) string { return s }
}

// TestRefused walks every way to be refused, wherever images can be.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range refusals() {
		for _, at := range placesOf(name, tt.only) {
			t.Run(name+"/"+string(at), func(t *testing.T) {
				t.Parallel()
				w, image := good(t, at)
				ask := tt.spoil(w, image)
				if ask == "" {
					ask = ":1.0"
				}
				w.publish()
				r := w.verify(ask, func(o *verify.Options) {
					if tt.edit != nil {
						tt.edit(w, o)
					}
				})
				if !errors.Is(r.Err, tt.want) {
					t.Fatalf("got %v, want %v", r.Err, tt.want)
				}
				if tt.text != nil && !strings.Contains(r.Err.Error(), tt.text(w, image)) {
					t.Errorf("%v: without %q", r.Err, tt.text(w, image))
				}
				if len(r.Verdicts) == 1 {
					v := r.Verdicts[0]
					if v.Err == nil || slices.ContainsFunc(v.Signatures, func(s verify.Signature) bool { return s.Accepted || s.Err == nil }) {
						t.Errorf("evidence says otherwise: %+v", v)
					}
				}
				if tt.check != nil {
					tt.check(t, w, r)
				}
			})
		}
	}
}

// unsigned replaces the world's image by another one that is only mapped.
func unsigned(w *world) ocispec.Descriptor { return unsignedAs(w, "unsigned") }

// unsignedAs is unsigned with other content.
func unsignedAs(w *world, content string) ocispec.Descriptor {
	image := w.push(content, "1.0")
	w.mapped(image, "1.0")
	return image
}

// byLeaf replaces the image by one that another leaf has signed.
func byLeaf(w *world, by *notationsign.Authority, o notationsign.CertificateOptions, s notationsign.Options) *notationsign.Identity {
	if o.Name == "" {
		o.Name = "another leaf"
	}
	leaf := must(by.Leaf(o))
	w.signBy(unsignedAs(w, "of another leaf"), leaf, s)
	return leaf
}

func refusals() map[string]refusal {
	all := map[string]refusal{}
	for _, some := range []map[string]refusal{mappingRefusals(), revocationRefusals(), signatureRefusals(), timeRefusals(), policyRefusals(), trustRefusals()} {
		maps.Copy(all, some)
	}
	return all
}

// digestOf is the digest of a tag of the place.
func (w *world) digestOf(tag string) string {
	w.t.Helper()
	return must(w.images.Resolve(w.ctx(), strings.TrimPrefix(tag, ":"))).Digest.String()
}

const signatureType = "application/vnd.cncf.notary.signature"
