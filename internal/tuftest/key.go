package tuftest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// KeyType names a kind of key that TUF clients know.
type KeyType string

// The key types of the TUF specification that go-tuf verifies.
const (
	Ed25519   KeyType = "ed25519"
	ECDSAP256 KeyType = "ecdsa-p256"
	ECDSAP384 KeyType = "ecdsa-p384"
	RSA       KeyType = "rsa"
)

// Key is a private key and what metadata says about it.
type Key struct {
	// ID is the key id: the hex SHA-256 of the canonical public key.
	ID string
	// Private signs; it is of the type that its generator returns.
	Private crypto.Signer
	// Public is the key as metadata writes it.
	Public map[string]any

	sign func(message []byte) ([]byte, error)
}

// NewKey generates a key. Ed25519 costs microseconds, RSA (2048 bits) a
// good part of a second.
func NewKey(t testing.TB, kind KeyType) *Key {
	t.Helper()
	key, err := newKey(kind)
	if err != nil {
		t.Fatalf("key of type %q: %v", kind, err)
	}
	return key
}

func newKey(kind KeyType) (*Key, error) {
	switch kind {
	case Ed25519, "":
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		sign := func(message []byte) ([]byte, error) { return ed25519.Sign(private, message), nil }
		return describe(private, "ed25519", "ed25519", hex.EncodeToString(public), sign)
	case ECDSAP256:
		return newECDSA(elliptic.P256(), "ecdsa-sha2-nistp256", func(m []byte) []byte { s := sha256.Sum256(m); return s[:] })
	case ECDSAP384:
		return newECDSA(elliptic.P384(), "ecdsa-sha2-nistp384", func(m []byte) []byte { s := sha512.Sum384(m); return s[:] })
	case RSA:
		return newRSA()
	}
	return nil, fmt.Errorf("unknown key type")
}

func newECDSA(curve elliptic.Curve, scheme string, sum func([]byte) []byte) (*Key, error) {
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := pemKey(private.Public())
	if err != nil {
		return nil, err
	}
	sign := func(message []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, private, sum(message)) }
	return describe(private, "ecdsa", scheme, public, sign)
}

func newRSA() (*Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public, err := pemKey(private.Public())
	if err != nil {
		return nil, err
	}
	sign := func(message []byte) ([]byte, error) {
		sum := sha256.Sum256(message)
		return rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return describe(private, "rsa", "rsassa-pss-sha256", public, sign)
}

func pemKey(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func describe(private crypto.Signer, keyType, scheme, public string, sign func([]byte) ([]byte, error)) (*Key, error) {
	key := map[string]any{
		"keytype": keyType,
		"scheme":  scheme,
		"keyval":  map[string]any{"public": public},
	}
	canonical, err := cjson.EncodeCanonical(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(canonical)
	return &Key{ID: hex.EncodeToString(sum[:]), Private: private, Public: key, sign: sign}, nil
}
