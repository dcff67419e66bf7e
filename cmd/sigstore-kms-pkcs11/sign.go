//go:build cgo

package main

import (
	"crypto"
	_ "crypto/sha256" // hashes of ECDSA and RSA
	_ "crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
)

// sign signs by the one scheme that TUF metadata has for the key: ECDSA as ASN.1, ed25519, RSA by PSS with SHA-256.
func (s *session) sign(m message) ([]byte, error) {
	if err := s.logIn(); err != nil {
		return nil, err
	}
	key, err := s.find(pkcs11.CKO_PRIVATE_KEY)
	if err != nil {
		return nil, err
	}
	kind, err := s.keyType(key)
	if err != nil {
		return nil, err
	}
	switch kind {
	case pkcs11.CKK_EC:
		return s.signECDSA(key, m)
	case ckkECEdwards:
		data, err := m.whole()
		if err != nil {
			return nil, err
		}
		return s.do(key, pkcs11.NewMechanism(ckmEDDSA, nil), data)
	case pkcs11.CKK_RSA:
		return s.signPSS(key, m)
	}
	return nil, fmt.Errorf("key %s is of a type that is not used here; use ed25519, ECDSA P-256 or P-384, or RSA", s.uri.KeyName())
}

// signECDSA signs with the hash of the curve and turns r and s, side by side, into ASN.1.
func (s *session) signECDSA(key pkcs11.ObjectHandle, m message) ([]byte, error) {
	values, err := s.attributes(key, pkcs11.CKA_EC_PARAMS)
	if err != nil {
		return nil, err
	}
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(values[0], &oid); err != nil {
		return nil, errors.New("a key on a curve without a name")
	}
	hash := crypto.SHA256
	if oid.Equal(oidP384) {
		hash = crypto.SHA384
	}
	digest, err := m.hash(hash)
	if err != nil {
		return nil, err
	}
	raw, err := s.do(key, pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), digest)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, fmt.Errorf("the token gave an ECDSA signature of %d bytes", len(raw))
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}

// signPSS signs with a salt as long as the hash. A token that signs no hash by PSS is given the message.
func (s *session) signPSS(key pkcs11.ObjectHandle, m message) ([]byte, error) {
	digest, err := m.hash(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	params := pkcs11.NewPSSParams(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, uint(crypto.SHA256.Size()))
	sig, err := s.do(key, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params), digest)
	if m.digest == nil && errors.Is(err, pkcs11.Error(pkcs11.CKR_MECHANISM_INVALID)) {
		return s.do(key, pkcs11.NewMechanism(pkcs11.CKM_SHA256_RSA_PKCS_PSS, params), m.data)
	}
	return sig, err
}

// do has the token sign. Some keys want the PIN again for each signature.
func (s *session) do(key pkcs11.ObjectHandle, mechanism *pkcs11.Mechanism, data []byte) ([]byte, error) {
	if err := s.module.SignInit(s.handle, []*pkcs11.Mechanism{mechanism}, key); err != nil {
		return nil, fmt.Errorf("token %q: signing with key %s: %w", s.uri.TokenName(), s.uri.KeyName(), err)
	}
	if values, err := s.attributes(key, pkcs11.CKA_ALWAYS_AUTHENTICATE); err == nil && len(values[0]) == 1 && values[0][0] != 0 {
		if err := s.module.Login(s.handle, pkcs11.CKU_CONTEXT_SPECIFIC, s.pin); err != nil {
			return nil, s.loginError(err)
		}
	}
	sig, err := s.module.Sign(s.handle, data)
	if err != nil {
		return nil, fmt.Errorf("token %q: signing with key %s: %w", s.uri.TokenName(), s.uri.KeyName(), err)
	}
	return sig, nil
}
