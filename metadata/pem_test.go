package metadata

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/youmark/pkcs8"

	"github.com/tufoci/tufoci/internal/tuftest"
)

var testPassphrase = []byte("correct horse battery staple")

// cheapPEM encrypts a key at a cost that tests can pay many times.
func cheapPEM(t testing.TB, key crypto.Signer, passphrase []byte) []byte {
	t.Helper()
	der, err := pkcs8.MarshalPrivateKey(key, passphrase, &pkcs8.Opts{
		Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 1, HMACHash: crypto.SHA256},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: der})
}

// rsaKeys are made once: that takes long.
var rsaKeys = [2]func() (*rsa.PrivateKey, error){newRSAKey(), newRSAKey()}

func newRSAKey() func() (*rsa.PrivateKey, error) {
	return sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
}

// testKey makes a key. The one of type RSA, which is short, is always the same.
func testKey(t testing.TB, kind KeyType) crypto.Signer { return makeKey(t, kind, 0) }

// otherKey makes a key that testKey does not return.
func otherKey(t testing.TB, kind KeyType) crypto.Signer { return makeKey(t, kind, 1) }

func makeKey(t testing.TB, kind KeyType, n int) crypto.Signer {
	t.Helper()
	if kind == KeyRSA3072 {
		key, err := rsaKeys[n]()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key, err := GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func samePrivateKey(a, b crypto.Signer) bool {
	k, ok := a.(interface{ Equal(crypto.PrivateKey) bool })
	return ok && k.Equal(b)
}

// keyTypes that are encrypted: each time costs 600,000 rounds, whatever the kind.
var keyTypes = tuftest.Scale(KeyTypes()[:1], KeyTypes(), KeyTypes())

func TestPrivateKeyRoundTrip(t *testing.T) {
	t.Parallel()
	for _, kind := range keyTypes {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			key := testKey(t, kind)
			data, err := EncodePrivateKey(key, testPassphrase)
			if err != nil {
				t.Fatal(err)
			}
			if !IsEncrypted(data) {
				t.Fatalf("not encrypted:\n%s", data)
			}
			plain, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			block, rest := pem.Decode(data)
			if len(rest) != 0 || block.Type != "ENCRYPTED PRIVATE KEY" || bytes.Contains(block.Bytes, plain[len(plain)-16:]) {
				t.Errorf("block %q with %d bytes behind it", block.Type, len(rest))
			}
			got, err := DecodePrivateKey(data, testPassphrase)
			if err != nil {
				t.Fatal(err)
			}
			if !samePrivateKey(key, got) {
				t.Error("another key came back")
			}
			wrong := []string{"correct horse battery stapl"}
			if kind == KeyEd25519 { // each costs 600,000 rounds, whatever the kind
				wrong = append(wrong, "", "correct horse battery staple ")
			}
			for _, wrong := range wrong {
				if _, err := DecodePrivateKey(data, []byte(wrong)); !errors.Is(err, ErrPassphrase) {
					t.Errorf("passphrase %q: %v", wrong, err)
				}
			}
		})
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	if key, err := GenerateKey("rsa-1024"); !errors.Is(err, ErrInvalid) || key != nil {
		t.Errorf("rsa-1024: %v", err)
	}
	if key, err := GenerateKey(""); err != nil || len(key.(ed25519.PrivateKey)) != ed25519.PrivateKeySize {
		t.Errorf("the default: %v", err)
	}
	key, err := GenerateKey(KeyRSA3072)
	if err != nil || key.(*rsa.PrivateKey).N.BitLen() != 3072 {
		t.Errorf("rsa-3072: %v", err)
	}
}

func TestPrivateKeyIsNeverWrittenInTheClear(t *testing.T) {
	t.Parallel()
	for _, passphrase := range [][]byte{nil, {}} {
		if data, err := EncodePrivateKey(testKey(t, KeyEd25519), passphrase); !errors.Is(err, ErrPassphrase) || data != nil {
			t.Errorf("%q, %v", data, err)
		}
	}
}

// The cost of a guess is what protects a key file that was stolen.
func TestPrivateKeyDerivation(t *testing.T) {
	t.Parallel()
	data, err := EncodePrivateKey(testKey(t, KeyEd25519), testPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	var info encryptedKeyInfo
	var params pbes2Parameters
	var kdf pbkdf2Parameters
	for _, part := range []struct {
		der  func() []byte
		into any
	}{
		{func() []byte { return block.Bytes }, &info},
		{func() []byte { return info.Algorithm.Parameters.FullBytes }, &params},
		{func() []byte { return params.Derivation.Parameters.FullBytes }, &kdf},
	} {
		if _, err := asn1.Unmarshal(part.der(), part.into); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case !params.Derivation.Algorithm.Equal(oidPBKDF2), !kdf.PRF.Algorithm.Equal(oidHMACWithSHA256):
		t.Errorf("derivation %v with %v", params.Derivation.Algorithm, kdf.PRF.Algorithm)
	case kdf.Rounds < 600_000, len(kdf.Salt) < 16:
		t.Errorf("%d rounds, %d bytes of salt", kdf.Rounds, len(kdf.Salt))
	case !params.Encryption.Algorithm.Equal(oidAES256CBC):
		t.Errorf("cipher %v", params.Encryption.Algorithm)
	}
}

func TestDecodeUnencryptedKeys(t *testing.T) {
	t.Parallel()
	p256 := testKey(t, KeyECDSAP256).(*ecdsa.PrivateKey)
	rsaKey := testKey(t, KeyRSA3072).(*rsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	pkcs8Of := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ed := testKey(t, KeyEd25519)
	for name, c := range map[string]struct {
		data []byte
		want crypto.Signer
	}{
		"PKCS#8 ed25519": {block("PRIVATE KEY", pkcs8Of(ed)), ed},
		"PKCS#8 P-256":   {block("PRIVATE KEY", pkcs8Of(p256)), p256},
		"PKCS#8 RSA":     {block("PRIVATE KEY", pkcs8Of(rsaKey)), rsaKey},
		"SEC 1":          {block("EC PRIVATE KEY", sec1), p256},
		"PKCS#1":         {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), rsaKey},
	} {
		if IsEncrypted(c.data) {
			t.Errorf("%s counts as encrypted", name)
		}
		got, err := DecodePrivateKey(c.data, nil)
		if err != nil || !samePrivateKey(c.want, got) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeRefusesKeys(t *testing.T) {
	t.Parallel()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	public, err := x509.MarshalPKIXPublicKey(p521.Public())
	if err != nil {
		t.Fatal(err)
	}
	oldRSA := []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	for name, data := range map[string][]byte{
		"nothing":           nil,
		"no PEM":            []byte("root-a"),
		"P-224":             encode("PRIVATE KEY", p224),
		"P-521":             encode("PRIVATE KEY", p521),
		"a public key":      pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"a certificate":     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}),
		"old encryption":    oldRSA,
		"an empty block":    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"}),
		"another encoding":  encode("EC PRIVATE KEY", p224),
		"encrypted in name": encode(pemEncryptedKey, p521),
	} {
		if key, err := DecodePrivateKey(data, testPassphrase); !errors.Is(err, ErrKey) || key != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no short RSA keys") // their refusal is tested with a public key too
	}
	if _, err := DecodePrivateKey(encode("PRIVATE KEY", short), nil); !errors.Is(err, ErrKey) {
		t.Errorf("RSA with 1024 bits: %v", err)
	}
}

// A key file states itself what opening it costs.
func TestDecodeBoundsEncryption(t *testing.T) {
	t.Parallel()
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	algorithm := func(id asn1.ObjectIdentifier, params any) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: marshal(params)}}
	}
	salt, iv := make([]byte, 8), make([]byte, 16)
	sha256PRF := pkix.AlgorithmIdentifier{Algorithm: oidHMACWithSHA256, Parameters: asn1.NullRawValue}
	goodKDF := algorithm(oidPBKDF2, pbkdf2Parameters{Salt: salt, Rounds: 1, PRF: sha256PRF})
	goodCipher := algorithm(oidAES256CBC, iv)
	for name, c := range map[string]struct {
		kdf, cipher pkix.AlgorithmIdentifier
		data        []byte
		want        error
	}{
		"a frame that is right":  {goodKDF, goodCipher, make([]byte, 32), ErrPassphrase},
		"no rounds":              {algorithm(oidPBKDF2, pbkdf2Parameters{Salt: salt, PRF: sha256PRF}), goodCipher, make([]byte, 32), ErrKey},
		"rounds for a day":       {algorithm(oidPBKDF2, pbkdf2Parameters{Salt: salt, Rounds: 1 << 40, PRF: sha256PRF}), goodCipher, make([]byte, 32), ErrKey},
		"a key length":           {algorithm(oidPBKDF2, pbkdf2Parameters{Salt: salt, Rounds: 1, KeyLength: 32, PRF: sha256PRF}), goodCipher, make([]byte, 32), ErrKey},
		"another hash":           {algorithm(oidPBKDF2, pbkdf2Parameters{Salt: salt, Rounds: 1, PRF: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}}}), goodCipher, make([]byte, 32), ErrKey},
		"scrypt":                 {algorithm(oidScrypt, scryptParameters{Salt: salt, Cost: 16, Block: 8, Passes: 1}), goodCipher, make([]byte, 32), ErrPassphrase},
		"scrypt, all memory":     {algorithm(oidScrypt, scryptParameters{Salt: salt, Cost: 1 << 40, Block: 8, Passes: 1}), goodCipher, make([]byte, 32), ErrKey},
		"scrypt, large blocks":   {algorithm(oidScrypt, scryptParameters{Salt: salt, Cost: 2, Block: 1 << 40, Passes: 1}), goodCipher, make([]byte, 32), ErrKey},
		"scrypt, many passes":    {algorithm(oidScrypt, scryptParameters{Salt: salt, Cost: 16, Block: 8, Passes: 1 << 20}), goodCipher, make([]byte, 32), ErrKey},
		"another derivation":     {algorithm(oidAES256CBC, iv), goodCipher, make([]byte, 32), ErrKey},
		"a short iv":             {goodKDF, algorithm(oidAES256CBC, iv[:8]), make([]byte, 32), ErrKey},
		"half a block":           {goodKDF, goodCipher, make([]byte, 40), ErrKey},
		"no data":                {goodKDF, goodCipher, nil, ErrKey},
		"another cipher":         {goodKDF, algorithm(oidPBKDF2, iv), make([]byte, 32), ErrKey},
		"a cipher of 8 bytes":    {goodKDF, algorithm(oidTripleDES, iv[:8]), make([]byte, 40), ErrPassphrase},
		"a block too many of iv": {goodKDF, algorithm(oidTripleDES, iv), make([]byte, 40), ErrKey},
	} {
		der := marshal(encryptedKeyInfo{
			Algorithm: algorithm(oidPBES2, pbes2Parameters{Derivation: c.kdf, Encryption: c.cipher}),
			Data:      c.data,
		})
		_, err := DecodePrivateKey(pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: der}), testPassphrase)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	old := marshal(encryptedKeyInfo{Algorithm: algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3}, salt), Data: iv})
	if _, err := DecodePrivateKey(pem.EncodeToMemory(&pem.Block{Type: pemEncryptedKey, Bytes: old}), testPassphrase); !errors.Is(err, ErrKey) {
		t.Errorf("encryption before PBES2: %v", err)
	}
}

// What openssl writes is read, and the other way round.
func TestPrivateKeyOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("no openssl here")
	}
	run := func(input []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(openssl, args...)
		cmd.Stdin = bytes.NewReader(input)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, &stderr)
		}
		return out
	}
	for _, kind := range keyTypes {
		t.Run(string(kind), func(t *testing.T) {
			key := testKey(t, kind)
			ours, err := EncodePrivateKey(key, testPassphrase)
			if err != nil {
				t.Fatal(err)
			}
			plain := run(ours, "pkey", "-passin", "pass:"+string(testPassphrase))
			if got, err := DecodePrivateKey(plain, nil); err != nil || !samePrivateKey(key, got) {
				t.Errorf("openssl read another key: %v", err)
			}
			kdfs := [][]string{nil}
			if kind == KeyEd25519 { // the encryption knows nothing of the key
				kdfs = append(kdfs, []string{"-scrypt"}, []string{"-v2prf", "hmacWithSHA1"}, []string{"-v2", "aes-128-cbc"}, []string{"-v2", "des3"})
			}
			for _, kdf := range kdfs {
				theirs := run(plain, append([]string{"pkcs8", "-topk8", "-passout", "pass:" + string(testPassphrase)}, kdf...)...)
				if got, err := DecodePrivateKey(theirs, testPassphrase); err != nil || !samePrivateKey(key, got) {
					t.Errorf("%v: %v", kdf, err)
				}
				if _, err := DecodePrivateKey(theirs, []byte("wrong")); !errors.Is(err, ErrPassphrase) {
					t.Errorf("%v: %v", kdf, err)
				}
			}
		})
	}
}

func FuzzDecodePrivateKey(f *testing.F) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(ed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cheapPEM(f, ed, testPassphrase))
	f.Add(cheapPEM(f, testKey(f, KeyECDSAP384), testPassphrase))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: plain}))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := DecodePrivateKey(data, testPassphrase)
		if err != nil {
			if key != nil || !errors.Is(err, ErrKey) && !errors.Is(err, ErrPassphrase) {
				t.Fatalf("%v, %v", key, err)
			}
			return
		}
		again, err := DecodePrivateKey(cheapPEM(t, key, testPassphrase), testPassphrase)
		if err != nil || !samePrivateKey(key, again) {
			t.Fatalf("what was read does not come back: %v", err)
		}
	})
}
