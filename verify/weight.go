package verify

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/tspclient-go"
	"github.com/veraison/go-cose"
)

const (
	// maxKeyBits is the size of an RSA key of an envelope, in bits, as in crypto/tls.
	// The time of a verification grows with its square and more: a key that just fits
	// into an envelope takes hours, which no deadline interrupts.
	maxKeyBits = 8192
	// maxEnvelopeCertificates is how many certificates the chain of a signature or of
	// its timestamp has; common ones have four.
	maxEnvelopeCertificates = 20
	// timestampHeader has a timestamp (Notary Project signature specification,
	// "Unsigned Attributes").
	timestampHeader = "io.cncf.notary.timestampSignature"
)

// checkWeight refuses an envelope that would take long to verify. It is asked before
// anything is verified: whoever can push can put any certificate into an envelope,
// and any timestamp to the good signature of somebody else. What cannot be parsed is
// not its matter.
func (e *envelope) checkWeight() error {
	chain, timestamp := e.unverified()
	if err := checkCertificates(parseAll(chain), len(chain)); err != nil {
		return err
	}
	token, err := tspclient.ParseSignedToken(timestamp)
	if err != nil {
		return nil
	}
	if err := checkCertificates(token.Certificates, len(token.Certificates)); err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	return nil
}

func checkCertificates(certs []*x509.Certificate, count int) error {
	if count > maxEnvelopeCertificates {
		return fmt.Errorf("%d certificates, at most %d are looked at", count, maxEnvelopeCertificates)
	}
	for _, c := range certs {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxKeyBits {
			return fmt.Errorf("a certificate with a key of %d bits, at most %d are looked at", key.N.BitLen(), maxKeyBits)
		}
	}
	return nil
}

// parseAll parses the certificates that are some.
func parseAll(chain [][]byte) []*x509.Certificate {
	var certs []*x509.Certificate
	for _, der := range chain[:min(len(chain), maxEnvelopeCertificates)] {
		if c, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, c)
		}
	}
	return certs
}

// unverified takes the certificates (DER) and the timestamp out of an envelope, as
// notation-core-go does.
func (e *envelope) unverified() (chain [][]byte, timestamp []byte) {
	if e.mediaType == jws.MediaTypeEnvelope {
		var envelope struct {
			Header struct {
				Timestamp []byte   `json:"io.cncf.notary.timestampSignature"`
				Chain     [][]byte `json:"x5c"`
			} `json:"header"`
		}
		if json.Unmarshal(e.data, &envelope) != nil {
			return nil, nil
		}
		return envelope.Header.Chain, envelope.Header.Timestamp
	}
	var message cose.Sign1Message
	if message.UnmarshalCBOR(e.data) != nil {
		return nil, nil
	}
	certs, _ := message.Headers.Unprotected[cose.HeaderLabelX5Chain].([]any)
	for _, c := range certs {
		if der, ok := c.([]byte); ok {
			chain = append(chain, der)
		}
	}
	timestamp, _ = message.Headers.Unprotected[timestampHeader].([]byte)
	return chain, timestamp
}
