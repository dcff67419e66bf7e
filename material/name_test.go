package material

import (
	"strings"
	"testing"
)

func TestCertificateName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		t           StoreType
		store, file string
		want        string
	}{
		{StoreCA, "acme", "ca-2026.pem", "notation/x509/ca/acme/ca-2026.pem"},
		{StoreSigningAuthority, "A_b.c-1", "x.der", "notation/x509/signingAuthority/A_b.c-1/x.der"},
		{StoreTSA, "tsa", ".hidden", "notation/x509/tsa/tsa/.hidden"},
		{StoreCA, "...", "a", "notation/x509/ca/.../a"},
		{"CA", "acme", "a.pem", ""},
		{"", "acme", "a.pem", ""},
		{StoreCA, "", "a.pem", ""},
		{StoreCA, ".", "a.pem", ""},
		{StoreCA, "..", "a.pem", ""},
		{StoreCA, "a/b", "a.pem", ""},
		{StoreCA, "acme", "", ""},
		{StoreCA, "acme", "..", ""},
		{StoreCA, "acme", "a b.pem", ""},
		{StoreCA, "acme", "a\n", ""},
		{StoreCA, "acme", "ä.pem", ""},
		{StoreCA, strings.Repeat("a", maxComponent+1), "a", ""},
	} {
		got, err := CertificateName(c.t, c.store, c.file)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q %q %q: %q, %v", c.t, c.store, c.file, got, err)
		}
		if c.want == "" {
			wantErr(t, err, ErrInvalid, "")
			continue
		}
		if kind, store, file, ok := ParseCertificateName(got); !ok || kind != c.t || store != c.store || file != c.file {
			t.Errorf("%s: %q %q %q %v", got, kind, store, file, ok)
		}
	}
}

func TestParseNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "notation/x509", "notation/x509/ca/acme", "notation/x509/ca/acme/", "notation/x509/ca/acme/a/b", "notation/x509/CA/acme/a",
		"notation/x509/ca/../a", "x/notation/x509/ca/acme/a", "notation/crl/a.crl",
	} {
		if _, _, _, ok := ParseCertificateName(name); ok {
			t.Errorf("%q is taken for a certificate", name)
		}
	}
	for _, c := range []struct {
		target, name string
		issuer, ok   bool
	}{
		{"notation/crl/acme.crl", "acme", false, true},
		{"notation/crl/acme.issuer.pem", "acme", true, true},
		{"notation/crl/acme.issuer.crl", "acme.issuer", false, true},
		{"notation/crl/acme.crl.issuer.pem", "acme.crl", true, true},
		{"notation/crl/.crl", "", false, false},
		{"notation/crl/.acme.crl", "", false, false},
		{"notation/crl/a/b.crl", "", false, false},
		{"notation/crl/acme.pem", "", false, false},
		{"crl/acme.crl", "", false, false},
	} {
		name, issuer, ok := ParseCRLName(c.target)
		if ok != c.ok || ok && (name != c.name || issuer != c.issuer) {
			t.Errorf("%q: %q %v %v", c.target, name, issuer, ok)
		}
	}
	for name, want := range map[string]bool{
		"revocations.json": true, "revocations/a.json": true, "revocations/a": false, "revocations/a/b.json": false, "revocations": false,
	} {
		if IsRevocations(name) != want {
			t.Errorf("%q is a list of revocations: %v, want %v", name, !want, want)
		}
	}
	for name, want := range map[string]bool{
		"revocations.json": true, "revocations/a": true, "notation/a": true, "notations/a": false, "images/notation/a": false, "tufoci/a": false,
	} {
		if Reserved(name) != want {
			t.Errorf("%q is reserved: %v, want %v", name, !want, want)
		}
	}
}

func TestCRLName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"acme": true, "A-b_c.1": true, "": false, ".acme": false, "..": false, "a/b": false, "a b": false, strings.Repeat("a", maxComponent+1): false,
	} {
		crl, err := CRLName(name)
		if (err == nil) != ok || ok && crl != "notation/crl/"+name+".crl" {
			t.Errorf("%q: %q, %v", name, crl, err)
		}
		issuer, err := IssuerName(name)
		if (err == nil) != ok || ok && issuer != "notation/crl/"+name+".issuer.pem" {
			t.Errorf("%q: %q, %v", name, issuer, err)
		}
	}
}
