package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os/exec"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/tufoci/tufoci/metadata"
)

// A file holds one private key, of a type that signs metadata, or is refused.
func FuzzDecodePrivateKey(f *testing.F) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []crypto.Signer{ed, ec} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der}))
		f.Add(pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Headers: map[string]string{"role": "root"}, Bytes: der}))
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pem.EncodeToMemory(block))
		f.Add(bytes.Repeat(pem.EncodeToMemory(block), 2))
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00112233445566778899AABBCCDDEEFF"}, Bytes: make([]byte, 32)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if block, err := privateBlock(data); err == nil && costs(block) {
			return // bounded, and slow
		}
		key, err := DecodePrivateKey(data, func() ([]byte, error) { return []byte("secret"), nil })
		if err != nil {
			if key != nil || !errors.Is(err, metadata.ErrKey) && !errors.Is(err, metadata.ErrPassphrase) {
				t.Fatalf("%v, %v", key, err)
			}
			return
		}
		if _, err := metadata.PublicKey(key.Public()); err != nil {
			t.Fatal(err)
		}
		again, err := DecodePrivateKey(data, func() ([]byte, error) { return []byte("secret"), nil })
		if err != nil || !again.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
			t.Fatalf("another key: %v", err)
		}
	})
}

// costs reports whether a block asks for the work of many rounds.
func costs(block *pem.Block) bool {
	if block.Type == pemOpenSSH {
		header, err := readSSHHeader(block.Bytes)
		return err == nil && header.Cipher != "none"
	}
	return isEncrypted(block) && block.Headers["DEK-Info"] == ""
}

// Whatever a plugin prints is an answer or an error, short enough to be shown.
func FuzzPluginAnswer(f *testing.F) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		f.Fatal(err)
	}
	block := bytes.ReplaceAll(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), []byte("\n"), []byte(`\n`))
	f.Add([]byte(`{"publicKey":{"publicKeyPEM":"` + string(block) + `"}}`))
	f.Add([]byte(`{"errorMessage":"no"}`))
	f.Add([]byte(`{"signMessage":{"signature":"AAAA"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, printed []byte) {
		k := &pluginKey{program: "sigstore-kms-fuzzed"}
		answer, diagnostics := &bounded{max: maxAnswer}, &bounded{max: maxDiagnostics, drop: true}
		_, _ = answer.Write(printed)
		if _, err := diagnostics.Write(printed); err != nil || len(diagnostics.data) > maxDiagnostics {
			t.Fatalf("%d bytes, %v", len(diagnostics.data), err)
		}
		response, err := k.read(t.Context(), nil, &exec.Cmd{}, answer, diagnostics)
		if err != nil {
			if response != nil || len(err.Error()) > 3*maxDiagnostics {
				t.Fatalf("%v, %d bytes", response, len(err.Error()))
			}
			return
		}
		key, err := k.publicFrom(response)
		if err == nil {
			if _, err := metadata.MarshalPublicKey(key); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A signature of an agent gets the form that metadata has, or is refused.
func FuzzSSHSignature(f *testing.F) {
	blob := ssh.Marshal(struct{ R, S *big.Int }{big.NewInt(5), big.NewInt(7)})
	for _, format := range []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoRSA} {
		f.Add(format, blob)
	}
	f.Fuzz(func(t *testing.T, format string, blob []byte) {
		sig, err := decodeSSHSignature(&ssh.Signature{Format: format, Blob: blob})
		if err != nil {
			if _, ok := errors.AsType[*PlaceError](err); sig != nil || !ok {
				t.Fatalf("%x, %T: %v", sig, err, err)
			}
			return
		}
		if format == ssh.KeyAlgoED25519 {
			if !bytes.Equal(sig, blob) {
				t.Fatalf("%x", sig)
			}
			return
		}
		var point struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(sig, &point); err != nil || len(rest) > 0 {
			t.Fatalf("%x: %v", sig, err)
		}
	})
}
