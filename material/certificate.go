package material

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Bounds of one file of certificates: bytes, and how many it holds.
const (
	MaxCertificateFile = 1 << 20
	MaxCertificates    = 100
)

// ParseCertificates reads a file of a trust store: certificates in PEM, or one
// in DER, and nothing else. The rules are those of Notation's disk store, so that
// stock clients take what tufoci publishes: at least one certificate, each a CA
// or self-signed; in a store of type tsa each a self-signed root. ErrInvalid.
func ParseCertificates(t StoreType, data []byte) ([]*x509.Certificate, error) {
	if !slices.Contains(StoreTypes, t) {
		return nil, fmt.Errorf("%w: trust store type %q", ErrInvalid, t)
	}
	certs, err := parseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%w: certificates: %v", ErrInvalid, err)
	}
	for _, c := range certs {
		if err := checkAnchor(t, c); err != nil {
			return nil, fmt.Errorf("%w: certificate of %q: %v", ErrInvalid, c.Subject, err)
		}
	}
	return certs, nil
}

// checkAnchor holds a certificate to what Notation takes as an anchor.
func checkAnchor(t StoreType, c *x509.Certificate) error {
	if t == StoreTSA {
		if !bytes.Equal(c.RawSubject, c.RawIssuer) || c.CheckSignatureFrom(c) != nil {
			return errors.New("not a self-signed root CA, as those of timestamp authorities must be")
		}
		return nil
	}
	if !c.IsCA && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
		return errors.New("neither a CA nor self-signed")
	}
	return nil
}

// parseCertificates reads certificates in PEM, or one in DER.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	if len(data) > MaxCertificateFile {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", len(data), MaxCertificateFile)
	}
	blocks, err := parsePEM(data, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	if blocks == nil {
		blocks = [][]byte{data}
	}
	if len(blocks) > MaxCertificates {
		return nil, fmt.Errorf("%d of them, at most %d are allowed", len(blocks), MaxCertificates)
	}
	certs := make([]*x509.Certificate, len(blocks))
	for i, der := range blocks {
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return certs, nil
}

var pemBegin = []byte("-----BEGIN ")

// parsePEM returns the contents of PEM blocks of one type; nil if data is not
// PEM. Parsers of PEM pass over what is between the blocks, and over a block that
// is damaged: here nothing is.
func parsePEM(data []byte, kind string) ([][]byte, error) {
	if !bytes.Contains(data, pemBegin) {
		return nil, nil
	}
	var blocks [][]byte
	for rest := bytes.TrimSpace(data); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		if !bytes.HasPrefix(rest, pemBegin) {
			return nil, errors.New("there is text outside of the PEM blocks, which could hide a damaged one; `openssl x509 -in FILE -out FILE` keeps the first block alone")
		}
		block, after := pem.Decode(rest)
		if block == nil || bytes.Count(rest[:len(rest)-len(after)], pemBegin) != 1 {
			return nil, errors.New("a PEM block is damaged")
		}
		if block.Type != kind || len(block.Headers) > 0 {
			return nil, fmt.Errorf("a PEM block %q, not %q", block.Type, kind)
		}
		blocks = append(blocks, block.Bytes)
		rest = after
	}
	return blocks, nil
}

// SHA256 is the hex sha256 of a certificate's DER, its name in revocations.
func SHA256(c *x509.Certificate) string { return hexSHA256(c.Raw) }

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// certificateParts is a certificate as RFC 5280 section 4.1 builds it.
type certificateParts struct {
	TBS, Algorithm asn1.RawValue
	Signature      asn1.BitString
}

// withSignature is the DER of a certificate with this value of its signature; nil for
// none.
func withSignature(c *x509.Certificate, signature []byte) []byte {
	var parts certificateParts
	if _, err := asn1.Unmarshal(c.Raw, &parts); err != nil {
		return nil
	}
	parts.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	raw, err := asn1.Marshal(parts)
	if err != nil {
		return nil
	}
	return raw
}

// IsDER reports whether the bytes of a certificate are nothing but its DER. Parsers pass
// over what stands behind the signature in it, and take one with unused bits: so whoever
// has a certificate could give it, without its issuer, any number of sha256.
func IsDER(c *x509.Certificate) bool { return bytes.Equal(withSignature(c, c.Signature), c.Raw) }

// IssuedSHA256 is SHA256 of a certificate as it was issued, whatever has been added since:
// for who revokes what an attacker has made of it.
func IssuedSHA256(c *x509.Certificate) string { return hexSHA256(withSignature(c, c.Signature)) }

// otherSHA256 is the hex sha256 that anybody can give a certificate that its issuer has
// signed with ECDSA, where (r, s) and (r, n-s) are both good (SEC 1 section 4.1.4); ""
// for any other one.
func otherSHA256(c, issuer *x509.Certificate) string {
	key, ok := issuer.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return ""
	}
	var value struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(c.Signature, &value); err != nil {
		return ""
	}
	value.S.Sub(key.Params().N, value.S)
	signature, err := asn1.Marshal(value)
	if err != nil {
		return ""
	}
	raw := withSignature(c, signature)
	if raw == nil {
		return ""
	}
	return hexSHA256(raw)
}

// issued reports whether parent has issued cert: same name, and its key, which
// may sign certificates, verifies the signature.
func issued(parent, cert *x509.Certificate) bool {
	return bytes.Equal(parent.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(parent) == nil
}
