package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"io/fs"
	"slices"

	"github.com/notaryproject/notation-go/verifier/truststore"

	"github.com/tufoci/tufoci/material"
)

// trustStore is the trust store of notation-go in memory.
type trustStore struct{ m *Material }

var _ truststore.X509TrustStore = trustStore{}

// GetCertificates returns the certificates of one store of one type. A store that
// does not exist, or all of whose certificates are revoked, is an error that is
// fs.ErrNotExist, as with Notation's store on disk.
func (s trustStore) GetCertificates(_ context.Context, t truststore.Type, name string) ([]*x509.Certificate, error) {
	if !slices.Contains(truststore.Types, t) {
		return nil, truststore.TrustStoreError{Msg: fmt.Sprintf("unsupported trust store type: %s", t)}
	}
	if !material.IsFileName(name) {
		return nil, truststore.TrustStoreError{Msg: fmt.Sprintf("invalid trust store name %q", name)}
	}
	all, ok := s.m.set.Stores[material.StoreType(t)][name]
	if !ok {
		return nil, truststore.TrustStoreError{InnerError: fs.ErrNotExist, Msg: fmt.Sprintf("no target provides the trust store %s:%s", t, name)}
	}
	good := slices.DeleteFunc(slices.Clone(all), func(c *x509.Certificate) bool {
		return s.m.set.Revocations.Certificate(material.SHA256(c)) != nil
	})
	if len(good) == 0 {
		return nil, truststore.CertificateError{InnerError: fs.ErrNotExist, Msg: fmt.Sprintf("every certificate of the trust store %s:%s is revoked", t, name)}
	}
	return good, nil
}
