package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const fuzzedDigest = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// A receipt that is read is written as it was, and other programs read the same of it.
func FuzzParseReceipt(f *testing.F) {
	whole := Receipt{
		Version: receiptVersion, Root: ReceiptRoot{1, fuzzedDigest}, Archive: ReceiptArchive{fuzzedDigest, 7}, Bundle: fuzzedDigest,
		Images: []ReceiptImage{{Name: "r.io/a", Tag: "1", Digest: fuzzedDigest, Signatures: []ReceiptSignature{{Signer: "CN=<x>", Chain: []digest.Digest{fuzzedDigest}}}}},
	}
	data, err := whole.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"VERSION":1}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReceipt(data)
		if err != nil {
			if r != nil || !errors.Is(err, ErrReceipt) {
				t.Fatalf("%v, %v", r, err)
			}
			return
		}
		var loose Receipt
		if err := json.Unmarshal(data, &loose); err != nil || !reflect.DeepEqual(&loose, r) {
			t.Fatalf("others read %+v, %v; this %+v", loose, err, r)
		}
		out, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseReceipt(out)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.encode(); err != nil || !bytes.Equal(twice, out) {
			t.Fatalf("%s, then %s, %v", out, twice, err)
		}
	})
}

// A mirror.yaml that is read keeps its bounds, and no two mirrors of it fight for one place.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("version: 1\nmirrors:\n  - name: a\n    from: registry.acme.io/trust:tuf\n    root: root.json\n    to: reg.local/trust:tuf\n    images: ['registry.acme.io/shop/*:1.*']\n" +
		"    imagesTo: reg.local/copies\n    referrers: true\n    history: 3\n    require: [mapping]\n    concurrency: 4\n"))
	f.Add([]byte("version: 1\nmirrors: &m\n  - &a {name: a, from: acme, to: 'oci-layout:/x:tuf'}\n  - {<<: *a, name: b}\n"))
	f.Add([]byte("version: 1\nmirrors: [{name: a, from: acme, to: 'oci-archive:x.tar:tuf'}]\n---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := string(filepath.Separator) + "etc"
		c, err := parseConfig(data, dir)
		if err != nil {
			if c != nil {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		for i, m := range c.Mirrors {
			if !mirrorName.MatchString(m.Name) || m.Root != "" && !filepath.IsAbs(m.Root) || m.To.Digest != "" || m.To.Kind == ociremote.KindArchive ||
				m.History < 0 || m.History > maxHistory || m.Concurrency < 0 || m.Concurrency > maxConcurrency {
				t.Fatalf("%+v", m)
			}
			if slices.ContainsFunc(c.Mirrors[:i], func(o Scheduled) bool { return o.Name == m.Name || o.To == m.To }) {
				t.Fatalf("%q is there twice", m.Name)
			}
		}
	})
}

// A pattern is one image under its canonical name, or a scope with tags.
func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"r.io/a:1", "r.io/**:1.*", "r.io/a@" + fuzzedDigest, "r.io/a:[", `r.io/a:\1`, "r.io:5000/a", "oci-layout:a:b", "r.io/*/x", "nginx", "docker.io/*:a?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePattern(text)
		if err != nil {
			if !errors.Is(err, ociremote.ErrInvalidReference) && !errors.Is(err, trust.ErrInvalidScope) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if p.literal == nil {
			if p.scope == (trust.Scope{}) || p.tag == "" {
				t.Fatalf("%+v", p)
			}
			return
		}
		ref, err := p.literal.reference()
		if err != nil || ref.Kind != ociremote.KindRegistry {
			t.Fatalf("%+v, %v", p.literal, err)
		}
		again, err := parsePattern(p.literal.String())
		if err != nil || again.literal == nil || *again.literal != *p.literal {
			t.Fatalf("%q: %+v, then %+v, %v", text, p.literal, again, err)
		}
	})
}

// What an archive lists is sorted into what is carried, each under one canonical name, or the archive is refused.
func FuzzDelivery(f *testing.F) {
	for _, name := range []string{"tuf", "tuf.v3", "r.io/a:1", "r.io/a@" + fuzzedDigest, "r.io/a:1@" + fuzzedDigest, "docker.io/nginx:1", "", "../x:1"} {
		f.Add(name, "r.io/b:2")
	}
	f.Fuzz(func(t *testing.T, name, other string) {
		list := []any{}
		for _, n := range []string{name, other} {
			list = append(list, map[string]any{
				"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": fuzzedDigest, "size": 7,
				"annotations": map[string]string{"org.opencontainers.image.ref.name": n},
			})
		}
		index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": list})
		if err != nil {
			t.Fatal(err)
		}
		repo := layoutOf(t, index)
		d, err := openDelivery(t.Context(), repo, "tuf")
		if err != nil {
			if !errors.Is(err, ErrCargo) && !errors.Is(err, ociremote.ErrBlobNotFound) && !errors.Is(err, ociremote.ErrNotFound) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for i, image := range d.images {
			if ref, err := image.reference(); err != nil || ref.String() != image.Image.String() {
				t.Fatalf("%q: %v, %v", image.Image, ref, err)
			}
			if slices.ContainsFunc(d.images[:i], func(o *cargo) bool { return o.Image == image.Image }) {
				t.Fatalf("%q twice", image.Image)
			}
		}
	})
}

// layoutOf is a layout with an index and no blobs.
func layoutOf(t *testing.T, index []byte) ociremote.Repository {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := ociremote.ParseReference("oci-layout:" + dir + ":tuf")
	if err != nil {
		t.Fatal(err)
	}
	client, err := ociremote.NewClient(ociremote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := client.Repository(context.Background(), ref, false)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
