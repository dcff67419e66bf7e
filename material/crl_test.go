package material

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
)

func TestParseCRL(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	between := newIntermediate(t, root, "between")
	revoked := newLeaf(t, between)
	der := makeCRL(t, between, notationsign.CRLOptions{Number: 3, Revoked: []*x509.Certificate{revoked}, Extensions: []pkix.Extension{
		issuingPoint(pointURLs("http://crl.acme.io/a", "http://crl.acme.io/b")),
	}})
	custom := json.RawMessage(`{"other":1,"tufoci":{"new":true,"urls":["https://crl.acme.io/c","http://crl.acme.io/a"]}}`)
	issuer := notationsign.EncodePEM(between.Chain()...)
	for _, data := range [][]byte{der, encodePEM("X509 CRL", der)} {
		c, err := ParseCRL("acme", data, issuer, custom)
		if err != nil {
			t.Fatal(err)
		}
		if c.Name != "acme" || c.Number().Int64() != 3 || c.BaseNumber != nil || !c.Issuer.Equal(between.Certificate) || len(c.Chain) != 1 {
			t.Errorf("%+v", c)
		}
		if want := []string{"https://crl.acme.io/c", "http://crl.acme.io/a", "http://crl.acme.io/b"}; !slices.Equal(c.URLs, want) {
			t.Errorf("URLs %q, want %q", c.URLs, want)
		}
		if c.Revoked(revoked) == nil || c.Revoked(newLeaf(t, between)) != nil {
			t.Error("the wrong certificates are revoked")
		}
	}
	if _, err := ParseCRL("acme", der, between.Certificate.Raw, nil); err != nil {
		t.Errorf("issuer in DER: %v", err)
	}
	if _, err := ParseCRL("acme", der, between.PEM(), json.RawMessage(`{"tufoci":{}}`)); err != nil {
		t.Errorf("no URLs: %v", err)
	}
}

func TestParseCRLRefuses(t *testing.T) {
	t.Parallel()
	root, other, namesake := newRoot(t, "root"), newRoot(t, "other"), newRoot(t, "root")
	noCRLSign := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "no crl sign"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	crl := func(o notationsign.CRLOptions) []byte {
		if o.Number == 0 {
			o.Number = 5
		}
		return makeCRL(t, root, o)
	}
	with := func(e ...pkix.Extension) []byte { return crl(notationsign.CRLOptions{Extensions: e}) }
	entry := func(e x509.RevocationListEntry) []byte {
		e.SerialNumber, e.RevocationTime = big.NewInt(9), time.Now()
		return crl(notationsign.CRLOptions{Entries: []x509.RevocationListEntry{e}})
	}
	good := crl(notationsign.CRLOptions{})
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1] ^= 1
	many := make([]string, MaxURLs+1)
	for i := range many {
		many[i] = "http://a/" + strings.Repeat("x", i)
	}
	manyURLs, err := json.Marshal(map[string]any{"tufoci": map[string]any{"urls": many}})
	if err != nil {
		t.Fatal(err)
	}
	noCRLSignCRL := func() []byte { // crypto/x509 does not make one for a certificate that may not
		allowed := *noCRLSign.Certificate
		allowed.KeyUsage |= x509.KeyUsageCRLSign
		return makeCRL(t, &notationsign.Authority{Certificate: &allowed, Key: noCRLSign.Key}, notationsign.CRLOptions{Number: 1})
	}
	tests := []struct {
		name        string
		crl, issuer []byte
		custom      string
		want        string
	}{
		{"empty", nil, root.PEM(), "", "malformed"},
		{"bytes behind", append(bytes.Clone(good), 0), root.PEM(), "", "bytes behind"},
		{"text before the PEM", append([]byte("x\n"), encodePEM("X509 CRL", good)...), root.PEM(), "", "text outside"},
		{"two in PEM", bytes.Repeat(encodePEM("X509 CRL", good), 2), root.PEM(), "", "more than one"},
		{"a certificate", root.PEM(), root.PEM(), "", `PEM block "CERTIFICATE"`},
		{"too large", make([]byte, MaxCRLSize+1), root.PEM(), "", "at most"},
		{"no issuer", good, nil, "", "issuer"},
		{"another issuer", good, other.PEM(), "", "issued by"},
		{"another issuer first", good, append(other.PEM(), root.PEM()...), "", "issued by"},
		{"another key of the same name", good, namesake.PEM(), "", "not signed by"},
		{"damaged signature", damaged, root.PEM(), "", "not signed by"},
		{"an issuer without cRLSign", noCRLSignCRL(), noCRLSign.PEM(), "", "must not sign CRLs"},
		{"NextUpdate before ThisUpdate", nextBefore(t, root), root.PEM(), "", "not after"},
		{"without NextUpdate", withoutNextUpdate(t, root), root.PEM(), "", "no NextUpdate"},
		{"unknown critical extension", with(extension(99, true, []byte{5, 0})), root.PEM(), "", "2.5.29.99"},
		{"critical freshest CRL", with(extension(46, true, tlv(0x30))), root.PEM(), "", "2.5.29.46"},
		{"extension twice", with(extension(99, false, []byte{5, 0}), extension(99, false, []byte{5, 0})), root.PEM(), "", "twice"},
		{"issuing point twice", with(issuingPoint(tlv(0x81, yes)), issuingPoint(tlv(0x82, yes))), root.PEM(), "", "twice"},
		{"indirect", with(issuingPoint(tlv(0x84, yes))), root.PEM(), "", "indirect"},
		{"indirect, not critical", with(extension(28, false, tlv(0x30, tlv(0x84, yes)))), root.PEM(), "", "indirect"},
		{"indirect, out of order", with(issuingPoint(tlv(0x84, yes), tlv(0x81, yes))), root.PEM(), "", ""},
		{"indirect, behind an unknown field", with(issuingPoint(tlv(0x86, yes), tlv(0x84, yes))), root.PEM(), "", "malformed"},
		{"unknown field", with(issuingPoint(tlv(0x86, yes))), root.PEM(), "", "malformed"},
		{"attribute certificates", with(issuingPoint(tlv(0x85, yes))), root.PEM(), "", "attribute"},
		{"user and CA certificates", with(issuingPoint(tlv(0x81, yes), tlv(0x82, yes))), root.PEM(), "", "malformed"},
		{"flag twice", with(issuingPoint(tlv(0x81, no), tlv(0x81, yes))), root.PEM(), "", "malformed"},
		{"flag without value", with(issuingPoint(tlv(0x81))), root.PEM(), "", "malformed"},
		{"reasons without value", with(issuingPoint(tlv(0x83))), root.PEM(), "", "malformed"},
		{"flag of parts", with(issuingPoint(tlv(0xa1, yes))), root.PEM(), "", "malformed"},
		{"flag of two bytes", with(issuingPoint(tlv(0x81, yes, yes))), root.PEM(), "", "malformed"},
		{"flag that is neither", with(issuingPoint(tlv(0x81, []byte{1}))), root.PEM(), "", "malformed"},
		{"universal field", with(issuingPoint([]byte{1, 1, 0xff})), root.PEM(), "", "malformed"},
		{"issuing point no sequence", with(extension(28, true, tlv(0x31))), root.PEM(), "", "malformed"},
		{"bytes behind the issuing point", with(extension(28, true, append(tlv(0x30), 5, 0))), root.PEM(), "", "malformed"},
		{"issuing point cut short", with(extension(28, true, []byte{0x30, 5, 0xa0})), root.PEM(), "", "malformed"},
		{"empty name", with(issuingPoint(tlv(0xa0))), root.PEM(), "", "malformed"},
		{"name of no parts", with(issuingPoint(tlv(0x80, tlv(0xa0)))), root.PEM(), "", "malformed"},
		{"full name of no parts", with(issuingPoint(tlv(0xa0, tlv(0x80, tlv(0x86, []byte("http://a/")))))), root.PEM(), "", "malformed"},
		{"name of another class", with(issuingPoint(tlv(0xa0, tlv(0x21)))), root.PEM(), "", "malformed"},
		{"URL of another class", with(issuingPoint(tlv(0xa0, tlv(0xa0, tlv(0x06, []byte("http://a/")))))), root.PEM(), "", "malformed"},
		{"two names", with(issuingPoint(tlv(0xa0, tlv(0xa0), tlv(0xa1)))), root.PEM(), "", "malformed"},
		{"unknown name", with(issuingPoint(tlv(0xa0, tlv(0xa2)))), root.PEM(), "", "malformed"},
		{"URL that is none", with(issuingPoint(pointURLs("crl"))), root.PEM(), "", "URL"},
		{"delta indicator malformed", with(extension(27, true, []byte{4, 1, 1})), root.PEM(), "", "malformed"},
		{"delta indicator with more", with(extension(27, true, []byte{2, 1, 1, 0})), root.PEM(), "", "malformed"},
		{"delta indicator negative", with(extension(27, true, []byte{2, 1, 0xff})), root.PEM(), "", "malformed"},
		{"delta without a number", withExtension(t, root, 27, tlv(0x02, []byte{1})), root.PEM(), "", "without a number"},
		{"negative number", withExtension(t, root, 20, tlv(0x02, []byte{0xff})), root.PEM(), "", "its number is -1"},
		{"delta not above its base", crl(notationsign.CRLOptions{Number: 5, Base: 5}), root.PEM(), "", "not above"},
		{"entry of another issuer", entry(x509.RevocationListEntry{ExtraExtensions: []pkix.Extension{extension(29, true, tlv(0x30))}}), root.PEM(), "", "2.5.29.29"},
		{"entry of another issuer, not critical", entry(x509.RevocationListEntry{ExtraExtensions: []pkix.Extension{extension(29, false, tlv(0x30))}}), root.PEM(), "", "2.5.29.29"},
		{"critical extension of an entry", entry(x509.RevocationListEntry{ExtraExtensions: []pkix.Extension{extension(99, true, []byte{5, 0})}}), root.PEM(), "", "2.5.29.99"},
		{"removed from a complete CRL", entry(x509.RevocationListEntry{ReasonCode: reasonRemoved}), root.PEM(), "", "no delta CRL"},
		{"custom no object", good, root.PEM(), `[]`, "custom"},
		{"custom.tufoci no object", good, root.PEM(), `{"tufoci":"x"}`, "custom.tufoci"},
		{"urls no list", good, root.PEM(), `{"tufoci":{"urls":"x"}}`, "custom.tufoci.urls"},
		{"url without host", good, root.PEM(), `{"tufoci":{"urls":["http:///a"]}}`, "URL"},
		{"url with a line end", good, root.PEM(), `{"tufoci":{"urls":["http://a/\n"]}}`, "URL"},
		{"url with a space", good, root.PEM(), `{"tufoci":{"urls":["http://a/ b"]}}`, "URL"},
		{"url null", good, root.PEM(), `{"tufoci":{"urls":[null]}}`, "URL"},
		{"url with other letters", good, root.PEM(), `{"tufoci":{"urls":["http://ä/"]}}`, "URL"},
		{"url without scheme", good, root.PEM(), `{"tufoci":{"urls":["//a/b"]}}`, "URL"},
		{"url of no place", good, root.PEM(), `{"tufoci":{"urls":["ldap:a"]}}`, "URL"},
		{"url too long", good, root.PEM(), `{"tufoci":{"urls":["http://a/` + strings.Repeat("a", MaxURL) + `"]}}`, "URL"},
		{"too many urls", good, root.PEM(), string(manyURLs), "URLs"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := ParseCRL("acme", test.crl, test.issuer, json.RawMessage(test.custom))
			if c != nil {
				t.Error("there is a CRL")
			}
			wantErr(t, err, ErrInvalid, test.want)
		})
	}
	if _, err := ParseCRL("../acme", good, root.PEM(), nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("a name that is none: %v", err)
	}
}

// rawCRL takes the signed part of a CRL apart, and signs what edit makes of it.
func rawCRL(t *testing.T, a *notationsign.Authority, edit func([]asn1.RawValue) []asn1.RawValue) []byte {
	t.Helper()
	var outer, inner []asn1.RawValue
	if _, err := asn1.Unmarshal(makeCRL(t, a, notationsign.CRLOptions{Number: 1}), &outer); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(outer[0].FullBytes, &inner); err != nil {
		t.Fatal(err)
	}
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	list := marshal(edit(inner))
	sum := crypto.SHA256.New()
	sum.Write(list)
	signature, err := a.Key.Sign(rand.Reader, sum.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return marshal([]asn1.RawValue{{FullBytes: list}, outer[1], {FullBytes: marshal(asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)})}})
}

// The fields of a CRL are version, algorithm, issuer, ThisUpdate, NextUpdate, entries, extensions.
func withoutNextUpdate(t *testing.T, a *notationsign.Authority) []byte {
	return rawCRL(t, a, func(fields []asn1.RawValue) []asn1.RawValue { return slices.Delete(fields, 4, 5) })
}

func nextBefore(t *testing.T, a *notationsign.Authority) []byte {
	return rawCRL(t, a, func(fields []asn1.RawValue) []asn1.RawValue {
		fields[3], fields[4] = fields[4], fields[3]
		return fields
	})
}

// withExtension has one extension, and none else: no number either.
func withExtension(t *testing.T, a *notationsign.Authority, id byte, value []byte) []byte {
	return rawCRL(t, a, func(fields []asn1.RawValue) []asn1.RawValue {
		one := tlv(0x30, tlv(0x06, []byte{0x55, 0x1d, id}), tlv(0x04, value))
		fields[len(fields)-1] = asn1.RawValue{FullBytes: tlv(0xa0, tlv(0x30, one))}
		return fields
	})
}

// What was signed by hand as above is taken: the cases fail for their reason.
func TestRawCRL(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	same := rawCRL(t, root, func(fields []asn1.RawValue) []asn1.RawValue { return fields })
	if _, err := ParseCRL("acme", same, root.PEM(), nil); err != nil {
		t.Error(err)
	}
	noNumber := rawCRL(t, root, func(fields []asn1.RawValue) []asn1.RawValue { return fields[:len(fields)-1] })
	if c, err := ParseCRL("acme", noNumber, root.PEM(), nil); err != nil || c.Number() != nil {
		t.Errorf("without extensions: %v", err)
	}
}

func TestWeakSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rsa"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, template, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCRL("acme", crl, der, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.List.SignatureAlgorithm = x509.SHA1WithRSA
	if err := c.signedBy(c.Issuer); err == nil || !strings.Contains(err.Error(), "SHA1") {
		t.Errorf("SHA-1: %v", err)
	}
}

func TestRevokedByDelta(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	removed, held, good := newLeaf(t, root), newLeaf(t, root), newLeaf(t, root)
	at := time.Now()
	c := parseCRL(t, root, notationsign.CRLOptions{Number: 5, Base: 3, Entries: []x509.RevocationListEntry{
		{SerialNumber: removed.SerialNumber, RevocationTime: at, ReasonCode: reasonRemoved},
		{SerialNumber: held.SerialNumber, RevocationTime: at, ReasonCode: 6},
	}})
	if c.BaseNumber == nil || c.BaseNumber.Int64() != 3 {
		t.Errorf("base number %v", c.BaseNumber)
	}
	if c.Revoked(removed) != nil || c.Revoked(good) != nil {
		t.Error("a good certificate is revoked")
	}
	if e := c.Revoked(held); e == nil || e.ReasonCode != 6 {
		t.Errorf("on hold: %v", e)
	}
	if c.Covers(good) || !c.InScope(good) {
		t.Error("a delta CRL covers a certificate")
	}
}

// A serial number means something with its issuer only.
func TestRevokedOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	root, namesake := newRoot(t, "root"), newRoot(t, "root")
	leaf := newLeaf(t, root)
	c := parseCRL(t, namesake, notationsign.CRLOptions{Number: 1, Revoked: []*x509.Certificate{leaf}})
	if c.Revoked(leaf) != nil || c.Issued(leaf) || c.Covers(leaf) {
		t.Error("a CRL speaks of another issuer's certificate")
	}
	alias := sameKey(t, root, "alias", "alias")
	if c := parseCRL(t, alias, notationsign.CRLOptions{Number: 1, Revoked: []*x509.Certificate{leaf}}); c.Revoked(leaf) != nil || c.Issued(leaf) || c.Covers(leaf) {
		t.Error("a CRL speaks of the certificates of another name with the same key")
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	const here, there = "http://crl.acme.io/here", "http://crl.acme.io/there"
	between := newIntermediate(t, root, "between").Certificate
	plain, atHere, atThere := newLeaf(t, root), newLeaf(t, root, here), newLeaf(t, root, there)
	reasons := tlv(0x83, []byte{1, 6})
	directoryName := tlv(0xa0, tlv(0xa0, tlv(0xa4, root.Certificate.RawSubject[:2])))
	for _, c := range []struct {
		name                   string
		extensions             []pkix.Extension
		custom                 string
		ca, plain, here, there bool
	}{
		{"complete", nil, "", true, true, true, true},
		{"empty issuing point", []pkix.Extension{issuingPoint()}, "", true, true, true, true},
		{"explicit false", []pkix.Extension{issuingPoint(tlv(0x81, no))}, "", true, true, true, true},
		{"user certificates", []pkix.Extension{issuingPoint(tlv(0x81, yes))}, "", false, true, true, true},
		{"CA certificates", []pkix.Extension{issuingPoint(tlv(0x82, yes))}, "", true, false, false, false},
		{"one point", []pkix.Extension{issuingPoint(pointURLs(here))}, "", false, false, true, false},
		{"two points", []pkix.Extension{issuingPoint(pointURLs(here, there))}, "", false, false, true, true},
		{"one point, another in custom", []pkix.Extension{issuingPoint(pointURLs(here))}, `{"tufoci":{"urls":["` + there + `"]}}`, false, false, true, false},
		{"relative name", []pkix.Extension{issuingPoint(tlv(0xa0, tlv(0xa1)))}, "", false, false, false, false},
		{"directory name", []pkix.Extension{issuingPoint(directoryName)}, "", false, false, false, false},
		{"some reasons", []pkix.Extension{issuingPoint(pointURLs(here), reasons)}, "", false, false, false, false},
		{"some reasons everywhere", []pkix.Extension{issuingPoint(reasons)}, "", false, false, false, false},
	} {
		crl, err := ParseCRL("acme", makeCRL(t, root, notationsign.CRLOptions{Number: 1, Extensions: c.extensions}), root.PEM(), json.RawMessage(c.custom))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := []bool{crl.Covers(between), crl.Covers(plain), crl.Covers(atHere), crl.Covers(atThere)}
		if want := []bool{c.ca, c.plain, c.here, c.there}; !slices.Equal(got, want) {
			t.Errorf("%s: covers %v, want %v", c.name, got, want)
		}
	}
}

func TestCurrent(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	c := parseCRL(t, newRoot(t, "root"), notationsign.CRLOptions{Number: 1, ThisUpdate: from, NextUpdate: from.Add(time.Hour)})
	for after, want := range map[time.Duration]bool{-time.Second: false, 0: true, time.Hour: true, time.Hour + time.Second: false} {
		if c.Current(from.Add(after)) != want {
			t.Errorf("current %s after its beginning: %v, want %v", after, !want, want)
		}
	}
}

func TestCheckSuccessor(t *testing.T) {
	t.Parallel()
	root, renewed, other := newRoot(t, "root"), newRoot(t, "root"), newRoot(t, "other")
	from := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	at := func(number int64, after time.Duration) notationsign.CRLOptions {
		return notationsign.CRLOptions{Number: number, ThisUpdate: from.Add(after), NextUpdate: from.Add(after + time.Hour)}
	}
	delta := at(6, time.Minute)
	delta.Base = 5
	scoped := at(6, time.Minute)
	scoped.Extensions = []pkix.Extension{issuingPoint(tlv(0x81, yes))}
	pointed := at(6, time.Minute)
	pointed.Extensions = []pkix.Extension{issuingPoint(pointURLs("http://crl.acme.io/a"))}
	noNumber, err := ParseCRL("acme", rawCRL(t, root, func(f []asn1.RawValue) []asn1.RawValue { return f[:len(f)-1] }), root.PEM(), nil)
	if err != nil {
		t.Fatal(err)
	}
	old := parseCRL(t, root, at(5, 0))
	for _, c := range []struct {
		name string
		next *CRL
		want error
	}{
		{"newer", parseCRL(t, root, at(6, time.Minute)), nil},
		{"the same", old, nil},
		{"by a new key of the issuer", parseCRL(t, renewed, at(6, time.Minute)), nil},
		{"lower number", parseCRL(t, root, at(4, time.Minute)), ErrOlder},
		{"earlier date", parseCRL(t, root, at(6, -time.Minute)), ErrOlder},
		{"another issuer", parseCRL(t, other, at(6, time.Minute)), ErrInvalid},
		{"a delta", parseCRL(t, root, delta), ErrInvalid},
		{"another scope", parseCRL(t, root, scoped), ErrInvalid},
		{"another point", parseCRL(t, root, pointed), ErrInvalid},
		{"no number", noNumber, ErrInvalid},
	} {
		if err := old.CheckSuccessor(c.next); c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if err := parseCRL(t, root, delta).CheckSuccessor(parseCRL(t, root, at(7, time.Hour))); !errors.Is(err, ErrInvalid) {
		t.Errorf("a complete one for a delta: %v", err)
	}
}

func FuzzIssuingPoint(f *testing.F) {
	f.Add(tlv(0x30, pointURLs("http://a/b"), tlv(0x81, yes)))
	f.Add(tlv(0x30, tlv(0x84, yes)))
	f.Add(tlv(0x30, tlv(0xa0, tlv(0xa1)), tlv(0x83, []byte{1, 6})))
	f.Fuzz(func(t *testing.T, der []byte) {
		var c CRL
		if err := c.parseIssuingPoint(der); err != nil {
			return
		}
		// What is taken is one sequence, whatever its fields: nothing stands behind it.
		var all asn1.RawValue
		if rest, err := asn1.Unmarshal(der, &all); err != nil || len(rest) > 0 {
			t.Fatalf("%x", der)
		}
	})
}

func FuzzParseCRL(f *testing.F) {
	root := newRoot(f, "root")
	good := makeCRL(f, root, notationsign.CRLOptions{Number: 1, Extensions: []pkix.Extension{issuingPoint(pointURLs("http://a/b"))}})
	f.Add(good, []byte(`{"tufoci":{"urls":["http://a/"]}}`))
	f.Add(encodePEM("X509 CRL", good), []byte(nil))
	f.Fuzz(func(t *testing.T, data, custom []byte) {
		c, err := ParseCRL("acme", data, root.PEM(), custom)
		if (err == nil) != (c != nil) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%v, %v", c, err)
		}
	})
}
