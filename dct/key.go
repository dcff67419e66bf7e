package dct

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// minRSABits is the shortest RSA key that Notary takes. With one longer than maxRSABits a
// signature can take hours to verify.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// publicKey is a key as Notary's metadata has it: base64 of PKIX, of the 32 bytes of an
// ed25519 key or, for the types that end in -x509, of certificates in PEM.
type publicKey struct {
	Type  string `json:"keytype"`
	Value struct {
		Public []byte `json:"public"`
	} `json:"keyval"`
}

// parsedKey is a key that can verify.
type parsedKey struct {
	kind        string // ecdsa, rsa, ed25519
	public      crypto.PublicKey
	id          string            // of the metadata: with its certificate, if it has one
	canonical   string            // of the key itself
	certificate *x509.Certificate // nil for none
}

const certificateSuffix = "-x509"

func (k publicKey) parse() (*parsedKey, error) {
	p := &parsedKey{kind: strings.TrimSuffix(k.Type, certificateSuffix), id: keyID(k.Type, k.Value.Public)}
	p.canonical = p.id
	var err error
	switch k.Type {
	case "ed25519":
		if len(k.Value.Public) != ed25519.PublicKeySize {
			return nil, errors.New("an ed25519 key has 32 bytes")
		}
		p.public = ed25519.PublicKey(k.Value.Public)
		return p, nil
	case "ecdsa", "rsa":
		p.public, err = x509.ParsePKIXPublicKey(k.Value.Public)
	case "ecdsa-x509", "rsa-x509":
		if p.certificate, err = leaf(k.Value.Public); err != nil {
			return nil, err
		}
		p.public = p.certificate.PublicKey
		var der []byte
		der, err = x509.MarshalPKIXPublicKey(p.public)
		p.canonical = keyID(p.kind, der)
	default:
		return nil, fmt.Errorf("a key of type %q", k.Type)
	}
	if err != nil {
		return nil, err
	}
	return p, p.fits()
}

// fits reports a key that is not of the type that the metadata says, too short or too long.
func (p *parsedKey) fits() error {
	switch key := p.public.(type) {
	case *ecdsa.PublicKey:
		if p.kind == "ecdsa" {
			return nil
		}
	case *rsa.PublicKey:
		if p.kind == "rsa" && key.N.BitLen() >= minRSABits && key.N.BitLen() <= maxRSABits {
			return nil
		}
	}
	return fmt.Errorf("a key of type %s that is %T, too short or too long", p.kind, p.public)
}

// leaf is the first certificate of a bundle, which must not be that of an authority.
func leaf(bundle []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(bundle)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err == nil && cert.IsCA {
		err = errors.New("the certificate of an authority in the place of a root key's")
	}
	return cert, err
}

// keyID is the hash of the canonical form of a key, with a private part that is null.
func keyID(kind string, public []byte) string {
	canonical, err := cjson.EncodeCanonical(map[string]any{
		"keytype": kind,
		"keyval":  map[string]any{"private": nil, "public": json.RawMessage(mustJSON(public))},
	})
	if err != nil {
		return "" // no key has this id
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// mustJSON writes bytes as JSON does: base64.
func mustJSON(data []byte) []byte {
	out, _ := json.Marshal(data) // of bytes: never fails
	return out
}

// verify checks a signature by the one method that Notary uses for keys of the type.
func (p *parsedKey) verify(method string, message, sig []byte) bool {
	sum := sha256.Sum256(message)
	switch key := p.public.(type) {
	case *ecdsa.PublicKey:
		size := (key.Curve.Params().BitSize + 7) / 8
		if method != "ecdsa" || len(sig) != 2*size {
			return false
		}
		return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:]))
	case *rsa.PublicKey:
		o := &rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256}
		return method == "rsapss" && rsa.VerifyPSS(key, crypto.SHA256, sum[:], sig, o) == nil
	case ed25519.PublicKey:
		return method == "eddsa" && ed25519.Verify(key, message, sig)
	}
	return false
}
