package material

import (
	"crypto/x509"
	"encoding/asn1"
	"testing"
)

// Package x509 verifies a certificate whatever else is in it: only one form is taken.
func TestIsDER(t *testing.T) {
	t.Parallel()
	root := newRoot(t, "root")
	genuine := newIntermediate(t, root, "between").Certificate
	var parts certificateParts
	if _, err := asn1.Unmarshal(genuine.Raw, &parts); err != nil {
		t.Fatal(err)
	}
	// An ECDSA signature is a SEQUENCE, 0x30, of which the first two bits are zero.
	shifted := parts.Signature
	shifted.Bytes, shifted.BitLength = make([]byte, len(parts.Signature.Bytes)), parts.Signature.BitLength-2
	for i, b := range parts.Signature.Bytes {
		shifted.Bytes[i] = b << 2
		if i+1 < len(parts.Signature.Bytes) {
			shifted.Bytes[i] |= parts.Signature.Bytes[i+1] >> 6
		}
	}
	for name, tt := range map[string]struct {
		content any
		want    bool
	}{
		"as it was issued":    {parts, true},
		"unused bits":         {certificateParts{parts.TBS, parts.Algorithm, shifted}, false},
		"something behind it": {[]any{parts.TBS, parts.Algorithm, parts.Signature, 1}, false},
	} {
		der, err := asn1.Marshal(tt.content)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil || c.CheckSignatureFrom(root.Certificate) != nil {
			t.Errorf("%s: it does not verify, so that it tests nothing: %v", name, err)
			continue
		}
		if IsDER(c) != tt.want {
			t.Errorf("%s: taken for DER: %t", name, !tt.want)
		}
		if (SHA256(c) == SHA256(genuine)) != tt.want {
			t.Errorf("%s: its sha256", name)
		}
		if IssuedSHA256(c) != SHA256(genuine) {
			t.Errorf("%s: its sha256, as it was issued", name)
		}
	}
}

// Whatever a certificate is made of, it has one sha256 as it was issued, and at most one
// other that counts for the same.
func FuzzCertificateForms(f *testing.F) {
	root := newRoot(f, "root")
	f.Add(root.Certificate.Raw)
	f.Add(append(root.Certificate.Raw[:len(root.Certificate.Raw):len(root.Certificate.Raw)], 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := x509.ParseCertificate(data)
		if err != nil {
			return
		}
		if IsDER(c) != (SHA256(c) == IssuedSHA256(c)) {
			t.Errorf("DER: %t, sha256 %s, as issued %s", IsDER(c), SHA256(c), IssuedSHA256(c))
		}
		if other := otherSHA256(c, root.Certificate); other != "" && other == SHA256(c) {
			t.Errorf("%s is the other form of itself", other)
		}
	})
}
