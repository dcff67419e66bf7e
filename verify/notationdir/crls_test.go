package notationdir

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/revocation/crl"
	filecache "github.com/notaryproject/notation-go/verifier/crl"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
)

// The CRL cache takes what the trust delivers, and what is newer stays.
func TestCRLCache(t *testing.T) {
	t.Parallel()
	in := inputOf("acme", 5, append(revocationList("ca", 0, notationsign.CRLOptions{Number: 5}, listURL),
		material.File{Name: material.PolicyName, Data: policy("a=ca:ca=*")}, certificate("ca/ca", 0))...)
	other := func(ca int, number int64) *crl.Bundle {
		return &crl.Bundle{BaseCRL: must(x509.ParseRevocationList(must(authorities[ca].CRL(notationsign.CRLOptions{Number: number}))))}
	}
	for name, c := range map[string]struct {
		there *crl.Bundle
		raw   string
		want  int64
	}{
		"nothing":                 {nil, "", 5},
		"an older one":            {other(0, 4), "", 5},
		"a newer one":             {other(0, 6), "", 6},
		"a newer one of a forger": {other(1, 6), "", 5},
		"garbage":                 {nil, "{", 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			dir := filepath.Join(w.o.Cache, "crl")
			cache := must(filecache.NewFileCache(dir))
			if c.there != nil {
				if err := cache.Set(t.Context(), listURL, c.there); err != nil {
					t.Fatal(err)
				}
			}
			if c.raw != "" {
				if err := os.WriteFile(filepath.Join(dir, sum([]byte(listURL))), []byte(c.raw), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w.sync(in)
			if got, err := cache.Get(t.Context(), listURL); err != nil || got.BaseCRL.Number.Int64() != c.want {
				t.Errorf("%v, want number %d", err, c.want)
			}
			before := w.tree()
			if r := w.sync(in); !r.Unchanged || len(r.Drift) != 0 {
				t.Errorf("%+v", r)
			}
			w.same("the next sync", before)
			// CRLs that the trust no longer has stay: they can only deny.
			w.sync(inputOf("acme", 9, material.File{Name: material.PolicyName, Data: policy("a=ca:ca=*")}, certificate("ca/ca", 0)))
			if _, err := cache.Get(t.Context(), listURL); err != nil {
				t.Error(err)
			}
		})
	}
}

// A trust that names the distribution point of another one's CRL does not take it
// away. With the same issuer, the newer one counts.
func TestCRLOfAnotherTrust(t *testing.T) {
	t.Parallel()
	in := func(name string, ca int, number int64) Input {
		return inputOf(name, 1, append(revocationList("ca", ca, notationsign.CRLOptions{Number: number}, listURL),
			material.File{Name: material.PolicyName, Data: policy("a=ca:ca=*")}, certificate("ca/ca", ca))...)
	}
	w := newWorld(t).with(PolicyMerge)
	cache := must(filecache.NewFileCache(filepath.Join(w.o.Cache, "crl")))
	number := func() int64 { return must(cache.Get(t.Context(), listURL)).BaseCRL.Number.Int64() }
	w.sync(in("acme", 0, 1))
	if r := w.sync(in("beta", 1, 9)); number() != 1 || len(r.Warnings) != 1 {
		t.Errorf("number %d, %+v", number(), r)
	}
	w.sync(in("gamma", 0, 2))
	if number() != 2 {
		t.Errorf("number %d", number())
	}
	if r := w.sync(in("acme", 0, 1)); number() != 2 || !r.Unchanged || len(r.Drift) != 0 {
		t.Errorf("number %d, %+v", number(), r)
	}
}

func TestCRLDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := inputOf("acme", 1, append(revocationList("ca", 0, notationsign.CRLOptions{Number: 5}, listURL),
		material.File{Name: material.PolicyName, Data: policy("a=ca:ca=*")}, certificate("ca/ca", 0))...)
	w.sync(in)
	file := filepath.Join(w.o.Cache, "crl", sum([]byte(listURL)))
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if r := w.sync(in); len(r.Drift) != 1 || r.Drift[0] != "crl/"+sum([]byte(listURL)) {
		t.Errorf("%+v", r)
	}
	must(os.Stat(file))
}

// A base goes with the newest delta that notation takes with it.
func TestBundles(t *testing.T) {
	t.Parallel()
	now := time.Now()
	parse := func(name string, ca int, o notationsign.CRLOptions, urls ...string) *material.CRL {
		custom := must(json.Marshal(map[string]any{"tufoci": map[string]any{"urls": urls}}))
		return must(material.ParseCRL(name, must(authorities[ca].CRL(o)), authorities[ca].PEM(), custom))
	}
	base := parse("base", 0, notationsign.CRLOptions{Number: 10}, "http://a", "http://b")
	crls := []*material.CRL{
		parse("old", 0, notationsign.CRLOptions{Number: 9, Base: 8}),
		parse("ahead", 0, notationsign.CRLOptions{Number: 14, Base: 11}),
		parse("good", 0, notationsign.CRLOptions{Number: 11, Base: 10}),
		parse("best", 0, notationsign.CRLOptions{Number: 12, Base: 9}),
		parse("other", 1, notationsign.CRLOptions{Number: 13, Base: 9}),
		base,
	}
	found, warnings := bundles(crls, now)
	if len(found) != 2 || len(warnings) != 0 {
		t.Fatalf("%d bundles, warnings %q", len(found), warnings)
	}
	for i, url := range []string{"http://a", "http://b"} {
		if b := found[i]; b.url != url || b.base != base || b.delta == nil || b.delta.Name != "best" {
			t.Errorf("%s: %+v", url, b)
		}
	}
	// Notation reads it as such.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, found[0].file()), must(found[0].marshal()), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := must(filecache.NewFileCache(dir)).Get(t.Context(), "http://a")
	if err != nil || got.DeltaCRL.Number.Int64() != 12 {
		t.Error(err)
	}
	if newerThan(must(found[0].marshal()), found[0]) {
		t.Error("newer than itself")
	}
	withoutDelta := bundle{url: "http://a", base: base}
	if !newerThan(must(found[0].marshal()), withoutDelta) {
		t.Error("a delta is not newer than its base")
	}
	_, warnings = bundles([]*material.CRL{base, parse("x", 1, notationsign.CRLOptions{Number: 1}, "http://a")}, now)
	if len(warnings) != 1 {
		t.Errorf("two issuers: %q", warnings)
	}
}
