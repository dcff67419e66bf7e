//go:build cgo

package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/asn1"
	"slices"
	"testing"

	"github.com/miekg/pkcs11"
)

// Whatever a token says that its key is, it is a point of one of the known curves or no key.
func FuzzDecodePoint(f *testing.F) {
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		return der
	}
	curve := elliptic.P256().Params()
	point := slices.Concat([]byte{4}, curve.Gx.FillBytes(make([]byte, 32)), curve.Gy.FillBytes(make([]byte, 32)))
	f.Add(uint(pkcs11.CKK_EC), marshal(oidP256), marshal(point))
	f.Add(uint(pkcs11.CKK_EC), marshal(oidP384), point)
	f.Add(uint(ckkECEdwards), marshal("edwards25519"), marshal(make([]byte, ed25519.PublicKeySize)))
	f.Add(uint(ckkECEdwards), marshal(oidEd25519), make([]byte, 31))
	f.Fuzz(func(t *testing.T, kind uint, params, point []byte) {
		key, err := decodePoint(kind, params, point)
		if err != nil {
			return
		}
		switch key := key.(type) {
		case ed25519.PublicKey:
			if len(key) != ed25519.PublicKeySize {
				t.Fatalf("%d bytes", len(key))
			}
		case *ecdsa.PublicKey:
			if _, err := key.ECDH(); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%T", key)
		}
		if _, err := encodePublic(key); err != nil {
			t.Fatal(err)
		}
	})
}
