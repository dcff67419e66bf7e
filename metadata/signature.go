package metadata

import (
	"context"
	"crypto/ecdsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// MaxSignatureFile bounds a file that holds one signature, in bytes. That of the longest RSA keys has 4 KiB in hex.
const MaxSignatureFile = 64 << 10

// DetachedSignature is a signature apart from its metadata, with what is needed to find where it belongs: its JSON form.
type DetachedSignature struct {
	Payload string       `json:"payload"` // hex sha256 of the bytes that were signed
	KeyID   string       `json:"keyid"`
	Sig     tuf.HexBytes `json:"sig"`
	Key     *tuf.Key     `json:"key"`
}

// SignPayload signs bytes that ReadPayload accepts.
func SignPayload(ctx context.Context, key Signer, payload []byte) (*DetachedSignature, error) {
	info, err := ReadPayload(payload)
	if err != nil {
		return nil, err
	}
	sig, err := key.Sign(ctx, payload)
	if err != nil {
		return nil, err
	}
	return newDetached(key.Key(), info.SHA256, payload, sig)
}

// newDetached describes a signature, once it verifies.
func newDetached(key *tuf.Key, sum string, payload, sig []byte) (*DetachedSignature, error) {
	if err := VerifySignature(key, payload, sig); err != nil {
		return nil, err
	}
	id, err := key.ID()
	return &DetachedSignature{Payload: sum, KeyID: id, Sig: sig, Key: key}, err
}

// Marshal writes the JSON form, in one line.
func (s *DetachedSignature) Marshal() ([]byte, error) {
	data, err := json.Marshal(s)
	return append(data, '\n'), err
}

// ParseDetachedSignature reads the JSON form, strictly. It says nothing of whether the signature verifies. ErrSignature.
func ParseDetachedSignature(data []byte) (*DetachedSignature, error) {
	if len(data) > MaxSignatureFile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrSignature, len(data), MaxSignatureFile)
	}
	if err := checkTokens(data); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSignature, err)
	}
	var s DetachedSignature
	if err := decodeStrict(data, &s); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSignature, err)
	}
	return &s, s.check()
}

// check holds a signature to its form.
func (s *DetachedSignature) check() error {
	switch {
	case !isSHA256(s.Payload):
		return fmt.Errorf("%w: payload is not the hex sha256 of what was signed", ErrSignature)
	case len(s.Sig) == 0:
		return fmt.Errorf("%w: it is empty", ErrSignature)
	case s.Key == nil:
		return fmt.Errorf("%w: its public key is missing", ErrSignature)
	}
	if _, err := cryptoKey(s.Key); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// findSignature finds the signature of a payload by a key in what some tool wrote: hex, base64, bytes as they are or the
// JSON form; of ECDSA as DER, or as the two numbers one behind the other, as PKCS#11 has them. Only one that verifies is
// found, whatever it looks like. ErrSignature.
func findSignature(key *tuf.Key, payload, data []byte) ([]byte, error) {
	if len(data) > MaxSignatureFile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrSignature, len(data), MaxSignatureFile)
	}
	candidates := [][]byte{data}
	text := strings.Join(strings.Fields(string(data)), "")
	if b, err := hex.DecodeString(text); err == nil {
		candidates = append(candidates, b)
	}
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		candidates = append(candidates, b)
	}
	if strings.HasPrefix(text, "{") {
		s, err := ParseDetachedSignature(data)
		if err != nil {
			return nil, err
		}
		if sum := checksum(payload); s.Payload != sum {
			return nil, fmt.Errorf("%w: it is over other bytes, with sha256 %s; those to sign have %s", ErrSignature, s.Payload, sum)
		}
		candidates = [][]byte{s.Sig}
	}
	for _, sig := range candidates {
		if der, ok := ecdsaDER(key, sig); ok && VerifySignature(key, payload, der) == nil {
			return der, nil
		}
		if VerifySignature(key, payload, sig) == nil {
			return sig, nil
		}
	}
	return nil, fmt.Errorf("%w: it is not by this key (%s) over these bytes (sha256 %s)", ErrSignature, key.Scheme, checksum(payload))
}

// ecdsaDER makes DER of r and s, each as long as the order of the curve.
func ecdsaDER(key *tuf.Key, sig []byte) ([]byte, bool) {
	pub, err := cryptoKey(key)
	if err != nil {
		return nil, false
	}
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, false
	}
	n := (k.Curve.Params().N.BitLen() + 7) / 8
	if len(sig) != 2*n {
		return nil, false
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])})
	return der, err == nil
}

// add adds a signature that verifies, under every id by which a rule knows its key. One that is there and verifies stays:
// adding takes nothing away but what counts for nothing.
func (e *envelope) add(key *tuf.Key, payload, sig []byte, rules []rule) error {
	var ids []string
	for _, r := range rules {
		ids = append(ids, r.idsOf(key)...)
	}
	if err := VerifySignature(key, payload, sig); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		i := slices.IndexFunc(e.Signatures, func(s tuf.Signature) bool { return s.KeyID == id })
		switch {
		case i < 0:
			e.Signatures = append(e.Signatures, tuf.Signature{KeyID: id, Signature: sig})
		case VerifySignature(key, payload, e.Signatures[i].Signature) != nil:
			e.Signatures[i].Signature = sig
		}
	}
	return nil
}

// merge adds signatures that other copies of the same file have. ErrSignature for one that does not count.
func (e *envelope) merge(signatures []tuf.Signature, payload []byte, rules []rule) error {
	for _, s := range signatures {
		if err := checkSignature(s, rules, payload); err != nil {
			return err
		}
		if err := e.add(keyIn(rules, s.KeyID), payload, s.Signature, rules); err != nil {
			return err
		}
	}
	return nil
}

// by returns the signature of a key that is there and verifies, nil if there is none.
func (e *envelope) by(key *tuf.Key, payload []byte, rules []rule) []byte {
	for _, r := range rules {
		for _, id := range r.idsOf(key) {
			for _, s := range e.Signatures {
				if s.KeyID == id && VerifySignature(key, payload, s.Signature) == nil {
					return s.Signature
				}
			}
		}
	}
	return nil
}

// keyIn finds a key in rules by its id.
func keyIn(rules []rule, id string) *tuf.Key {
	for _, r := range rules {
		if key := r.keys[id]; key != nil {
			return key
		}
	}
	return nil
}
