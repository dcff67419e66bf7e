package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-core-go/revocation/result"
)

// recorder is the validator for one signature, which keeps what it found: the
// evidence, and what no level of a policy overrides.
type recorder struct {
	m      *Material
	p      purpose.Purpose
	online *http.Client // nil: no network

	chain     []*x509.Certificate // nil until it is asked
	standings []standing
}

var _ revocation.Validator = (*recorder)(nil)

// ValidateContext judges a chain by the material, and what that does not cover by
// the network, if it may be used.
func (r *recorder) ValidateContext(ctx context.Context, o revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	if err := checkChain(o.CertChain, r.p); err != nil {
		return nil, err
	}
	r.chain, r.standings = o.CertChain, r.m.standings(o.CertChain, o.AuthenticSigningTime)
	if r.online != nil && r.unknown() && r.m.anchored(o.CertChain) {
		if err := r.ask(ctx, o); err != nil {
			return nil, err
		}
	}
	return results(r.standings), nil
}

func (r *recorder) unknown() bool {
	for _, s := range r.standings {
		if s.result == result.ResultUnknown {
			return true
		}
	}
	return false
}

// anchored reports whether a certificate of a chain is in a store. The level audit
// goes on with others, and whoever made those could name any address to be asked.
func (m *Material) anchored(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(c *x509.Certificate) bool {
		for _, certs := range m.set.Files {
			if slices.ContainsFunc(certs, c.Equal) {
				return true
			}
		}
		return false
	})
}

// ask asks the network. Its answer counts only where the material has none.
func (r *recorder) ask(ctx context.Context, o revocation.ValidateContextOptions) error {
	direct, err := crl.NewHTTPFetcher(r.online)
	if err != nil {
		return err
	}
	network, err := revocation.NewWithOptions(revocation.Options{
		OCSPHTTPClient: r.online, CRLFetcher: fetcher{direct, r.m.CRLFetcher(), r.asked()}, CertChainPurpose: r.p,
	})
	if err != nil {
		return err
	}
	answers, err := network.ValidateContext(ctx, o)
	if err != nil {
		return err
	}
	for i, answer := range answers {
		if s := &r.standings[i]; s.result == result.ResultUnknown {
			s.result = answer.Result
			switch answer.Result {
			case result.ResultUnknown:
				s.detail += "; neither could the network tell"
			case result.ResultRevoked:
				s.detail, s.reason = "", "the network says so"
			default:
				s.detail = ""
			}
		}
	}
	return nil
}

// asked lists where certificates that the material does not cover have their CRLs.
func (r *recorder) asked() []string {
	var urls []string
	for i, s := range r.standings {
		if s.result == result.ResultUnknown {
			urls = append(urls, r.chain[i].CRLDistributionPoints...)
		}
	}
	return urls
}

// fetcher asks the network for the CRLs of some URLs, of which the material has said that
// it does not know: what it has for them is of another scope or time, or lacks its delta
// CRL. For all others, whose answers count for nothing, it asks nobody.
type fetcher struct {
	network, material crl.Fetcher
	urls              []string
}

// Fetch implements crl.Fetcher.
func (f fetcher) Fetch(ctx context.Context, url string) (*crl.Bundle, error) {
	if slices.Contains(f.urls, url) {
		return f.network.Fetch(ctx, url)
	}
	return f.material.Fetch(ctx, url)
}

// revoked is the refusal if a certificate of the chain is revoked.
func (r *recorder) revoked() error {
	for i, s := range r.standings {
		if s.result != result.ResultRevoked {
			continue
		}
		by := byList(s.list)
		if s.crl != nil {
			by = fmt.Sprintf("by CRL %s number %s", s.crl.Name, s.crl.Number())
		}
		refusal := &Refusal{Kind: ErrRevoked, Name: fmt.Sprintf("certificate %q", r.chain[i].Subject), Reason: s.reason, Detail: by}
		if !s.time.IsZero() {
			refusal.Time = s.time.UTC().Format(time.RFC3339)
		}
		return refusal
	}
	return nil
}
