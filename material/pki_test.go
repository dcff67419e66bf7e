package material

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
)

func wantErr(t testing.TB, err, target error, text string) {
	t.Helper()
	if !errors.Is(err, target) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v; want %v with %q", err, target, text)
	}
}

func newRoot(t testing.TB, name string) *notationsign.Authority {
	t.Helper()
	a, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newIntermediate(t testing.TB, parent *notationsign.Authority, name string) *notationsign.Authority {
	t.Helper()
	a, err := parent.Intermediate(notationsign.CertificateOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newLeaf(t testing.TB, a *notationsign.Authority, urls ...string) *x509.Certificate {
	t.Helper()
	leaf, err := a.Leaf(notationsign.CertificateOptions{Name: "leaf", CRLURLs: urls})
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Chain[0]
}

func makeCRL(t testing.TB, a *notationsign.Authority, o notationsign.CRLOptions) []byte {
	t.Helper()
	der, err := a.CRL(o)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// parseCRL is ParseCRL of what an authority signs, which must succeed.
func parseCRL(t testing.TB, a *notationsign.Authority, o notationsign.CRLOptions) *CRL {
	t.Helper()
	c, err := ParseCRL("acme", makeCRL(t, a, o), a.PEM(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// certificate signs a template by its own key, or by that of parent.
func certificate(t testing.TB, template *x509.Certificate, parent *notationsign.Authority) *notationsign.Authority {
	t.Helper()
	key := newRoot(t, "key").Key
	template.SerialNumber = big.NewInt(7)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	by, with := template, key
	if parent != nil {
		by, with = parent.Certificate, parent.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &notationsign.Authority{Certificate: cert, Key: key}
}

// sameKey is another authority with the key of one, issued by whatever name is given.
func sameKey(t testing.TB, a *notationsign.Authority, subject, issuer string) *notationsign.Authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(8), Subject: pkix.Name{CommonName: subject}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}, a.Key.Public(), a.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &notationsign.Authority{Certificate: cert, Key: a.Key}
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// extension is one of 2.5.29 with an encoded value.
func extension(id int, critical bool, value []byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, id}, Critical: critical, Value: value}
}

// tlv encodes a tag and a short content.
func tlv(tag byte, content ...[]byte) []byte {
	var all []byte
	for _, c := range content {
		all = append(all, c...)
	}
	if len(all) > 127 {
		panic("long content")
	}
	return append([]byte{tag, byte(len(all))}, all...)
}

// issuingPoint is that extension with the fields given.
func issuingPoint(fields ...[]byte) pkix.Extension { return extension(28, true, tlv(0x30, fields...)) }

// pointURLs is the name of a distribution point.
func pointURLs(urls ...string) []byte {
	var names []byte
	for _, u := range urls {
		names = append(names, tlv(0x86, []byte(u))...)
	}
	return tlv(0xa0, tlv(0xa0, names))
}

var yes, no = []byte{0xff}, []byte{0}
