package dct

import (
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"
)

// A key by which a signature would take too long to verify counts for nothing.
func TestRefusesRSAOfOtherLengths(t *testing.T) {
	t.Parallel()
	for bits, want := range map[uint]bool{1024: false, 2048: true, 8192: true, 8193: false, 100_000: false} {
		n := new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1)
		der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		k := publicKey{Type: "rsa"}
		k.Value.Public = der
		if _, err := k.parse(); (err == nil) != want {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}
