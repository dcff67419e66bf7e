package verify

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"github.com/notaryproject/notation-core-go/revocation/result"

	"github.com/tufoci/tufoci/material"
)

// Extensions of RFC 5280: sections 4.2.1.15 and 5.3.2.
var (
	oidFreshestCRL    = asn1.ObjectIdentifier{2, 5, 29, 46}
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
)

// standing is whether a certificate is revoked, and what says so.
type standing struct {
	result result.Result
	// crl lists the certificate, or covers it; nil if it was a list of revocations,
	// or nothing.
	crl   *material.CRL
	stale bool // the CRL, or the delta CRL on it, is past its NextUpdate
	// reason and time of a revocation.
	reason string
	time   time.Time
	list   string // of revocations, that says so
	// detail says why it is not known.
	detail string
}

// standings judges a chain, the leaf first and the root last. signed is the
// authentic signing time of the scheme notary.x509.signingAuthority, zero with any
// other.
func (m *Material) standings(chain []*x509.Certificate, signed time.Time) []standing {
	out := make([]standing, len(chain))
	last := len(chain) - 1
	for i, cert := range chain {
		out[i] = m.standing(cert, chain[min(i+1, last)], i == last, signed)
	}
	return out
}

// standing judges one certificate, given that of its issuer. A list of revocations counts for each; a CRL
// that lists it counts however old it is and whatever its scope. Only a CRL whose
// scope it is in says that it is good.
func (m *Material) standing(cert, issuer *x509.Certificate, root bool, signed time.Time) standing {
	if e := m.set.Revocations.Issued(cert, issuer); e != nil {
		return standing{result: result.ResultRevoked, reason: e.Reason, time: e.Time, list: e.List}
	}
	if root {
		// Nobody above it could revoke it (Notary Project trust store and trust
		// policy specification, "Certificate Revocation Evaluation").
		return standing{result: result.ResultNonRevokable}
	}
	for _, c := range m.set.CRLs {
		if e := c.Revoked(cert); e != nil && !before(signed, e) {
			return standing{result: result.ResultRevoked, crl: c, reason: reasonText(e.ReasonCode), time: e.RevocationTime}
		}
	}
	if base := m.covering(cert); base != nil {
		return m.covered(cert, base)
	}
	if len(cert.CRLDistributionPoints) == 0 && len(cert.OCSPServer) == 0 {
		return standing{result: result.ResultNonRevokable}
	}
	return standing{
		result: result.ResultUnknown,
		detail: fmt.Sprintf("no CRL of the trust covers %q; one of its issuer %q is needed", cert.Subject, cert.Issuer),
	}
}

// covering is the newest complete CRL in whose scope a certificate is. One of the
// future is none.
func (m *Material) covering(cert *x509.Certificate) *material.CRL {
	var base *material.CRL
	for _, c := range m.set.CRLs {
		if c.Covers(cert) && !m.now().Before(c.List.ThisUpdate) && newer(c, base) {
			base = c
		}
	}
	return base
}

// covered judges a certificate that no CRL lists. One past its NextUpdate counts:
// the timestamp that delivered it says that there is no newer one, and a view whose
// timestamp is too old does not exist.
func (m *Material) covered(cert *x509.Certificate, base *material.CRL) standing {
	s := standing{result: result.ResultOK, crl: base, stale: !base.Current(m.now())}
	if !hasFreshest(cert) {
		return s
	}
	// Its issuer has revocations in delta CRLs (RFC 5280 section 4.2.1.15).
	delta := m.delta(base, func(c *material.CRL) bool { return c.InScope(cert) && !m.now().Before(c.List.ThisUpdate) })
	if delta == nil {
		return standing{
			result: result.ResultUnknown, crl: base, stale: s.stale,
			detail: fmt.Sprintf("%q names delta CRLs; one of its issuer %q is needed", cert.Subject, cert.Issuer),
		}
	}
	s.stale = s.stale || !delta.Current(m.now())
	return s
}

// delta is the newest delta CRL on a complete one (RFC 5280 section 5.2.4).
func (m *Material) delta(base *material.CRL, fits func(*material.CRL) bool) *material.CRL {
	var delta *material.CRL
	for _, c := range m.set.CRLs {
		on := c.BaseNumber != nil && base.Number() != nil && c.Issuer.Equal(base.Issuer) &&
			c.BaseNumber.Cmp(base.Number()) <= 0 && c.Number() != nil && c.Number().Cmp(base.Number()) > 0
		if on && fits(c) && newer(c, delta) {
			delta = c
		}
	}
	return delta
}

func hasFreshest(cert *x509.Certificate) bool {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidFreshestCRL) {
			return true
		}
	}
	return false
}

// before reports whether a signature was made before the key of its certificate
// became bad (RFC 5280 section 5.3.2).
func before(signed time.Time, e *x509.RevocationListEntry) bool {
	if signed.IsZero() {
		return false
	}
	for _, ext := range e.Extensions {
		var bad time.Time
		if !ext.Id.Equal(oidInvalidityDate) {
			continue
		}
		rest, err := asn1.UnmarshalWithParams(ext.Value, &bad, "generalized")
		return err == nil && len(rest) == 0 && signed.Before(bad)
	}
	return false
}

// reasonText names a reason code (RFC 5280 section 5.3.1).
func reasonText(code int) string {
	names := map[int]string{
		1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
		5: "cessationOfOperation", 6: "certificateHold", 9: "privilegeWithdrawn", 10: "aACompromise",
	}
	if name, ok := names[code]; ok {
		return name
	}
	return "unspecified"
}
