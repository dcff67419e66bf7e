//go:build cgo

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
)

// Curves as CKA_EC_PARAMS has them: an object identifier or, for ed25519, either that or its name.
var (
	oidP256    = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384    = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// errNoObject: the token shows no such object.
var errNoObject = errors.New("no such object")

// find is the one object of a class that the URI names.
func (s *session) find(class uint) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if s.uri.Object != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, s.uri.Object))
	}
	if s.uri.ID != nil {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, s.uri.ID))
	}
	if err := s.module.FindObjectsInit(s.handle, template); err != nil {
		return 0, fmt.Errorf("token %q: looking for the key: %w", s.uri.TokenName(), err)
	}
	found, _, err := s.module.FindObjects(s.handle, maxObjects)
	if err := errors.Join(err, s.module.FindObjectsFinal(s.handle)); err != nil {
		return 0, fmt.Errorf("token %q: looking for the key: %w", s.uri.TokenName(), err)
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("token %q has no key %s: %w", s.uri.TokenName(), s.uri.KeyName(), errNoObject)
	case 1:
		return found[0], nil
	}
	return 0, fmt.Errorf("token %q has several keys %s; add id= to the URI", s.uri.TokenName(), s.uri.KeyName())
}

// publicKey reads the public half. Most tokens show it without a login; nobody is logged in where it is not needed.
func (s *session) publicKey() (crypto.PublicKey, error) {
	object, err := s.find(pkcs11.CKO_PUBLIC_KEY)
	if errors.Is(err, errNoObject) {
		if err := s.logIn(); err != nil {
			return nil, err
		}
		object, err = s.find(pkcs11.CKO_PUBLIC_KEY)
	}
	if errors.Is(err, errNoObject) {
		return nil, fmt.Errorf("%w; its public half has to be in the token too", err)
	}
	if err != nil {
		return nil, err
	}
	return s.readPublic(object)
}

func (s *session) readPublic(object pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	kind, err := s.keyType(object)
	if err != nil {
		return nil, err
	}
	if kind == pkcs11.CKK_RSA {
		values, err := s.attributes(object, pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT)
		if err != nil {
			return nil, err
		}
		e := new(big.Int).SetBytes(values[1])
		if !e.IsInt64() || e.Int64() > 1<<31-1 {
			return nil, errors.New("an RSA key with an exponent beyond all use")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(values[0]), E: int(e.Int64())}, nil
	}
	values, err := s.attributes(object, pkcs11.CKA_EC_PARAMS, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	return decodePoint(kind, values[0], values[1])
}

// decodePoint reads the point of an elliptic curve: bytes in an OCTET STRING, as the standard says, or bare, as some
// tokens have it.
func decodePoint(kind uint, params, point []byte) (crypto.PublicKey, error) {
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 {
		point = inner
	}
	var name string
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(params, &oid); err != nil {
		_, _ = asn1.Unmarshal(params, &name)
	}
	switch {
	case kind == ckkECEdwards && (name == "edwards25519" || oid.Equal(oidEd25519)):
		if len(point) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("an ed25519 key of %d bytes", len(point))
		}
		return ed25519.PublicKey(point), nil
	case kind == pkcs11.CKK_EC && oid.Equal(oidP256):
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	case kind == pkcs11.CKK_EC && oid.Equal(oidP384):
		return ecdsa.ParseUncompressedPublicKey(elliptic.P384(), point)
	}
	return nil, fmt.Errorf("a key on a curve that is not used here (%s%s); use ed25519, P-256 or P-384", name, oid)
}

func (s *session) keyType(object pkcs11.ObjectHandle) (uint, error) {
	values, err := s.attributes(object, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return 0, err
	}
	return number(values[0]), nil
}

// number reads a CK_ULONG, which has the machine's order and size.
func number(data []byte) uint {
	n := uint(0)
	for i := len(data) - 1; i >= 0; i-- {
		n = n<<8 | uint(data[i])
	}
	return n
}

func (s *session) attributes(object pkcs11.ObjectHandle, kinds ...uint) ([][]byte, error) {
	template := make([]*pkcs11.Attribute, len(kinds))
	for i, kind := range kinds {
		template[i] = pkcs11.NewAttribute(kind, nil)
	}
	read, err := s.module.GetAttributeValue(s.handle, object, template)
	if err != nil {
		return nil, fmt.Errorf("token %q: reading key %s: %w", s.uri.TokenName(), s.uri.KeyName(), err)
	}
	values := make([][]byte, len(read))
	for i, attribute := range read {
		values[i] = attribute.Value
	}
	return values, nil
}

// createKey makes a key pair in the token that never leaves it, under the label and the id of the URI.
func (s *session) createKey(algorithm string) (crypto.PublicKey, error) {
	if s.uri.Object == "" {
		return nil, errors.New("a new key needs a label: add object=LABEL to the URI")
	}
	if err := s.logIn(); err != nil {
		return nil, err
	}
	for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY} {
		if _, err := s.find(class); !errors.Is(err, errNoObject) {
			if err == nil {
				err = fmt.Errorf("token %q has a key %s already", s.uri.TokenName(), s.uri.KeyName())
			}
			return nil, err
		}
	}
	id := s.uri.ID
	if id == nil {
		id = make([]byte, 8)
		rand.Read(id)
	}
	mechanism, public, err := keyPair(algorithm)
	if err != nil {
		return nil, err
	}
	both := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, s.uri.Object),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	public = append(append(public, both...), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true))
	private := append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
	}, both...)
	object, _, err := s.module.GenerateKeyPair(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
	if err != nil {
		return nil, fmt.Errorf("token %q: making an %s key: %w", s.uri.TokenName(), algorithm, err)
	}
	return s.readPublic(object)
}

// keyPair is the mechanism of an algorithm, and what its public key is told.
func keyPair(algorithm string) (mechanism uint, public []*pkcs11.Attribute, err error) {
	curve := func(params any) []*pkcs11.Attribute {
		var der []byte
		der, err = asn1.Marshal(params)
		return []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, der)}
	}
	switch algorithm {
	case algorithmEd25519:
		public = curve("edwards25519")
		return ckmECEdwardsKeyPairGen, public, err
	case algorithmP256:
		public = curve(oidP256)
		return pkcs11.CKM_EC_KEY_PAIR_GEN, public, err
	case algorithmP384:
		public = curve(oidP384)
		return pkcs11.CKM_EC_KEY_PAIR_GEN, public, err
	case algorithmRSA3072:
		return pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, 3072),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		}, nil
	}
	return 0, nil, fmt.Errorf("algorithm %q is not known here", algorithm)
}
