package metadata

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"
)

// brokenKey is a private key whose signatures are of another one, as after a mix-up in a device.
type brokenKey struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k brokenKey) Public() crypto.PublicKey { return k.public }

// failingKey is a key whose device is gone.
type failingKey struct{ crypto.Signer }

var errDevice = errors.New("no device")

func (failingKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errDevice }

// A signature that does not verify must not reach metadata: clients would count nothing and say nothing of the cause.
func TestSignerChecksItsSignature(t *testing.T) {
	t.Parallel()
	for _, kind := range KeyTypes() {
		s, err := NewSigner(brokenKey{testKey(t, kind), otherKey(t, kind).Public()})
		if err != nil {
			t.Fatal(err)
		}
		if sig, err := s.Sign(t.Context(), []byte("payload")); !errors.Is(err, errSignature) || sig != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	s, err := NewSigner(failingKey{testKey(t, KeyEd25519)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), nil); !errors.Is(err, errDevice) {
		t.Errorf("%v", err)
	}
}

func TestNewSignerRefuses(t *testing.T) {
	t.Parallel()
	for _, pub := range []crypto.PublicKey{nil, ed25519.PublicKey(nil), "key"} {
		if s, err := NewSigner(brokenKey{testKey(t, KeyEd25519), pub}); !errors.Is(err, ErrKey) || s != nil {
			t.Errorf("%v: %v", pub, err)
		}
	}
}
