package notationdir

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"time"

	"github.com/tufoci/tufoci/material"
)

// bundle is a complete CRL with the newest delta that builds on it: what Notation
// keeps for one distribution point.
type bundle struct {
	url         string
	base, delta *material.CRL
}

// crlContent is the file of a CRL bundle as verifier/crl of notation-go reads it.
type crlContent struct {
	Base  []byte `json:"baseCRL"`            // DER
	Delta []byte `json:"deltaCRL,omitempty"` // DER
}

func (b bundle) file() string { return sum([]byte(b.url)) }

func (s *session) cacheFile(b bundle) string { return filepath.Join(s.crlDir(), b.file()) }

func (b bundle) marshal() ([]byte, error) {
	content := crlContent{Base: b.base.List.Raw}
	if b.delta != nil {
		content.Delta = b.delta.List.Raw
	}
	return json.Marshal(content)
}

// newest is the number up to which the bundle accounts for revocations (RFC 5280
// section 5.2.3: base and delta share one sequence); nil for none.
func (b bundle) newest() *big.Int {
	if b.delta != nil {
		return b.delta.Number()
	}
	return b.base.Number()
}

// bundles sorts CRLs by distribution point. It warns of what notation cannot use.
func bundles(crls []*material.CRL, now time.Time) (found []bundle, warnings []string) {
	at := map[string]bundle{}
	for _, c := range crls {
		if !c.Current(now) {
			warnings = append(warnings, fmt.Sprintf("CRL %s ended %s: notation will ask its distribution point", c.Name, c.List.NextUpdate.UTC().Format(time.RFC3339)))
		}
		if c.BaseNumber != nil {
			continue
		}
		if len(c.URLs) == 0 {
			warnings = append(warnings, fmt.Sprintf("CRL %s has no URL: notation looks CRLs up by the distribution point that a certificate names", c.Name))
		}
		for _, url := range c.URLs {
			b, taken := at[url]
			if taken && !b.base.Issuer.Equal(c.Issuer) {
				warnings = append(warnings, fmt.Sprintf("%s: CRLs of two issuers, of which notation can have one", url))
			}
			if !taken || b.base.List.ThisUpdate.Before(c.List.ThisUpdate) {
				at[url] = bundle{url: url, base: c, delta: deltaOf(c, crls)}
			}
		}
	}
	for _, url := range sortedKeys(at) {
		found = append(found, at[url])
	}
	return found, warnings
}

// deltaOf is the newest delta that notation takes with a base: of the same issuer
// and scope, built on the base or one before it, with a higher number.
func deltaOf(base *material.CRL, crls []*material.CRL) *material.CRL {
	var newest *material.CRL
	for _, d := range crls {
		if d.BaseNumber == nil || d.Number() == nil || base.Number() == nil || !d.Issuer.Equal(base.Issuer) ||
			d.OnlyCA != base.OnlyCA || d.OnlyUser != base.OnlyUser || d.Partial != base.Partial {
			continue
		}
		if base.Partial && !slices.ContainsFunc(d.URLs, func(u string) bool { return slices.Contains(base.URLs, u) }) {
			continue
		}
		if d.BaseNumber.Cmp(base.Number()) > 0 || d.Number().Cmp(base.Number()) <= 0 {
			continue
		}
		if newest == nil || d.Number().Cmp(newest.Number()) > 0 {
			newest = d
		}
	}
	return newest
}

// parseCached reads a file of the CRL cache; nil unless all of it is of the issuer of
// b. Notation caches before it verifies, so that the signatures count here.
func (b bundle) parseCached(data []byte) []*x509.RevocationList {
	var content crlContent
	if json.Unmarshal(data, &content) != nil || content.Base == nil {
		return nil
	}
	var lists []*x509.RevocationList
	for _, der := range [][]byte{content.Base, content.Delta} {
		if der == nil {
			continue
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil || list.CheckSignatureFrom(b.base.Issuer) != nil {
			return nil
		}
		lists = append(lists, list)
	}
	return lists
}

// issued reports whether a file of the cache is of the issuer of b.
func (b bundle) issued(data []byte) bool { return b.parseCached(data) != nil }

// newerThan reports whether a file of the cache accounts for later revocations than
// b: notation has fetched it itself.
func newerThan(data []byte, b bundle) bool {
	var newest *big.Int
	for _, list := range b.parseCached(data) {
		if list.Number != nil && (newest == nil || list.Number.Cmp(newest) > 0) {
			newest = list.Number
		}
	}
	return newest != nil && b.newest() != nil && newest.Cmp(b.newest()) > 0
}
