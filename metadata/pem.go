package metadata

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/youmark/pkcs8"
)

// KeyType is what GenerateKey makes.
type KeyType string

// The key types. The RSA keys sign with PSS and SHA-256.
const (
	KeyEd25519   KeyType = "ed25519"
	KeyECDSAP256 KeyType = "ecdsa-p256"
	KeyECDSAP384 KeyType = "ecdsa-p384"
	KeyRSA3072   KeyType = "rsa-3072"
)

// KeyTypes lists them, the default first.
func KeyTypes() []KeyType { return []KeyType{KeyEd25519, KeyECDSAP256, KeyECDSAP384, KeyRSA3072} }

const (
	pemPublicKey    = "PUBLIC KEY"
	pemEncryptedKey = "ENCRYPTED PRIVATE KEY"
	pemPrivateKey   = "PRIVATE KEY"
	pemECKey        = "EC PRIVATE KEY"
	pemRSAKey       = "RSA PRIVATE KEY"
)

// ErrPassphrase is the error for a passphrase that does not open the key, and for none.
var ErrPassphrase = errors.New("wrong or missing passphrase")

// keyEncryption is PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA256, which every tool that reads PKCS#8 opens (RFC 8018).
// 600,000 rounds are OWASP's floor for this function.
func keyEncryption() *pkcs8.Opts {
	return &pkcs8.Opts{
		Cipher:  pkcs8.AES256CBC,
		KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: 600_000, HMACHash: crypto.SHA256},
	}
}

// GenerateKey makes a private key. ErrInvalid for a type that is not in KeyTypes.
func GenerateKey(t KeyType) (crypto.Signer, error) {
	switch t {
	case KeyEd25519, "":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case KeyECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case KeyECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case KeyRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("%w key type %q; use one of %v", ErrInvalid, t, KeyTypes())
}

// EncodePrivateKey writes a private key as PKCS#8 PEM, encrypted with the passphrase. An empty passphrase is
// ErrPassphrase: tufoci never writes a private key in the clear.
func EncodePrivateKey(key crypto.Signer, passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	der, err := pkcs8.MarshalPrivateKey(key, passphrase, keyEncryption())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: der}), nil
}

// IsEncrypted reports whether a PEM file holds a private key that needs a passphrase.
func IsEncrypted(data []byte) bool {
	block, _ := pem.Decode(data)
	return block != nil && block.Type == pemEncryptedKey
}

// DecodePrivateKey reads a private key: PKCS#8, encrypted or not, SEC 1 or PKCS#1, in PEM. passphrase is ignored for a
// key that is not encrypted. ErrPassphrase, ErrKey.
func DecodePrivateKey(data, passphrase []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%w: not a PEM file", ErrKey)
	}
	key, err := decodeBlock(block, passphrase)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a key for key agreement, such as X25519, cannot sign", ErrKey)
	}
	if _, err := PublicKey(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

func decodeBlock(block *pem.Block, passphrase []byte) (key any, err error) {
	switch block.Type {
	case pemEncryptedKey:
		if len(passphrase) == 0 {
			return nil, ErrPassphrase
		}
		if err := checkEncryption(block.Bytes); err != nil {
			return nil, err
		}
		// With CBC a wrong passphrase shows as bad padding or as bytes that are no key: both are named as what they
		// almost always are.
		if key, _, err = pkcs8.ParsePrivateKey(block.Bytes, passphrase); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPassphrase, err)
		}
		return key, nil
	case pemPrivateKey:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case pemECKey:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case pemRSAKey:
		if block.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("%w: an old encrypted PEM file; %s", ErrKey, convertAdvice)
		}
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%w: a PEM block %q; want %q (PKCS#8), encrypted or not, %q or %q", ErrKey, block.Type, pemPrivateKey, pemECKey, pemRSAKey)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return key, nil
}
