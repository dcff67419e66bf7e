package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/notaryproject/notation-core-go/revocation/crl"

	"github.com/tufoci/tufoci/material"
)

// crlFetcher answers with the CRLs of the material.
type crlFetcher struct{ m *Material }

var _ crl.Fetcher = crlFetcher{}

// Fetch returns the newest complete CRL that a distribution point names, with the
// newest delta CRL on it. crl.ErrCacheMiss if there is none.
func (f crlFetcher) Fetch(_ context.Context, url string) (*crl.Bundle, error) {
	var base *material.CRL
	for _, c := range f.m.set.CRLs {
		if c.BaseNumber == nil && slices.Contains(c.URLs, url) && newer(c, base) {
			base = c
		}
	}
	if base == nil {
		return nil, fmt.Errorf("the trust has no CRL of %q: %w", url, crl.ErrCacheMiss)
	}
	bundle := &crl.Bundle{BaseCRL: base.List}
	if delta := f.m.delta(base, func(*material.CRL) bool { return true }); delta != nil {
		bundle.DeltaCRL = delta.List
	}
	return bundle, nil
}

// newer reports whether a CRL is to be taken rather than another, which may be nil.
func newer(c, than *material.CRL) bool {
	if than == nil {
		return true
	}
	if c.Number() != nil && than.Number() != nil {
		return c.Number().Cmp(than.Number()) > 0
	}
	return c.List.ThisUpdate.After(than.List.ThisUpdate)
}
