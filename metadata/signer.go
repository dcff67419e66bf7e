package metadata

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Signer signs the canonical form of metadata with one key.
type Signer interface {
	// Key is the public key, as it stands in metadata.
	Key() *tuf.Key
	// Sign returns the signature of payload by the key's scheme.
	Sign(ctx context.Context, payload []byte) ([]byte, error)
}

// NewSigner signs with a private key that is at hand. ErrKey.
func NewSigner(key crypto.Signer) (Signer, error) {
	pub, err := PublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &localSigner{key: key, pub: pub}, nil
}

type localSigner struct {
	key crypto.Signer
	pub *tuf.Key
}

func (s *localSigner) Key() *tuf.Key { return s.pub }

// Sign signs and verifies what it signed: a broken key must not reach metadata.
func (s *localSigner) Sign(_ context.Context, payload []byte) ([]byte, error) {
	sig, err := s.sign(payload)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if err := VerifySignature(s.pub, payload, sig); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return sig, nil
}

func (s *localSigner) sign(payload []byte) ([]byte, error) {
	switch pub := s.key.Public().(type) {
	case ed25519.PublicKey:
		return s.key.Sign(rand.Reader, payload, crypto.Hash(0))
	case *ecdsa.PublicKey:
		digest := digestFor(pub, payload)
		hash := crypto.SHA256
		if len(digest) == crypto.SHA384.Size() {
			hash = crypto.SHA384
		}
		return s.key.Sign(rand.Reader, digest, hash)
	case *rsa.PublicKey:
		// PSS with a salt as long as the hash: the one form that every TUF client takes.
		sum := sha256.Sum256(payload)
		return s.key.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	default:
		return nil, fmt.Errorf("%w: %T", ErrKey, pub)
	}
}
