package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// lie lets the registry answer what refers to an image.
func (w *world) lie(referrers ...any) {
	w.intercept(listing(referrers...))
}

// answer is that to requests whose path contains a text.
type answer struct {
	path string
	http.HandlerFunc
}

// listing is a list of referrers.
func listing(referrers ...any) answer {
	return serving("/referrers/", ocispec.MediaTypeImageIndex,
		must(json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": referrers})))
}

// serving is the answer with some content.
func serving(path, mediaType string, body []byte) answer {
	return answer{path, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", mediaType)
		_, _ = rw.Write(body)
	}}
}

// refuse answers with a status and a body that is none.
func refuse(status int) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", status) }
}

// intercept gives these answers, and none that were given before.
func (w *world) intercept(answers ...answer) {
	w.registry.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		for _, a := range answers {
			if strings.Contains(r.URL.Path, a.path) {
				next = a
				break
			}
		}
		next.ServeHTTP(rw, r)
	})
}

func asSignature(d ocispec.Descriptor) ocispec.Descriptor {
	d.ArtifactType = signatureType
	return d
}

// spoil attaches things that are no good signature, of every kind.
func spoil(w *world, image ocispec.Descriptor) []ocispec.Descriptor {
	garbage := func(edit func(m *ocispec.Manifest)) ocispec.Descriptor {
		return w.attach(image, func(m *ocispec.Manifest) {
			m.Config = w.blob(signatureType, []byte("{}"))
			edit(m)
		})
	}
	elsewhere := w.push("elsewhere", "elsewhere")
	evil := must(must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "evil"})).Leaf(notationsign.CertificateOptions{Name: "leaf"}))
	e := must(notationsign.Envelope(w.ctx(), image, evil, notationsign.Options{}))
	return []ocispec.Descriptor{
		garbage(func(m *ocispec.Manifest) { m.Layers = nil }),
		garbage(func(m *ocispec.Manifest) { m.Layers[0].MediaType = notationsign.JWS }),
		garbage(func(m *ocispec.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) }),
		garbage(func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{w.blob(notationsign.COSE, []byte("\x84\x40"))}
		}),
		garbage(func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{w.blob(strings.Repeat("x", 4000), []byte("x"))}
		}),
		garbage(func(m *ocispec.Manifest) {
			m.Annotations = map[string]string{"io.cncf.notary.x509chain.thumbprint#S256": "[["}
		}),
		must(notationsign.Attach(w.ctx(), w.images, image, notationsign.JWS, e, w.leaf.Chain)),
		w.signBy(elsewhere, w.leaf, notationsign.Options{}),
	}
}

// One bad signature or referrer hides no good one.
func TestBadSignaturesHideNoGoodOne(t *testing.T) {
	t.Parallel()
	for _, at := range places {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, at)
			image := w.push("hello", "1.0")
			w.mapped(image, "1.0")
			spoil(w, image)
			w.sign(image)
			w.publish()
			r := w.verify(":1.0")
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			checkOrder(t, r)
		})
	}
}

// checkOrder finds one good signature, the last one, and an error at each other.
func checkOrder(t *testing.T, r *verify.Result) {
	t.Helper()
	all := r.Verdicts[0].Signatures
	for i, s := range all {
		if last := i == len(all)-1; s.Accepted != last || (s.Err == nil) != last {
			t.Errorf("signature %d of %d: %v, %v", i+1, len(all), s.Accepted, s.Err)
		}
	}
}

// A registry can list what it wants.
func TestHostileReferrers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	image := w.push("hello", "1.0")
	w.mapped(image, "1.0")
	bad := spoil(w, image)
	signed := w.signBy(image, w.leaf, notationsign.Options{})
	w.publish()
	list := []any{
		map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": "sha256:short", "size": 1, "artifactType": signatureType},
		map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": digest.SHA512.FromString("x"), "size": 1, "artifactType": signatureType},
		map[string]any{"mediaType": "text/html", "digest": digest.FromString("1"), "size": 1, "artifactType": signatureType},
		map[string]any{"mediaType": strings.Repeat("m", 10000), "digest": digest.FromString("2"), "size": 1, "artifactType": signatureType},
		map[string]any{"mediaType": ocispec.MediaTypeImageIndex, "digest": digest.FromString("3"), "size": 1, "artifactType": signatureType},
		map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": digest.FromString("4"), "size": int64(1) << 60, "artifactType": signatureType},
		map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": digest.FromString("5"), "size": 5, "artifactType": signatureType},
		map[string]any{"mediaType": ocispec.MediaTypeImageManifest, "digest": digest.FromString("6"), "size": 5, "artifactType": ""},
		asSignature(image), nil, "text", 7,
	}
	for _, d := range bad {
		list = append(list, asSignature(d), asSignature(d))
	}
	w.lie(append(list, asSignature(signed), asSignature(signed))...)
	r := w.verify(":1.0")
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	checkOrder(t, r)

	// Without the good one there is nothing but errors.
	w.lie(list...)
	r = w.verify(":1.0")
	if !errors.Is(r.Err, verify.ErrEnvelope) {
		t.Errorf("got %v", r.Err)
	}
	if !slices.ContainsFunc(r.Verdicts[0].Signatures, func(s verify.Signature) bool {
		return strings.Contains(s.Err.Error(), "it is of another image") && s.MediaType == ""
	}) {
		t.Error("the envelope of a signature of another image was read")
	}
	kinds := 0
	for _, s := range r.Verdicts[0].Signatures {
		if errors.Is(s.Err, verify.ErrUntrusted) || errors.Is(s.Err, verify.ErrNoSignature) {
			kinds++
		}
	}
	if kinds < 2 {
		t.Errorf("the evidence of each signature is not kept: %+v", r.Verdicts[0].Signatures)
	}
}

// Who pads an image with what is no signature costs it nothing.
func TestPaddedWithOtherArtifacts(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	w, image := good(t, withReferrers)
	for i := range 200 {
		w.attach(image, func(m *ocispec.Manifest) {
			m.ArtifactType = "application/spdx+json"
			m.Annotations = map[string]string{"n": fmt.Sprint(i)}
		})
	}
	w.publish()
	r := w.verify("@" + image.Digest.String())
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if got := w.requests(); len(got) != 5 {
		t.Errorf("%d requests", len(got))
	}
}

// Who pads it with signatures can deny, and makes nobody read more than the limit.
func TestPaddedWithSignatures(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	w, image := good(t, withReferrers)
	signed := must(referrersOf(w, image))[0]
	var list []any
	for i := range 200 {
		list = append(list, asSignature(w.attach(image, func(m *ocispec.Manifest) {
			m.ArtifactType = signatureType
			m.Annotations = map[string]string{"n": fmt.Sprint(i)}
		})))
	}
	w.publish()
	for _, tt := range []struct {
		before, max int
		good        bool
	}{{0, 0, true}, {49, 0, true}, {50, 0, false}, {200, 0, false}, {200, 201, true}, {200, 200, false}, {3, 3, false}, {3, 4, true}} {
		w.lie(append(append([]any{}, list[:tt.before]...), asSignature(signed))...)
		w.registry.Reset()
		r := w.verify(":1.0", func(o *verify.Options) { o.MaxSignatures = tt.max })
		looked := len(r.Verdicts[0].Signatures)
		most := tt.max
		if most == 0 {
			most = 50
		}
		if (r.Err == nil) != tt.good || looked > most || r.Verdicts[0].MoreSignatures == tt.good {
			t.Errorf("%d before it, at most %d: %d looked at, more: %v, %v", tt.before, tt.max, looked, r.Verdicts[0].MoreSignatures, r.Err)
		}
		if n := len(w.requests()); n > most+5 {
			t.Errorf("%d requests for at most %d signatures", n, most)
		}
	}
}

// An index is no signature, and not looked at.
func TestPaddedWithIndexes(t *testing.T) {
	t.Parallel()
	w, image := good(t, withReferrers)
	signed := must(referrersOf(w, image))[0]
	var list []any
	for i := range 60 {
		list = append(list, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageIndex, ArtifactType: signatureType, Digest: digest.FromString(fmt.Sprint(i)), Size: 100,
		})
	}
	w.publish()
	w.lie(append(list, asSignature(signed))...)
	if r := w.verify(":1.0"); r.Err != nil || len(w.requests()) > 5 {
		t.Errorf("%d requests, %v", len(w.requests()), r.Err)
	}
}

// referrersOf are those of an image.
func referrersOf(w *world, image ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	client := must(ociremote.NewClient(ociremote.Options{}))
	ref, _ := w.image(":1.0")
	list, err := ociremote.Referrers(w.ctx(), must(client.Repository(w.ctx(), ref.Reference(), false)), image, ociremote.ReferrersOptions{})
	if err != nil {
		return nil, err
	}
	return list.Descriptors, nil
}

// What the way to the registry does says nothing about an image.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	isTransport := func(err error) bool { return errors.As(err, new(*ociremote.TransportError)) }
	isAuth := func(err error) bool { return errors.As(err, new(*ociremote.AuthError)) }
	for name, tt := range map[string]struct {
		path func(w *world, image, signature ocispec.Descriptor) string
		stat int
		is   func(error) bool
	}{
		"image":                      {func(*world, ocispec.Descriptor, ocispec.Descriptor) string { return "shop/api/manifests/1.0" }, http.StatusForbidden, isAuth},
		"referrers":                  {func(*world, ocispec.Descriptor, ocispec.Descriptor) string { return "/referrers/" }, http.StatusForbidden, isAuth},
		"referrers that are no list": {func(*world, ocispec.Descriptor, ocispec.Descriptor) string { return "/referrers/" }, http.StatusTeapot, isTransport},
		"signature":                  {func(_ *world, _, s ocispec.Descriptor) string { return "/manifests/" + s.Digest.String() }, http.StatusForbidden, isAuth},
		"envelope":                   {func(w *world, _, s ocispec.Descriptor) string { return "/blobs/" + w.envelopeOf(s) }, http.StatusTeapot, isTransport},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, withReferrers)
			image := w.push("hello", "1.0")
			w.mapped(image, "1.0")
			s := w.signBy(image, w.leaf, notationsign.Options{})
			w.publish()
			w.intercept(answer{tt.path(w, image, s), refuse(tt.stat)})
			r := w.verify(":1.0")
			if !tt.is(r.Err) || errors.Is(r.Err, verify.ErrNotVouched) || errors.Is(r.Err, verify.ErrUntrusted) || errors.Is(r.Err, verify.ErrEnvelope) {
				t.Errorf("got %v", r.Err)
			}
		})
	}
}

// A signature that is listed and cannot be read is no signature; one that is another
// on the way is not good.
func TestDamagedSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	image := w.push("hello", "1.0")
	w.mapped(image, "1.0")
	s := w.signBy(image, w.leaf, notationsign.Options{})
	w.publish()
	notFound := func(rw http.ResponseWriter, _ *http.Request) {
		http.Error(rw, `{"errors":[{"code":"BLOB_UNKNOWN"}]}`, http.StatusNotFound)
	}
	for path, want := range map[string]error{"/manifests/" + s.Digest.String(): verify.ErrNoSignature, "/blobs/" + w.envelopeOf(s): verify.ErrNoSignature} {
		w.intercept(answer{path, notFound})
		if r := w.verify(":1.0"); !errors.Is(r.Err, want) || len(r.Verdicts[0].Signatures) != 1 {
			t.Errorf("%s is gone: %v", path, r.Err)
		}
	}
	for _, path := range []string{"/manifests/" + s.Digest.String(), "/blobs/" + w.envelopeOf(s)} {
		w.damage(path, func(b []byte) []byte {
			c := append([]byte{}, b...)
			c[len(c)-2] ^= 1
			return c
		})
		if r := w.verify(":1.0"); !errors.Is(r.Err, verify.ErrEnvelope) {
			t.Errorf("%s is damaged: %v", path, r.Err)
		}
	}
}

// A network that fails for one signature does not make good what is wrong with
// another one, and the other way round.
func TestSomeUnreachable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withReferrers)
	image := w.push("hello", "1.0")
	w.mapped(image, "1.0")
	evil := must(must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "evil"})).Leaf(notationsign.CertificateOptions{Name: "leaf"}))
	w.signBy(image, evil, notationsign.Options{})
	s := w.signBy(image, w.leaf, notationsign.Options{})
	w.publish()
	w.intercept(answer{"/manifests/" + s.Digest.String(), refuse(http.StatusForbidden)})
	if r := w.verify(":1.0"); !errors.Is(r.Err, verify.ErrUntrusted) || len(r.Verdicts[0].Signatures) != 2 {
		t.Errorf("got %v", r.Err)
	}
	w.entry.Require = []string{trust.RequireMapping}
	if r := w.verify(":1.0"); r.Err != nil {
		t.Errorf("a signature that nobody asks for: %v", r.Err)
	}
}

// Who gives up while signatures are read is told that, and not what was wrong with those
// before.
func TestGivenUpBetweenSignatures(t *testing.T) {
	t.Parallel()
	w, image := good(t, withReferrers)
	s := must(referrersOf(w, image))[0]
	evil := must(must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "evil"})).Leaf(notationsign.CertificateOptions{Name: "leaf"}))
	bad := w.signBy(image, evil, notationsign.Options{})
	w.publish()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	w.intercept(listing(asSignature(bad), asSignature(s)), answer{"/manifests/" + s.Digest.String(), func(_ http.ResponseWriter, r *http.Request) {
		giveUp()
		<-r.Context().Done()
	}})
	ref, _ := w.image(":1.0")
	if r := must(verify.New(w.options())).Image(ctx, ref, nil); !errors.Is(r.Err, context.Canceled) || len(r.Verdicts[0].Signatures) != 2 {
		t.Errorf("%v", r.Err)
	}
}
