package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-core-go/revocation/result"
	corex509 "github.com/notaryproject/notation-core-go/x509"

	"github.com/tufoci/tufoci/material"
)

// validator is the validator of notation-core-go over the material alone.
type validator struct {
	m *Material
	p purpose.Purpose
}

var _ revocation.Validator = validator{}

// ValidateContext returns one result for each certificate of the chain. It fails
// only for a chain that is none.
func (v validator) ValidateContext(_ context.Context, o revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	if err := checkChain(o.CertChain, v.p); err != nil {
		return nil, err
	}
	return results(v.m.standings(o.CertChain, o.AuthenticSigningTime)), nil
}

// checkChain holds a chain to the certificate requirements of the Notary Project's
// signature specification: up to a self-signed root, each issued by the next.
func checkChain(chain []*x509.Certificate, p purpose.Purpose) error {
	var err error
	switch p {
	case purpose.CodeSigning:
		err = corex509.ValidateCodeSigningCertChain(chain, nil)
	case purpose.Timestamping:
		err = corex509.ValidateTimestampingCertChain(chain)
	default:
		err = fmt.Errorf("unsupported purpose %v", p)
	}
	if err == nil {
		err = checkDER(chain)
	}
	if err != nil {
		return result.InvalidChainError{Err: err}
	}
	return nil
}

// checkDER refuses a chain with a certificate that has another sha256 than the one that
// its issuer gave it: no list of revocations could name it.
func checkDER(chain []*x509.Certificate) error {
	for _, c := range chain {
		if !material.IsDER(c) {
			return fmt.Errorf("certificate %q is not in DER, or there is more in it", c.Subject)
		}
	}
	return nil
}

// results puts standings into the form of notation-core-go.
func results(standings []standing) []*result.CertRevocationResult {
	out := make([]*result.CertRevocationResult, len(standings))
	for i, s := range standings {
		server := &result.ServerResult{Result: s.result, RevocationMethod: result.RevocationMethodUnknown}
		if s.crl != nil {
			server.RevocationMethod, server.Server = result.RevocationMethodCRL, s.crl.Name
		}
		if s.detail != "" {
			server.Error = errors.New(s.detail)
		}
		out[i] = &result.CertRevocationResult{
			Result: s.result, ServerResults: []*result.ServerResult{server}, RevocationMethod: server.RevocationMethod,
		}
	}
	return out
}
