package material

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Bounds of a CRL: bytes of the file (stock Notation reads no more), URLs that
// are given for it, bytes of a URL.
const (
	MaxCRLSize = 32 << 20
	MaxURLs    = 16
	MaxURL     = 2048
)

// reasonRemoved is removeFromCRL of RFC 5280 section 5.3.1.
const reasonRemoved = 8

// CRL is one certificate revocation list (RFC 5280 section 5) with the
// certificate that issued it.
type CRL struct {
	Name   string // NAME of notation/crl/NAME.crl
	List   *x509.RevocationList
	Issuer *x509.Certificate
	// Chain are the certificates behind the issuer in its file: those that lead
	// from it to a certificate of a store.
	Chain []*x509.Certificate
	// URLs are the distribution points at which certificates look for it: those
	// of `custom.tufoci.urls`, and those of its own issuing distribution point.
	URLs []string
	// BaseNumber is the number of the CRL that a delta CRL builds on; nil for a
	// complete CRL.
	BaseNumber *big.Int
	// The scope that its issuing distribution point (RFC 5280 section 5.2.5)
	// gives it. Partial is set if it has one with a distribution point name: such
	// a CRL covers a certificate only through one of the URLs of that name, never
	// by its issuer alone. One that is limited to SomeReasons is partial and
	// covers none, since a certificate may be revoked for the other reasons.
	OnlyUser, OnlyCA, Partial, SomeReasons bool

	points []string // the URLs of its own issuing distribution point
}

// ParseCRL reads a CRL (DER, or PEM) and the certificate of its issuer (PEM or
// DER, in PEM with the certificates above it), and checks the signature of the
// one by the other, which must be allowed to sign CRLs. custom is the custom
// object of the target, nil for none. Unknown critical extensions and indirect
// CRLs are refused, and so is what no client could use: a CRL without NextUpdate,
// or one for attribute certificates. ErrInvalid.
func ParseCRL(name string, crl, issuer []byte, custom json.RawMessage) (*CRL, error) {
	if _, err := CRLName(name); err != nil {
		return nil, err
	}
	c := &CRL{Name: name}
	for _, step := range []func() error{
		func() error { return c.parseList(crl) },
		func() error { return c.parseExtensions() },
		func() error { return c.checkEntries() },
		func() error { return c.parseIssuer(issuer) },
		func() error { return c.addURLs(custom) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%w: CRL %s: %v", ErrInvalid, name, err)
		}
	}
	return c, nil
}

// parseList reads the list and checks its numbers and dates.
func (c *CRL) parseList(data []byte) error {
	if len(data) > MaxCRLSize {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(data), MaxCRLSize)
	}
	blocks, err := parsePEM(data, "X509 CRL")
	switch {
	case err != nil:
		return err
	case len(blocks) > 1:
		return errors.New("there is more than one in the file")
	case len(blocks) == 1:
		data = blocks[0]
	}
	if c.List, err = x509.ParseRevocationList(data); err != nil {
		return err
	}
	switch {
	case len(c.List.Raw) != len(data):
		return errors.New("there are bytes behind it")
	case c.List.NextUpdate.IsZero(): // RFC 5280 section 5.1.2.5: must be there
		return errors.New("it has no NextUpdate")
	case !c.List.NextUpdate.After(c.List.ThisUpdate):
		return errors.New("its NextUpdate is not after its ThisUpdate")
	case c.List.Number != nil && c.List.Number.Sign() < 0:
		return fmt.Errorf("its number is %d", c.List.Number)
	}
	return nil
}

// checkEntries refuses entries that mean something else than they seem to.
func (c *CRL) checkEntries() error {
	for _, e := range c.List.RevokedCertificateEntries {
		for _, ext := range e.Extensions {
			// That of another issuer makes a CRL indirect, flagged or not (RFC 5280 section 5.3.3).
			if ext.Critical || ext.Id.Equal(oidCertificateIssuer) {
				return fmt.Errorf("the entry of serial number %x has the extension %s, which this does not know", e.SerialNumber, ext.Id)
			}
		}
		if e.ReasonCode == reasonRemoved && c.BaseNumber == nil {
			return fmt.Errorf("serial number %x is removed from a CRL that is no delta CRL", e.SerialNumber)
		}
	}
	return nil
}

// parseIssuer reads the certificates of the issuer and checks the signature.
func (c *CRL) parseIssuer(data []byte) error {
	certs, err := parseCertificates(data)
	if err != nil {
		return fmt.Errorf("issuer: %v", err)
	}
	c.Issuer, c.Chain = certs[0], certs[1:]
	return c.signedBy(c.Issuer)
}

// signedBy checks that a certificate has issued the list.
func (c *CRL) signedBy(issuer *x509.Certificate) error {
	if !bytes.Equal(c.List.RawIssuer, issuer.RawSubject) {
		return fmt.Errorf("it was issued by %q, not by %q", c.List.Issuer, issuer.Subject)
	}
	if slices.Contains(weakAlgorithms, c.List.SignatureAlgorithm) {
		return fmt.Errorf("it is signed with %s", c.List.SignatureAlgorithm)
	}
	if err := c.List.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("it is not signed by %q, or that must not sign CRLs: %v", issuer.Subject, err)
	}
	return nil
}

// weakAlgorithms are those that package x509 takes for CRLs, but for nothing else.
var weakAlgorithms = []x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1}

// addURLs collects where certificates look for the CRL.
func (c *CRL) addURLs(custom json.RawMessage) error {
	urls, err := customURLs(custom)
	if err != nil {
		return err
	}
	for _, u := range append(urls, c.points...) {
		if err := checkURL(u); err != nil {
			return err
		}
		if !slices.Contains(c.URLs, u) {
			c.URLs = append(c.URLs, u)
		}
	}
	if len(c.URLs) > MaxURLs {
		return fmt.Errorf("%d URLs, at most %d are allowed", len(c.URLs), MaxURLs)
	}
	return nil
}

// customURLs are those of a target's custom object, of which tufoci and urls are ours.
func customURLs(custom json.RawMessage) ([]string, error) {
	if len(custom) == 0 {
		return nil, nil
	}
	var all, ours map[string]json.RawMessage
	if err := json.Unmarshal(custom, &all); err != nil {
		return nil, fmt.Errorf("custom: %v", err)
	}
	if all["tufoci"] == nil {
		return nil, nil
	}
	if err := json.Unmarshal(all["tufoci"], &ours); err != nil {
		return nil, fmt.Errorf("custom.tufoci: %v", err)
	}
	if ours["urls"] == nil {
		return nil, nil
	}
	var urls []string
	if err := json.Unmarshal(ours["urls"], &urls); err != nil {
		return nil, fmt.Errorf("custom.tufoci.urls: %v", err)
	}
	return urls, nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	bad := strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || r > unicode.MaxASCII }) // control characters are no URL
	if err != nil || bad || len(s) > MaxURL || u.Scheme == "" || u.Opaque != "" || u.Host == "" && u.Scheme != "ldap" {
		return fmt.Errorf("%q is not the URL of a distribution point", s)
	}
	return nil
}

// Number is its CRL number (RFC 5280 section 5.2.3), nil if it has none.
func (c *CRL) Number() *big.Int { return c.List.Number }

// Revoked returns the entry that revokes a certificate issued by the issuer of
// the CRL; nil if there is none. removeFromCRL of a delta is no revocation.
// Certificates outside of the CRL's scope are revoked too if they stand in it.
func (c *CRL) Revoked(cert *x509.Certificate) *x509.RevocationListEntry {
	for i := range c.List.RevokedCertificateEntries {
		e := &c.List.RevokedCertificateEntries[i]
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 && e.ReasonCode != reasonRemoved {
			if !c.Issued(cert) {
				return nil
			}
			return e
		}
	}
	return nil
}

// Issued reports whether the CRL's issuer has issued cert: same name, and its
// key verifies the signature.
func (c *CRL) Issued(cert *x509.Certificate) bool { return issued(c.Issuer, cert) }

// Covers reports whether a certificate that the CRL does not list may be taken
// as good by it: it is of its issuer, within its scope, and either the CRL is
// complete for its issuer or the certificate names one of the URLs of its
// issuing distribution point (RFC 5280 section 6.3.3 (b)). A delta CRL covers
// none: it speaks of changes only. See [CRL.InScope].
func (c *CRL) Covers(cert *x509.Certificate) bool { return c.BaseNumber == nil && c.InScope(cert) }

// InScope reports what [CRL.Covers] does, for a delta CRL too: whether a
// certificate stands in the part of the issuer's certificates that the CRL
// speaks of.
func (c *CRL) InScope(cert *x509.Certificate) bool {
	isCA := cert.BasicConstraintsValid && cert.IsCA
	switch {
	case c.SomeReasons, c.OnlyUser && isCA, c.OnlyCA && !isCA, !c.Issued(cert):
		return false
	case c.Partial:
		return slices.ContainsFunc(cert.CRLDistributionPoints, func(u string) bool { return slices.Contains(c.points, u) })
	}
	return true
}

// Current reports whether the CRL is within ThisUpdate and NextUpdate.
func (c *CRL) Current(now time.Time) bool {
	return !now.Before(c.List.ThisUpdate) && !now.After(c.List.NextUpdate)
}

// CheckSuccessor refuses to replace c by next: another issuer or another scope,
// of which numbers are counted apart, a delta CRL for a complete one, or a lower
// number or earlier date. ErrOlder, ErrInvalid.
func (c *CRL) CheckSuccessor(next *CRL) error {
	switch {
	case !bytes.Equal(c.List.RawIssuer, next.List.RawIssuer):
		return fmt.Errorf("%w: CRL %s: it is of %q, not of %q", ErrInvalid, c.Name, next.List.Issuer, c.List.Issuer)
	case (c.BaseNumber == nil) != (next.BaseNumber == nil):
		return fmt.Errorf("%w: CRL %s: a delta CRL and a complete one do not replace each other", ErrInvalid, c.Name)
	case !c.sameScope(next):
		return fmt.Errorf("%w: CRL %s: it is for other certificates or reasons than the one that it would replace", ErrInvalid, c.Name)
	case c.Number() != nil && next.Number() == nil:
		return fmt.Errorf("%w: CRL %s: it has no number, the one that it would replace has %d", ErrInvalid, c.Name, c.Number())
	case c.Number() != nil && next.Number().Cmp(c.Number()) < 0:
		return fmt.Errorf("%w: CRL %s: number %d after %d", ErrOlder, c.Name, next.Number(), c.Number())
	case next.List.ThisUpdate.Before(c.List.ThisUpdate):
		return fmt.Errorf("%w: CRL %s: of %s, after %s", ErrOlder, c.Name, next.List.ThisUpdate.Format(timeForm), c.List.ThisUpdate.Format(timeForm))
	}
	return nil
}

func (c *CRL) sameScope(o *CRL) bool {
	return c.OnlyUser == o.OnlyUser && c.OnlyCA == o.OnlyCA && c.Partial == o.Partial && c.SomeReasons == o.SomeReasons &&
		slices.Equal(slices.Sorted(slices.Values(c.points)), slices.Sorted(slices.Values(o.points)))
}
