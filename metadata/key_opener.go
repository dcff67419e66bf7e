package metadata

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// ErrUnsignable is the error for a signature that no client would count: what holds the key signs otherwise than TUF
// metadata needs it.
var ErrUnsignable = errors.New("unusable signature")

// KeyOpener reaches private keys that are neither in files nor in environment variables: those of tokens, agents and key
// management services. This package has no network and starts no processes; whoever implements it does.
type KeyOpener interface {
	// OpenKey returns a signer for the key at a URI, which is called name in messages. With public that is the key; then
	// nothing is asked of anybody before it signs. Without, the key is asked for its public half.
	// ErrKeyMissing, ErrPassphrase, ErrKey, ErrInvalid.
	OpenKey(name, uri string, public *tuf.Key) (Signer, error)
	// HasKey reports whether the key at a URI seems to be at hand. It asks for no PIN, no touch and no money, and takes
	// the same answer again for a URI that it knows.
	HasKey(uri string, public *tuf.Key) bool
	// CreateKey makes a key at a URI where there is none, and returns its public half.
	// ErrKeyExists, ErrKeyMissing, ErrPassphrase, ErrInvalid.
	CreateKey(name, uri string, t KeyType) (*tuf.Key, error)
}

// checkedSigner verifies what a foreign signer returns: a device that is misconfigured, or holds another key, must not
// reach metadata.
type checkedSigner struct{ Signer }

// Sign signs with the foreign signer and verifies the signature. ErrUnsignable for one that no client would count.
func (s checkedSigner) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	sig, err := s.Signer.Sign(ctx, payload)
	if err != nil {
		return nil, err
	}
	if err := VerifySignature(s.Key(), payload, sig); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrUnsignable, diagnose(s.Key(), payload, sig))
	}
	return sig, nil
}

// diagnose names the usual reasons why the signature of a device or service does not verify.
func diagnose(key *tuf.Key, payload, sig []byte) string {
	pub, err := cryptoKey(key)
	if err != nil {
		return err.Error()
	}
	sum256, sum384, sum512 := sha256.Sum256(payload), sha512.Sum384(payload), sha512.Sum512(payload)
	digests := map[crypto.Hash][]byte{crypto.SHA256: sum256[:], crypto.SHA384: sum384[:], crypto.SHA512: sum512[:]}
	for hash, digest := range digests {
		switch k := pub.(type) {
		case *rsa.PublicKey:
			if rsa.VerifyPKCS1v15(k, hash, digest, sig) == nil {
				return "it is RSA with PKCS#1 v1.5, which no scheme of TUF metadata takes; use an RSA key that signs by PSS with SHA-256, or an ed25519 or ECDSA P-256 key"
			}
			if rsa.VerifyPSS(k, hash, digest, sig, nil) == nil {
				return fmt.Sprintf("it is RSA PSS with %s; TUF metadata takes SHA-256", hash)
			}
		case *ecdsa.PublicKey:
			if ecdsa.VerifyASN1(k, digest, sig) {
				return fmt.Sprintf("it is ECDSA with %s; a key on %s signs with SHA-%d", hash, k.Curve.Params().Name, k.Curve.Params().BitSize)
			}
		}
	}
	return "it does not verify against the public key: another key is there than is known for it"
}
