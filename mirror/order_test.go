package mirror_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// New tags come before the metadata, tags that move after it; and in front of a tag
// stands all that it names.
func TestTagsInTheirOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	w.image("shop/api", "latest", "one")
	w.publish()
	w.copy(w.options(tagged("shop/api", "latest")))
	two := w.image("shop/api", "latest", "two")
	w.sign("shop/api", "2.0", two)
	must[any](nil, oras(w.source, "shop/api").Tag(t.Context(), two, "2.0"))
	w.publish()
	o := w.options(tagged("shop/api", "latest"), tagged("shop/api", "2.0"))
	asked := false
	o.BeforeTags = func(r *mirror.Result) error {
		asked = true
		if w.destination.Digest("inside/shop/api", "2.0") == "" || w.destination.Digest("inside/shop/api", "latest") == two.Digest.String() {
			t.Error("asked too early or too late")
		}
		return nil
	}
	w.copy(o)
	var tags []string
	for _, r := range w.destination.Requests() {
		if i := strings.LastIndex(r.Path, "/manifests/"); r.Method == http.MethodPut && i > 0 && !strings.Contains(r.Path[i:], "sha256") {
			tags = append(tags, strings.TrimPrefix(r.Path, "/v2/inside/"))
		}
	}
	want := []string{"shop/api/manifests/2.0", "trust/manifests/tuf.v3", "trust/manifests/tuf", "shop/api/manifests/latest"}
	if !slices.Equal(tags, want) || !asked {
		t.Errorf("tags were written in the order %q", tags)
	}
	// Whoever says no keeps what there was.
	three := w.image("shop/api", "latest", "three")
	w.publish()
	o = w.options(tagged("shop/api", "latest"))
	refusal := errors.New("no")
	before := w.destination.Digest("inside/trust", "tuf")
	o.BeforeTags = func(*mirror.Result) error { return refusal }
	if _, err := mirror.Copy(t.Context(), o); !errors.Is(err, refusal) {
		t.Errorf("error is %v", err)
	}
	if w.destination.Digest("inside/trust", "tuf") != before || w.destination.Digest("inside/shop/api", "latest") == three.Digest.String() {
		t.Error("tags moved")
	}
}

// A dry run verifies, and writes nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	w.image("shop/api", "1.0", "one")
	w.unsigned("shop/web", "1.0", "web")
	w.publish()
	o := w.options(tagged("shop/api", "1.0"), tagged("shop/web", "1.0"))
	o.DryRun = true
	r, err := mirror.Copy(t.Context(), o)
	if !errors.Is(err, verify.ErrNoSignature) || r.Images[0].Err != nil || r.Metadata == nil {
		t.Errorf("%v, %+v", err, r)
	}
	for _, q := range w.destination.Requests() {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			t.Errorf("%s %s", q.Method, q.Path)
		}
	}
}

// What does not verify is refused for its gravest reason, unless that alone is allowed.
func TestAllowed(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	w := newWorld(t, tuftest.RegistryOptions{})
	revoked := w.image("shop/api", "revoked", "revoked")
	bad := w.image("shop/api", "bad", "bad")
	unmapped := must(notationsign.PushImage(t.Context(), oras(w.source, "shop/api"), []byte("unmapped"), notationsign.Platforms[0], "unmapped"))
	must(notationsign.Sign(t.Context(), oras(w.source, "shop/api"), unmapped, w.leaf, notationsign.Options{}))
	must(notationsign.PushImage(t.Context(), oras(w.source, "shop/api"), []byte("neither"), notationsign.Platforms[0], "neither"))
	// Revoked, and not what is signed under its tag either.
	moved := must(notationsign.PushImage(t.Context(), oras(w.source, "shop/api"), []byte("moved"), notationsign.Platforms[0], "moved"))
	w.repo.AddEntry("targets", "images/shop/api:moved", bad.Size, bad.Digest.Encoded(), nil)
	// Revoked, and signed under no name.
	unknown := must(notationsign.PushImage(t.Context(), oras(w.source, "shop/api"), []byte("unknown"), notationsign.Platforms[0], "unknown"))
	w.repo.AddTarget("revocations.json", []byte(`{"version":1,"images":[`+
		`{"digest":"`+unknown.Digest.String()+`","reason":"r","time":"2026-01-02T03:04:05Z"},`+
		`{"digest":"`+revoked.Digest.String()+`","reason":"r","time":"2026-01-02T03:04:05Z"},`+
		`{"digest":"`+moved.Digest.String()+`","reason":"r","time":"2026-01-02T03:04:05Z"}],"certificates":[]}`))
	w.publish()
	for _, tt := range []struct {
		tag               string
		revoked, unmapped bool
		require           string
		want              error
		allowed           string
	}{
		{tag: "revoked", want: verify.ErrRevoked},
		{tag: "revoked", unmapped: true, want: verify.ErrRevoked},
		{tag: "revoked", revoked: true, allowed: "revoked"},
		{tag: "moved", revoked: true, unmapped: true, want: verify.ErrDiffers},
		{tag: "unknown", revoked: true, want: verify.ErrUnmapped},
		{tag: "unknown", unmapped: true, want: verify.ErrRevoked},
		{tag: "unknown", revoked: true, unmapped: true, allowed: "revoked"},
		{tag: "unmapped", want: verify.ErrUnmapped},
		{tag: "unmapped", revoked: true, want: verify.ErrUnmapped},
		{tag: "unmapped", unmapped: true, allowed: "unmapped"},
		{tag: "neither", unmapped: true, want: verify.ErrNoSignature},
		{tag: "neither", unmapped: true, require: trust.RequireMapping, allowed: "unmapped"},
		{tag: "neither", require: trust.RequireMapping, want: verify.ErrUnmapped},
	} {
		o := w.options(tagged("shop/api", tt.tag))
		o.AllowRevoked, o.AllowUnmapped, o.DryRun = tt.revoked, tt.unmapped, true
		if tt.require != "" {
			o.Source.Entry.Require = []string{tt.require}
		}
		w.warnings = nil
		r, err := mirror.Copy(t.Context(), o)
		if tt.want == nil && err != nil || !errors.Is(err, tt.want) {
			t.Errorf("%+v: error is %v", tt, err)
			continue
		}
		if tt.allowed != "" && (r.Images[0].Allowed != tt.allowed || !strings.Contains(strings.Join(w.warnings, ""), "although it is "+tt.allowed)) {
			t.Errorf("%+v: %+v, warnings %q", tt, r.Images[0], w.warnings)
		}
	}
}

// A revoked certificate may be let pass for an image that is signed under its name, and
// for no other one: whoever can push can attach a signature by it.
func TestAllowedCertificate(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	w := newWorld(t, tuftest.RegistryOptions{})
	w.image("shop/api", "mapped", "mapped")
	push := func(tag string) ocispec.Descriptor {
		return must(notationsign.PushImage(t.Context(), oras(w.source, "shop/api"), []byte(tag), notationsign.Platforms[0], tag))
	}
	must(notationsign.Sign(t.Context(), oras(w.source, "shop/api"), push("unmapped"), w.leaf, notationsign.Options{}))
	// What signs another image is attached to this one.
	evil, api := push("evil"), w.image("shop/web", "1", "web")
	signature := referrers(t, w.client(), w.source.Host()+"/shop/web", api)[0]
	data, _ := w.source.Manifest("shop/web", signature.Digest.String())
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	m.Subject = &evil
	for _, d := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
		blob, _ := w.source.Blob("shop/web", d.Digest.String())
		if there := must(oras(w.source, "shop/api").Exists(t.Context(), d)); !there {
			if err := oras(w.source, "shop/api").Push(t.Context(), d, bytes.NewReader(blob)); err != nil {
				t.Fatal(err)
			}
		}
	}
	data = must(json.Marshal(m))
	if err := oras(w.source, "shop/api").Push(t.Context(), describe(ocispec.MediaTypeImageManifest, data), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(w.leaf.Chain[0].Raw)
	w.repo.AddTarget("revocations.json", fmt.Appendf(nil, `{"version":1,"images":[],"certificates":[{"sha256":"%x","reason":"stolen","time":"2026-01-02T03:04:05Z"}]}`, sum))
	w.publish()
	for _, require := range []string{trust.RequireSignature, trust.RequireMapping} {
		for _, tag := range []string{"mapped", "unmapped", "evil"} {
			for _, unmapped := range []bool{false, true} {
				o := w.options(tagged("shop/api", tag))
				o.Source.Entry.Require = []string{require, trust.RequireSignature}
				o.AllowRevoked, o.AllowUnmapped, o.DryRun = true, unmapped, true
				r, err := mirror.Copy(t.Context(), o)
				switch tag {
				case "mapped":
					if err != nil || r.Images[0].Allowed != "revoked" {
						t.Errorf("%s, %s: %v", require, tag, err)
					}
				default:
					if err == nil {
						t.Errorf("%s, %s, unmapped allowed %v: copied as %q", require, tag, unmapped, r.Images[0].Allowed)
					}
				}
			}
		}
	}
}

// An index goes with its platforms; the platform of an index with the index, through
// which it is signed.
func TestIndexes(t *testing.T) {
	t.Parallel()
	for name, o := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o)
			source := oras(w.source, "shop/api")
			index := must(notationsign.PushIndex(t.Context(), source, []byte("one"), "1.0"))
			must(notationsign.Sign(t.Context(), source, index, w.leaf, notationsign.Options{}))
			w.sign("shop/api", "1.0", index)
			data, _ := w.source.Manifest("shop/api", "1.0")
			child := childOf(t, data)
			w.repo.AddEntry("targets", "images/shop/api@"+child.Digest.String(), child.Size, child.Digest.Encoded(),
				map[string]any{"tufoci": map[string]any{"mediaType": child.MediaType, "index": index.Digest.String()}})
			w.publish()
			w.copy(w.options(mirror.Image{Name: host + "/shop/api", Digest: child.Digest}))
			if _, ok := w.destination.Manifest("inside/shop/api", index.Digest.String()); !ok {
				t.Error("the index of the platform is not there")
			}
			if len(referrers(t, w.client(), w.destination.Host()+"/inside/shop/api", index)) != 1 {
				t.Error("the signature of the index is not there")
			}
			w.copy(w.options(tagged("shop/api", "1.0")))
			w.verifies("inside/shop/api", "1.0")

			// What refers to a platform goes along where everything does.
			sbom := w.attach("shop/api", child, "application/x", []byte("sbom"))
			all := w.options(tagged("shop/api", "1.0"))
			all.Referrers = true
			if got := w.copy(all).Images[0]; got.Referrers != 1 {
				t.Errorf("%+v", got)
			}
			if _, ok := w.destination.Manifest("inside/shop/api", sbom.Digest.String()); !ok {
				t.Error("what refers to the platform is not there")
			}
		})
	}
}

// Metadata that was verified as of another time vouches for no image.
func TestImagesAsOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	w.image("shop/api", "1.0", "one")
	w.publish()
	o := w.options(tagged("shop/api", "1.0"))
	client := must(trust.New(w.repo.RootBytes(), trust.Options{Source: trust.RepositorySource(o.Source.Trust, "tuf"), AsOf: time.Now()}))
	o.Source.View = must(client.Refresh(t.Context()))
	if _, err := mirror.Copy(t.Context(), o); !errors.Is(err, verify.ErrUnverifiedTrust) {
		t.Errorf("error is %v", err)
	}
	if w.destination.Digest("inside/shop/api", "1.0") != "" {
		t.Error("the tag is there")
	}
}

// An index that gives one of its manifests another size is not copied: whoever pulls the
// platform would refuse it.
func TestIndexWithAnotherSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	child := w.unsigned("shop/api", "0", "one")
	child.Size++
	data := must(jsonIndex(child))
	w.source.PutIndex("shop/api", "wrong", data)
	w.sign("shop/api", "wrong", describe("application/vnd.oci.image.index.v1+json", data))
	w.publish()
	o := w.options(tagged("shop/api", "wrong"))
	o.Source.Entry.Require = []string{trust.RequireMapping}
	if _, err := mirror.Copy(t.Context(), o); !errors.Is(err, ociremote.ErrMalformed) {
		t.Errorf("error is %v", err)
	}
	if w.destination.Digest("inside/shop/api", "wrong") != "" {
		t.Error("the tag is there")
	}
}

// Indexes within indexes have an end.
func TestIndexDepth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RegistryOptions{})
	d := w.unsigned("shop/api", "0", "one")
	for range 6 {
		data := must(jsonIndex(d))
		w.source.PutIndex("shop/api", "deep", data)
		d = describe("application/vnd.oci.image.index.v1+json", data)
	}
	w.sign("shop/api", "deep", d)
	w.publish()
	o := w.options(tagged("shop/api", "deep"))
	o.Source.Entry.Require = []string{trust.RequireMapping}
	if _, err := mirror.Copy(t.Context(), o); !errors.Is(err, mirror.ErrEndless) {
		t.Errorf("error is %v", err)
	}
	if w.destination.Digest("inside/shop/api", "deep") != "" {
		t.Error("the tag is there")
	}
}
