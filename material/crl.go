package material

import (
	"crypto/x509"
	"encoding/json"
	"math/big"
	"time"
)

// CRL is one certificate revocation list (RFC 5280 section 5) with the
// certificate that issued it.
type CRL struct {
	Name   string // NAME of notation/crl/NAME.crl
	List   *x509.RevocationList
	Issuer *x509.Certificate
	// URLs are the distribution points at which certificates look for it: those
	// of `custom.tufoci.urls`, and those of its own issuing distribution point.
	URLs []string
	// BaseNumber is the number of the CRL that a delta CRL builds on; nil for a
	// complete CRL.
	BaseNumber *big.Int
	// The scope that its issuing distribution point (RFC 5280 section 5.2.5)
	// gives it. Partial is set if it has one with a distribution point name, or
	// is limited to some reasons: such a CRL covers a certificate only through
	// one of URLs, never by its issuer alone.
	OnlyUser, OnlyCA, Partial bool
}

// ParseCRL reads a CRL (DER, or PEM) and the certificate of its issuer (PEM or
// DER), and checks the signature of the one by the other, which must be allowed
// to sign CRLs. custom is the custom object of the target, nil for none. Unknown
// critical extensions and indirect CRLs are refused. ErrInvalid.
func ParseCRL(name string, crl, issuer []byte, custom json.RawMessage) (*CRL, error) {
	panic("not built")
}

// Number is its CRL number (RFC 5280 section 5.2.3), nil if it has none.
func (c *CRL) Number() *big.Int { return c.List.Number }

// Revoked returns the entry that revokes a certificate issued by the issuer of
// the CRL; nil if there is none. removeFromCRL of a delta is no revocation.
func (c *CRL) Revoked(cert *x509.Certificate) *x509.RevocationListEntry { panic("not built") }

// Issued reports whether the CRL's issuer has issued cert: same name, and its
// key verifies the signature.
func (c *CRL) Issued(cert *x509.Certificate) bool { panic("not built") }

// Covers reports whether a certificate that the CRL does not list may be taken
// as good by it: it is of its issuer, within its scope, and either the CRL is
// complete for its issuer or the certificate names one of its URLs.
func (c *CRL) Covers(cert *x509.Certificate) bool { panic("not built") }

// Current reports whether the CRL is within ThisUpdate and NextUpdate.
func (c *CRL) Current(now time.Time) bool { panic("not built") }

// CheckSuccessor refuses to replace c by next: another issuer, or a lower number
// or earlier date. ErrOlder, ErrInvalid.
func (c *CRL) CheckSuccessor(next *CRL) error { panic("not built") }
