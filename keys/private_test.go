package keys

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/youmark/pkcs8"
	"golang.org/x/crypto/ssh"

	"github.com/tufoci/tufoci/metadata"
)

const passphrase = "correct horse"

// oneRSA is made once: it takes long.
var oneRSA = sync.OnceValues(func() (crypto.Signer, error) { return metadata.GenerateKey(metadata.KeyRSA3072) })

func generate(t *testing.T, kind metadata.KeyType) crypto.Signer {
	t.Helper()
	if kind == metadata.KeyRSA3072 {
		key, err := oneRSA()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key, err := metadata.GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs8Of(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// encode writes one PEM block.
func encode(kind string, headers map[string]string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: der})
}

// legacy encrypts a block in the way of early OpenSSL, with which Notary began: AES-256-CBC, the key by MD5 of passphrase
// and salt.
func legacy(t *testing.T, kind string, der []byte, headers map[string]string) []byte {
	t.Helper()
	iv := []byte("0123456789abcdef")
	var key, last []byte
	for len(key) < 32 {
		sum := md5.Sum(append(append(last, passphrase...), iv[:8]...))
		last = sum[:]
		key = append(key, last...)
	}
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		t.Fatal(err)
	}
	padding := aes.BlockSize - len(der)%aes.BlockSize
	for range padding {
		der = append(der, byte(padding))
	}
	out := make([]byte, len(der))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, der)
	all := map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC," + hex.EncodeToString(iv)}
	maps.Copy(all, headers)
	return encode(kind, all, out)
}

// notaryPKCS8 encrypts a key as Notary does: HMAC with SHA-1, 2048 rounds.
func notaryPKCS8(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := pkcs8.MarshalPrivateKey(key, []byte(passphrase), &pkcs8.Opts{
		Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 2048, HMACHash: crypto.SHA1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// sshKeygen has OpenSSH make an encrypted key, at the least cost.
func sshKeygen(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	command := exec.CommandContext(t.Context(), need(t, "ssh-keygen"), "-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-f", file)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sshFile(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	if k, ok := key.(ed25519.PrivateKey); ok {
		key = &k
	}
	block, err := ssh.MarshalPrivateKey(key, "comment")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func TestDecodePrivateKey(t *testing.T) {
	t.Parallel()
	ed, p256, p384, rsa3072 := generate(t, metadata.KeyEd25519), generate(t, metadata.KeyECDSAP256), generate(t, metadata.KeyECDSAP384), generate(t, metadata.KeyRSA3072)
	sec1, err := x509.MarshalECPrivateKey(p256.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsa3072.(*rsa.PrivateKey))
	cosign, err := encrypted.EncryptWithCustomKDFParameters(pkcs8Of(t, p256), []byte(passphrase), encrypted.Legacy)
	if err != nil {
		t.Fatal(err)
	}
	notary := map[string]string{"role": "root", "gun": "docker.io/acme/shop", "path": "3f1c"}
	for name, tt := range map[string]struct {
		file      []byte
		want      crypto.Signer
		encrypted bool
	}{
		"PKCS#8":                     {encode("PRIVATE KEY", nil, pkcs8Of(t, ed)), ed, false},
		"SEC 1":                      {encode("EC PRIVATE KEY", nil, sec1), p256, false},
		"SEC 1, after parameters":    {append(encode("EC PARAMETERS", nil, []byte{6, 0}), encode("EC PRIVATE KEY", nil, sec1)...), p256, false},
		"PKCS#1":                     {encode("RSA PRIVATE KEY", nil, pkcs1), rsa3072, false},
		"OpenSSL, encrypted":         {legacy(t, "EC PRIVATE KEY", sec1, nil), p256, true},
		"OpenSSL RSA, encrypted":     {legacy(t, "RSA PRIVATE KEY", pkcs1, nil), rsa3072, true},
		"Notary v1":                  {encode("ENCRYPTED PRIVATE KEY", notary, notaryPKCS8(t, p256)), p256, true},
		"Notary v1, early":           {legacy(t, "EC PRIVATE KEY", sec1, notary), p256, true},
		"OpenSSH ed25519":            {sshFile(t, ed), ed, false},
		"OpenSSH ed25519, encrypted": {sshKeygen(t), nil, true},
		"OpenSSH ECDSA":              {sshFile(t, p384), p384, false},
		"OpenSSH RSA":                {sshFile(t, rsa3072), rsa3072, false},
		"cosign":                     {encode("ENCRYPTED SIGSTORE PRIVATE KEY", nil, cosign), p256, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := false
			key, err := DecodePrivateKey(tt.file, func() ([]byte, error) { asked = true; return []byte(passphrase), nil })
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == nil { // ssh-keygen has made it
				tt.want = key
			}
			equal, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
			if !ok || !equal.Equal(tt.want.Public()) || asked != tt.encrypted {
				t.Errorf("another key, or asked %v", asked)
			}
			if _, err := metadata.NewSigner(key); err != nil {
				t.Error(err)
			}
			if !tt.encrypted {
				return
			}
			for _, wrong := range []string{"wrong", ""} {
				if key, err := DecodePrivateKey(tt.file, func() ([]byte, error) { return []byte(wrong), nil }); !errors.Is(err, metadata.ErrPassphrase) || key != nil {
					t.Errorf("passphrase %q: %v", wrong, err)
				}
			}
		})
	}
}

func TestDecodePrivateKeyRefuses(t *testing.T) {
	t.Parallel()
	key := encode("PRIVATE KEY", nil, pkcs8Of(t, generate(t, metadata.KeyEd25519)))
	notary := map[string]string{"role": "targets", "gun": "docker.io/acme/shop"}
	for name, tt := range map[string]struct {
		file []byte
		want string
	}{
		"no PEM":          {[]byte("hello"), "not a PEM file"},
		"a public key":    {encode("PUBLIC KEY", nil, []byte{1}), "not a PEM file with a private key"},
		"two keys":        {append(encode("PRIVATE KEY", notary, []byte{1}), key...), "2 private keys in one file (targets docker.io/acme/shop, PRIVATE KEY)"},
		"damaged OpenSSH": {encode("OPENSSH PRIVATE KEY", nil, []byte("openssh-key-v1\x00abc")), ""},
		"costly OpenSSH":  {costly(t), "rounds of bcrypt"},
		"DSA":             {encode("DSA PRIVATE KEY", nil, []byte{1}), ""},
	} {
		signer, err := DecodePrivateKey(tt.file, func() ([]byte, error) { return []byte(passphrase), nil })
		if !errors.Is(err, metadata.ErrKey) || !strings.Contains(err.Error(), tt.want) || signer != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// costly is an OpenSSH key that would take days to open.
func costly(t *testing.T) []byte {
	t.Helper()
	block, _ := pem.Decode(sshKeygen(t))
	header, err := readSSHHeader(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	header.KDFOptions = string(ssh.Marshal(struct {
		Salt   string
		Rounds uint32
	}{"0123456789abcdef", 1 << 31}))
	return encode("OPENSSH PRIVATE KEY", nil, append([]byte(sshMagic), ssh.Marshal(header)...))
}
