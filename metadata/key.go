package metadata

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// minRSABits and maxRSABits are the shortest and the longest RSA key that is taken. No client of ours takes a longer one:
// one signature by it can take hours to verify, and no deadline interrupts that.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// ErrKey is the error for a key of a type that tufoci does not use, or that is not what its metadata says.
var ErrKey = errors.New("unusable key")

// errSignature: a signature does not verify.
var errSignature = errors.New("signature does not verify")

// PublicKey writes a public key as TUF metadata does (TUF spec 4.2): ed25519, ecdsa on P-256 or P-384, or rsa for
// PSS with SHA-256. The scheme of a P-384 key is ecdsa-sha2-nistp384. ErrKey.
func PublicKey(pub crypto.PublicKey) (*tuf.Key, error) {
	key := &tuf.Key{}
	switch k := pub.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%w: an ed25519 key of %d bytes", ErrKey, len(k))
		}
		key.Type, key.Scheme = tuf.KeyTypeEd25519, tuf.KeySchemeEd25519
		key.Value.PublicKey = hex.EncodeToString(k)
		return key, nil
	case *ecdsa.PublicKey:
		key.Type = tuf.KeyTypeECDSA_SHA2_P256
		switch k.Curve {
		case elliptic.P256():
			key.Scheme = tuf.KeySchemeECDSA_SHA2_P256
		case elliptic.P384():
			key.Scheme = tuf.KeySchemeECDSA_SHA2_P384
		default:
			return nil, fmt.Errorf("%w: curve %s; use P-256 or P-384", ErrKey, k.Curve.Params().Name)
		}
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return nil, fmt.Errorf("%w: an RSA key of %d bits; use at least %d", ErrKey, bits, minRSABits)
		} else if bits > maxRSABits {
			return nil, fmt.Errorf("%w: an RSA key of %d bits; use at most %d", ErrKey, bits, maxRSABits)
		}
		key.Type, key.Scheme = tuf.KeyTypeRSASSA_PSS_SHA256, tuf.KeySchemeRSASSA_PSS_SHA256
	default:
		return nil, fmt.Errorf("%w: %T; use ed25519, ECDSA P-256 or P-384, or RSA", ErrKey, pub)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key.Value.PublicKey = string(pem.EncodeToMemory(&pem.Block{Type: pemPublicKey, Bytes: der}))
	return key, nil
}

// ParsePublicKey reads a public key: PEM (PKIX) or the JSON of a TUF key.
// ErrKey.
func ParsePublicKey(data []byte) (*tuf.Key, error) {
	if block, _ := pem.Decode(data); block != nil {
		if block.Type != pemPublicKey {
			return nil, fmt.Errorf("%w: a PEM block %q; want %q", ErrKey, block.Type, pemPublicKey)
		}
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		return PublicKey(pub)
	}
	var key tuf.Key
	if err := json.Unmarshal(data, &key); err != nil {
		return nil, fmt.Errorf("%w: neither PEM nor the JSON of a TUF key", ErrKey)
	}
	pub, err := cryptoKey(&key)
	if err != nil {
		return nil, err
	}
	return PublicKey(pub)
}

// MarshalPublicKey writes a public key as PEM (PKIX), which ParsePublicKey reads back. ErrKey.
func MarshalPublicKey(key *tuf.Key) ([]byte, error) {
	pub, err := cryptoKey(key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPublicKey, Bytes: der}), nil
}

// cryptoKey is the key that metadata speaks of. Its type and scheme must fit it: go-tuf leaves the length of ed25519
// keys and the curve of others unchecked.
func cryptoKey(key *tuf.Key) (crypto.PublicKey, error) {
	if key.Type == tuf.KeyTypeEd25519 {
		raw, err := hex.DecodeString(key.Value.PublicKey)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%w: an ed25519 key is %d bytes in hex", ErrKey, ed25519.PublicKeySize)
		}
		return ed25519.PublicKey(raw), fits(key, ed25519.PublicKey(raw))
	}
	block, _ := pem.Decode([]byte(key.Value.PublicKey))
	if _, err := hex.DecodeString(key.Value.PublicKey); block == nil && err == nil {
		return nil, fmt.Errorf("%w: a key of type %q in hex, as in the first roots of Sigstore; only PEM is read", ErrKey, key.Type)
	}
	if block == nil {
		return nil, fmt.Errorf("%w: a key of type %q that is not PEM", ErrKey, key.Type)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return pub, fits(key, pub)
}

// fits checks type and scheme of metadata against the key itself. The key type ecdsa-sha2-nistp256 is an older
// spelling that is still read.
func fits(key *tuf.Key, pub crypto.PublicKey) error {
	want, err := PublicKey(pub)
	if err != nil {
		return err
	}
	types := []string{want.Type}
	if want.Scheme == tuf.KeySchemeECDSA_SHA2_P256 {
		types = append(types, tuf.KeyTypeECDSA_SHA2_P256_COMPAT)
	}
	if !slices.Contains(types, key.Type) || key.Scheme != want.Scheme {
		return fmt.Errorf("%w: type %q and scheme %q; the key itself is %s, %s", ErrKey, key.Type, key.Scheme, want.Type, want.Scheme)
	}
	return nil
}

// VerifySignature checks a signature over the canonical form of signed metadata by the key's scheme.
func VerifySignature(key *tuf.Key, payload, sig []byte) error {
	pub, err := cryptoKey(key)
	if err != nil {
		return err
	}
	ok := false
	switch k := pub.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, payload, sig)
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(k, digestFor(k, payload), sig)
	case *rsa.PublicKey:
		sum := sha256.Sum256(payload)
		ok = rsa.VerifyPSS(k, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	}
	if !ok {
		return errSignature
	}
	return nil
}

// digestFor hashes what an ECDSA key signs: SHA-384 for P-384, SHA-256 otherwise.
func digestFor(k *ecdsa.PublicKey, payload []byte) []byte {
	if k.Curve == elliptic.P384() {
		sum := sha512.Sum384(payload)
		return sum[:]
	}
	sum := sha256.Sum256(payload)
	return sum[:]
}

// sameKey reports whether two entries of metadata are one key, whatever ids and spellings they have.
func sameKey(a, b *tuf.Key) bool {
	ka, errA := cryptoKey(a)
	kb, errB := cryptoKey(b)
	if errA != nil || errB != nil {
		return strings.TrimSpace(a.Value.PublicKey) == strings.TrimSpace(b.Value.PublicKey)
	}
	eq, ok := ka.(interface{ Equal(crypto.PublicKey) bool })
	return ok && eq.Equal(kb)
}
