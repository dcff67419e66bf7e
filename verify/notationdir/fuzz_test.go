package notationdir

import (
	"encoding/json"
	"errors"
	"math/big"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/material"
)

// A state that is read is written as it was, and names no store outside of its directory.
func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"version":1,"policy":["0a"],"trusts":{"acme":{"rootSha256":"0a","root":{"version":1},"statements":[],"crls":{"f":"0a"}}},` +
		`"stores":{"ca/tufoci.acme.x":{"trust":"acme","files":{"a.pem":"0a"},"retired":"2026-08-01T10:02:00Z"}}}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"trusts":{"a":null}}`))
	f.Add([]byte(`{"version":1,"stores":{"ca/..":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseState(data)
		if err != nil {
			if s != nil || !errors.Is(err, ErrState) {
				t.Fatalf("%v, %v", s, err)
			}
			return
		}
		out := s.marshal()
		again, err := parseState(out)
		if err != nil || string(again.marshal()) != string(out) {
			t.Fatalf("%s, then %v", out, err)
		}
		for name := range s.Stores {
			if !filepath.IsLocal(filepath.FromSlash(name)) || filepath.Dir(filepath.FromSlash(name)) == "." {
				t.Fatalf("store %q", name)
			}
		}
		if both := s.intent(again); !both.Pending || len(both.Stores) != len(s.Stores) {
			t.Fatalf("%+v", both)
		}
	})
}

// A file of the CRL cache is of the issuer at hand or of nobody's, and is newer only by its number.
func FuzzCachedCRL(f *testing.F) {
	root, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "root"})
	if err != nil {
		f.Fatal(err)
	}
	read := func(number int64) *material.CRL {
		der, err := root.CRL(notationsign.CRLOptions{Number: number})
		if err != nil {
			f.Fatal(err)
		}
		c, err := material.ParseCRL("acme", der, root.PEM(), nil)
		if err != nil {
			f.Fatal(err)
		}
		return c
	}
	b := bundle{url: "http://a/", base: read(5)}
	for _, n := range []int64{3, 5, 9} {
		data, err := bundle{base: read(n)}.marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"baseCRL":"","deltaCRL":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		lists := b.parseCached(data)
		if newerThan(data, b) {
			found := false
			for _, l := range lists {
				found = found || l.Number != nil && l.Number.Cmp(big.NewInt(5)) > 0
			}
			if !found {
				t.Fatalf("%d lists are newer", len(lists))
			}
		}
		for _, l := range lists {
			if l.CheckSignatureFrom(root.Certificate) != nil {
				t.Fatal("a list of somebody else")
			}
		}
		if lists == nil {
			return
		}
		content := crlContent{Base: lists[0].Raw}
		if len(lists) > 1 {
			content.Delta = lists[1].Raw
		}
		out, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if again := b.parseCached(out); len(again) != len(lists) || !reflect.DeepEqual(again[0].Raw, lists[0].Raw) {
			t.Fatalf("%d lists, then %d", len(lists), len(again))
		}
	})
}
