package notationdir

import (
	"errors"
	"fmt"
	"path"

	"github.com/tufoci/tufoci/internal/ownfile"
)

// planCRLs plans the CRL cache. What notation has fetched itself and is newer stays;
// what the trust no longer has stays too, since it can only deny.
func (s *session) planCRLs(in Input, rec *record) error {
	found, warnings := bundles(in.Set.CRLs, s.now)
	s.warn(warnings...)
	for _, b := range found {
		want, err := b.marshal()
		if err != nil {
			return err
		}
		name := path.Join("crl", b.file())
		there, err := ownfile.Read(s.cacheFile(b), maxCRLFile)
		odd := errors.Is(err, ownfile.ErrOdd)
		if err != nil && !odd {
			return err
		}
		if there != nil && newerThan(there, b) {
			continue
		}
		if other := s.otherIssuer(in.Trust, b, there); other != "" {
			s.warn(fmt.Sprintf("%s: trust %s has a CRL of another issuer there, which stays; notation can have one", b.url, other))
			continue
		}
		rec.CRLs[b.file()] = sum(want)
		if old := s.state.Trusts[in.Trust]; old != nil && !s.state.Pending && old.CRLs[b.file()] != "" && old.CRLs[b.file()] != sum(there) {
			s.drift(name)
		}
		if !odd && sum(there) == sum(want) {
			continue
		}
		action := "replace"
		if there == nil && !odd {
			action = "add"
		}
		s.change(action, name, b.url)
		s.crls[b.file()] = want
	}
	return nil
}

// otherIssuer is the trust that has written a CRL to the file of b which is not of
// b's issuer: one trust does not take away what another needs. "" for none.
func (s *session) otherIssuer(trustName string, b bundle, there []byte) string {
	if there == nil || b.issued(there) {
		return ""
	}
	for _, name := range sortedKeys(s.state.Trusts) {
		if name != trustName && s.state.Trusts[name].CRLs[b.file()] == sum(there) {
			return name
		}
	}
	return ""
}
