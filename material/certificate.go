package material

import "crypto/x509"

// ParseCertificates reads a file of a trust store: certificates in PEM, or one
// in DER, and nothing else. The rules are those of Notation's disk store, so that
// stock clients take what tufoci publishes: at least one certificate, each a CA
// or self-signed; in a store of type tsa each a self-signed root. ErrInvalid.
func ParseCertificates(t StoreType, data []byte) ([]*x509.Certificate, error) { panic("not built") }

// SHA256 is the hex sha256 of a certificate's DER, its name in revocations.
func SHA256(c *x509.Certificate) string { panic("not built") }
