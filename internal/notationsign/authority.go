package notationsign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"time"
)

// Authority is a certificate authority with its private key.
type Authority struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
	parent      *Authority
}

// Identity is a leaf certificate with its private key and its chain, the leaf
// first, the root last.
type Identity struct {
	Chain []*x509.Certificate
	Key   *ecdsa.PrivateKey
}

// CertificateOptions describe a certificate. Name is needed.
type CertificateOptions struct {
	Name string // common name
	// NotBefore and NotAfter; zero is an hour ago, and ten years (of a leaf: one
	// year) from now on.
	NotBefore, NotAfter time.Time
	// CRLURLs are its distribution points, FreshestURLs those of delta CRLs,
	// OCSPURLs its OCSP servers.
	CRLURLs, FreshestURLs, OCSPURLs []string
	// Timestamping makes a leaf for a timestamping authority.
	Timestamping bool
	// Organization; "" is "Acme".
	Organization string
}

// OIDs of RFC 5280 and RFC 3161.
var (
	oidExtKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidFreshestCRL    = asn1.ObjectIdentifier{2, 5, 29, 46}
	oidDeltaIndicator = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidTimestamping   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
)

// NewRoot makes a self-signed authority.
func NewRoot(o CertificateOptions) (*Authority, error) {
	return newAuthority(o, nil)
}

// Intermediate makes an authority below a.
func (a *Authority) Intermediate(o CertificateOptions) (*Authority, error) {
	return newAuthority(o, a)
}

func newAuthority(o CertificateOptions, parent *Authority) (*Authority, error) {
	template, err := o.template(10)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	cert, key, err := issue(template, parent)
	return &Authority{Certificate: cert, Key: key, parent: parent}, err
}

// Leaf makes an identity that signs images, or timestamps.
func (a *Authority) Leaf(o CertificateOptions) (*Identity, error) {
	template, err := o.template(1)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if o.Timestamping {
		// crypto/x509 never writes this one as critical, which RFC 3161 wants.
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimestamping})
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidExtKeyUsage, Critical: true, Value: value})
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}
	cert, key, err := issue(template, a)
	if err != nil {
		return nil, err
	}
	return &Identity{Chain: append([]*x509.Certificate{cert}, a.Chain()...), Key: key}, nil
}

// Chain is the certificate of the authority and those above it.
func (a *Authority) Chain() []*x509.Certificate {
	var chain []*x509.Certificate
	for ; a != nil; a = a.parent {
		chain = append(chain, a.Certificate)
	}
	return chain
}

// PEM is the certificate of the authority.
func (a *Authority) PEM() []byte { return EncodePEM(a.Certificate) }

// EncodePEM writes certificates one after the other.
func EncodePEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// CRLOptions describe a CRL. Number is needed.
type CRLOptions struct {
	Number int64
	// ThisUpdate and NextUpdate; zero is an hour ago, and 30 days from now on.
	ThisUpdate, NextUpdate time.Time
	Revoked                []*x509.Certificate
	// Base makes a delta CRL on the base CRL with that number.
	Base int64
	// Extensions are added as they are.
	Extensions []pkix.Extension
	// Entries are added as they are.
	Entries []x509.RevocationListEntry
}

// CRL signs a revocation list (DER).
func (a *Authority) CRL(o CRLOptions) ([]byte, error) {
	now := time.Now()
	template := &x509.RevocationList{
		Number: big.NewInt(o.Number), ThisUpdate: o.ThisUpdate, NextUpdate: o.NextUpdate,
		ExtraExtensions: o.Extensions, RevokedCertificateEntries: o.Entries,
	}
	if template.ThisUpdate.IsZero() {
		template.ThisUpdate = now.Add(-time.Hour)
	}
	if template.NextUpdate.IsZero() {
		template.NextUpdate = now.AddDate(0, 0, 30)
	}
	for _, c := range o.Revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: template.ThisUpdate})
	}
	if o.Base > 0 {
		value, err := asn1.Marshal(o.Base)
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidDeltaIndicator, Critical: true, Value: value})
	}
	return x509.CreateRevocationList(rand.Reader, template, a.Certificate, a.Key)
}

func (o CertificateOptions) template(years int) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	organization := o.Organization
	if organization == "" {
		organization = "Acme"
	}
	t := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		// Notation matches identities by country, state and organization.
		Subject: pkix.Name{
			CommonName: o.Name, Organization: []string{organization}, Country: []string{"US"}, Province: []string{"WA"},
		},
		NotBefore: o.NotBefore, NotAfter: o.NotAfter,
		CRLDistributionPoints: o.CRLURLs, OCSPServer: o.OCSPURLs,
	}
	now := time.Now()
	if t.NotBefore.IsZero() {
		t.NotBefore = now.Add(-time.Hour)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = now.AddDate(years, 0, 0)
	}
	if len(o.FreshestURLs) > 0 {
		extension, err := freshestCRL(o.FreshestURLs)
		if err != nil {
			return nil, err
		}
		t.ExtraExtensions = append(t.ExtraExtensions, extension)
	}
	return t, nil
}

// freshestCRL is the extension of RFC 5280 section 4.2.1.15.
func freshestCRL(urls []string) (pkix.Extension, error) {
	type name struct {
		FullName []asn1.RawValue `asn1:"optional,tag:0"`
	}
	type point struct {
		Name name `asn1:"optional,tag:0"`
	}
	points := make([]point, len(urls))
	for i, url := range urls {
		points[i] = point{name{[]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(url)}}}}
	}
	value, err := asn1.Marshal(points)
	return pkix.Extension{Id: oidFreshestCRL, Value: value}, err
}

// issue signs a certificate with a new P-256 key, by itself without a parent.
func issue(template *x509.Certificate, parent *Authority) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	issuer, signer := template, crypto.Signer(key)
	if parent != nil {
		issuer, signer = parent.Certificate, parent.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}
