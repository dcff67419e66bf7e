package material

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/notationsign"
)

// Names become those of files and directories: each means one thing, and leads nowhere else.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"notation/x509/ca/acme/root.pem", "notation/x509/ca/../x", "notation/x509/tsa/a/.", "notation/crl/a.crl", "notation/crl/a.issuer.pem", "notation/crl/.crl",
		"notation/crl/.issuer.pem.crl", "revocations.json", "revocations/a.json", "revocations/a/b.json", "notation/x509/ca/a/b/c", "notation/trustpolicy.json",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		kind, store, file, isCertificate := ParseCertificateName(target)
		name, isIssuer, isCRL := ParseCRLName(target)
		if n := len(slices.DeleteFunc([]bool{isCertificate, isCRL, IsRevocations(target), target == PolicyName}, func(is bool) bool { return !is })); n > 1 || n > 0 && !Reserved(target) {
			t.Fatalf("%q is %d things, reserved %v", target, n, Reserved(target))
		}
		if again, err := CertificateName(kind, store, file); isCertificate && (err != nil || again != target) {
			t.Fatalf("%q: %q, %v", target, again, err)
		}
		again := CRLName
		if isIssuer {
			again = IssuerName
		}
		if made, err := again(name); isCRL && (err != nil || made != target) {
			t.Fatalf("%q: %q, %v", target, made, err)
		}
		for _, component := range []string{store, file, name} {
			if component != "" && (!filepath.IsLocal(component) || component == "." || strings.ContainsAny(component, `/\`)) {
				t.Fatalf("%q has %q", target, component)
			}
		}
	})
}

// A CRL is read whole before anybody asks who has signed it: what it says of its scope holds together.
func FuzzCRLList(f *testing.F) {
	root := newRoot(f, "root")
	for _, o := range []notationsign.CRLOptions{{Number: 1}, {Number: 7, Base: 3}} {
		der := makeCRL(f, root, o)
		f.Add(der)
		f.Add(encodePEM("X509 CRL", der))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &CRL{Name: "acme"}
		for _, step := range []func() error{func() error { return c.parseList(data) }, c.parseExtensions, c.checkEntries, func() error { return c.addURLs(nil) }} {
			if step() != nil {
				return
			}
		}
		switch {
		case !c.List.NextUpdate.After(c.List.ThisUpdate), c.Number() != nil && c.Number().Sign() < 0:
			t.Fatalf("%+v", c.List)
		case c.BaseNumber != nil && (c.Number() == nil || c.BaseNumber.Cmp(c.Number()) >= 0 || c.BaseNumber.Sign() < 0):
			t.Fatalf("number %v on base %v", c.Number(), c.BaseNumber)
		case c.OnlyUser && c.OnlyCA, len(c.URLs) > MaxURLs, len(c.points) > 0 && !c.Partial:
			t.Fatalf("%+v", c)
		}
		if err := c.signedBy(root.Certificate); err == nil && c.CheckSuccessor(c) != nil {
			t.Fatal(c.CheckSuccessor(c))
		}
	})
}

// URLs are few, short and of one form, whoever gives them.
func FuzzCustomURLs(f *testing.F) {
	for _, s := range []string{`{"tufoci":{"urls":["http://a/"]}}`, `{"tufoci":null}`, `{"tufoci":{"urls":[null]}}`, `{"tufoci":{"urls":["ldap:///cn=x","http://a b/","a:b"]}}`, `[]`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, custom []byte) {
		c := &CRL{points: []string{"http://a/"}}
		if c.addURLs(custom) != nil {
			return
		}
		for i, u := range c.URLs {
			if checkURL(u) != nil || len(u) > MaxURL || slices.Contains(c.URLs[:i], u) {
				t.Fatalf("%q", c.URLs)
			}
		}
		if len(c.URLs) == 0 || len(c.URLs) > MaxURLs {
			t.Fatalf("%q", c.URLs)
		}
	})
}

// Files together are a set or an error, whatever they are called; what is in the set comes from a file that may say so.
func FuzzRead(f *testing.F) {
	root := newRoot(f, "root")
	f.Add("notation/x509/ca/acme/root.pem", root.PEM(), PolicyName, []byte(goodPolicy))
	f.Add("notation/crl/a.crl", makeCRL(f, root, notationsign.CRLOptions{Number: 1}), "notation/crl/a.issuer.pem", root.PEM())
	f.Add("revocations/a.json", []byte(`{"version":1}`), "revocations.json", []byte(`{"version":1}`))
	f.Add("notation/x509/ca/acme/root.pem", root.PEM(), "notation/x509/ca/acme/root.pem", root.PEM())
	f.Fuzz(func(t *testing.T, name string, data []byte, other string, otherData []byte) {
		files := []File{{Name: name, Data: data}, {Name: other, Data: otherData}}
		set, err := Read(files)
		if err != nil {
			if set != nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v, %v", set, err)
			}
			return
		}
		slices.Reverse(files)
		again, err := Read(files)
		if err != nil || len(again.Files) != len(set.Files) || len(again.CRLs) != len(set.CRLs) || (again.Policy == nil) != (set.Policy == nil) {
			t.Fatalf("in another order: %+v, %v; want %+v", again, err, set)
		}
		stores := 0
		for of := range set.Files {
			if of != name && of != other {
				t.Fatalf("%q came from nowhere", of)
			}
			if _, _, _, ok := ParseCertificateName(of); !ok {
				t.Fatalf("%q is no certificate", of)
			}
		}
		for _, named := range set.Stores {
			for _, certs := range named {
				stores += min(len(certs), 1)
			}
		}
		if stores > len(set.Files) {
			t.Fatalf("%d stores of %d files", stores, len(set.Files))
		}
	})
}

// readTwice holds what was read to what it says when it is written, and to a parser that is not strict.
func readTwice[T any](t *testing.T, data []byte, got *T, parse func([]byte) (*T, error), equal func(a, b *T) bool) {
	t.Helper()
	var loose T
	if err := json.Unmarshal(data, &loose); err != nil || !equal(&loose, got) {
		t.Fatalf("others read %+v, %v; this %+v", loose, err, got)
	}
	out, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := parse(out); err != nil || !equal(again, got) {
		t.Fatalf("%+v, then %+v, %v", got, again, err)
	}
}
