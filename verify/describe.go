package verify

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/tspclient-go"

	"github.com/tufoci/tufoci/material"
)

// describe writes down a chain with what was found about it.
func (x *examiner) describe(r *recorder) []Certificate {
	out := make([]Certificate, len(r.chain))
	for i, c := range r.chain {
		out[i] = Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialNumber.Text(16), SHA256: material.SHA256(c),
			NotBefore: c.NotBefore, NotAfter: c.NotAfter,
			Store: x.storeOf(c), CRL: r.standings[i].evidence(), Revocation: revocationText(r.standings[i].result),
		}
	}
	return out
}

// storeOf is the trust store of the statement that holds a certificate.
func (x *examiner) storeOf(c *x509.Certificate) string {
	for _, store := range x.statement.TrustStores {
		t, name, _ := strings.Cut(store, ":")
		if slices.ContainsFunc(x.m.set.Stores[material.StoreType(t)][name], c.Equal) {
			return store
		}
	}
	return ""
}

// evidence describes the CRL that a standing rests on.
func (s standing) evidence() *CRLEvidence {
	if s.crl == nil {
		return nil
	}
	e := &CRLEvidence{
		Name: s.crl.Name, ThisUpdate: s.crl.List.ThisUpdate, NextUpdate: s.crl.List.NextUpdate,
		Stale: s.stale, Delta: s.crl.BaseNumber != nil,
	}
	if n := s.crl.Number(); n != nil {
		e.Number = n.String()
	}
	return e
}

func revocationText(r result.Result) string {
	switch r {
	case result.ResultOK:
		return "ok"
	case result.ResultNonRevokable:
		return "not revokable"
	case result.ResultRevoked:
		return "revoked"
	default:
		return "unknown"
	}
}

// timestampOf is the time of a timestamp that has been verified.
func timestampOf(info *signature.SignerInfo) time.Time {
	token, err := tspclient.ParseSignedToken(info.UnsignedAttributes.TimestampSignature)
	if err != nil {
		return time.Time{}
	}
	stamped, err := token.Info()
	if err != nil {
		return time.Time{}
	}
	timestamp, err := stamped.Validate(info.Signature)
	if err != nil {
		return time.Time{}
	}
	return timestamp.Value
}
