package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"golang.org/x/crypto/ssh"

	"github.com/tufoci/tufoci/metadata"
)

// maxBcryptRounds bounds what an OpenSSH key file may cost to open; it states its cost itself. ssh-keygen makes 16 to 24,
// a thousand take some ten seconds.
const maxBcryptRounds = 1000

// Types of PEM blocks that hold a private key.
const (
	pemOpenSSH  = "OPENSSH PRIVATE KEY"
	pemSigstore = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosign   = "ENCRYPTED COSIGN PRIVATE KEY"
	pemPKCS8    = "PRIVATE KEY"
)

// DecodePrivateKey reads the private key of a file that tufoci or another program made: PKCS#8, encrypted or not, SEC 1 and
// PKCS#1; the encrypted forms of SEC 1 and PKCS#1 that OpenSSL and early Notary write; Notary v1 (Docker Content Trust)
// with its headers; OpenSSH; cosign. passphrase is asked for one that is encrypted.
//
// A file with several private keys is refused: which of them is meant is for its owner to say.
// metadata.ErrPassphrase, metadata.ErrKey.
func DecodePrivateKey(data []byte, passphrase func() ([]byte, error)) (crypto.Signer, error) {
	block, err := privateBlock(data)
	if err != nil {
		return nil, err
	}
	var secret []byte
	if isEncrypted(block) {
		if secret, err = passphrase(); err != nil {
			return nil, err
		}
		if len(secret) == 0 {
			return nil, metadata.ErrPassphrase
		}
	}
	switch {
	case block.Type == pemOpenSSH || block.Headers["DEK-Info"] != "":
		return decodeSSH(block, secret)
	case block.Type == pemSigstore || block.Type == pemCosign:
		return decodeCosign(block, secret)
	}
	// The headers of Notary, role and gun, say nothing about how to read the key.
	return metadata.DecodePrivateKey(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}), secret)
}

// privateBlock is the one private key in a PEM file.
func privateBlock(data []byte) (*pem.Block, error) {
	var found []*pem.Block
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, pemPKCS8) {
			found = append(found, block)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: not a PEM file with a private key", metadata.ErrKey)
	case 1:
		return found[0], nil
	}
	names := make([]string, 0, maxListed)
	for _, block := range found[:min(len(found), maxListed)] {
		name := strings.TrimSpace(block.Headers["role"] + " " + block.Headers["gun"] + " " + block.Headers["path"])
		if name == "" {
			name = block.Type
		}
		names = append(names, name)
	}
	return nil, fmt.Errorf("%w: %d private keys in one file (%s); keep the one to import", metadata.ErrKey, len(found), strings.Join(names, ", "))
}

// isEncrypted reports whether a block needs a passphrase.
func isEncrypted(block *pem.Block) bool {
	if block.Type == pemOpenSSH {
		header, err := readSSHHeader(block.Bytes)
		return err == nil && header.Cipher != "none"
	}
	return block.Headers["DEK-Info"] != "" || strings.HasPrefix(block.Type, "ENCRYPTED ")
}

// sshMagic starts the content of an OpenSSH private key (PROTOCOL.key of OpenSSH).
const sshMagic = "openssh-key-v1\x00"

// sshHeader is how an OpenSSH private key is encrypted.
type sshHeader struct {
	Cipher, KDF, KDFOptions string
	Rest                    []byte `ssh:"rest"`
}

func readSSHHeader(data []byte) (*sshHeader, error) {
	var header sshHeader
	rest, ok := strings.CutPrefix(string(data), sshMagic)
	if !ok {
		return nil, fmt.Errorf("%w: not an OpenSSH private key", metadata.ErrKey)
	}
	if err := ssh.Unmarshal([]byte(rest), &header); err != nil {
		return nil, fmt.Errorf("%w: a damaged OpenSSH private key", metadata.ErrKey)
	}
	return &header, nil
}

// checkSSHCost holds an OpenSSH key to what can be opened at a bounded cost.
func checkSSHCost(block *pem.Block) error {
	header, err := readSSHHeader(block.Bytes)
	if err != nil || header.Cipher == "none" {
		return err
	}
	var options struct {
		Salt   string
		Rounds uint32
	}
	if err := ssh.Unmarshal([]byte(header.KDFOptions), &options); err != nil {
		return fmt.Errorf("%w: a damaged OpenSSH private key", metadata.ErrKey)
	}
	if options.Rounds > maxBcryptRounds {
		return fmt.Errorf("%w: an OpenSSH key with %d rounds of bcrypt; at most %d are run; ssh-keygen -p -a 100 -f FILE changes it", metadata.ErrKey, options.Rounds, maxBcryptRounds)
	}
	return nil
}

// decodeSSH reads what package ssh can: OpenSSH keys, and PEM that is encrypted in the way of early OpenSSL.
func decodeSSH(block *pem.Block, secret []byte) (crypto.Signer, error) {
	if block.Type == pemOpenSSH {
		if err := checkSSHCost(block); err != nil {
			return nil, err
		}
	}
	data := pem.EncodeToMemory(block)
	var key any
	var err error
	if isEncrypted(block) {
		key, err = ssh.ParseRawPrivateKeyWithPassphrase(data, secret)
	} else {
		key, err = ssh.ParseRawPrivateKey(data)
	}
	switch {
	case errors.Is(err, x509.IncorrectPasswordError):
		return nil, metadata.ErrPassphrase
	case err != nil && block.Headers["DEK-Info"] != "":
		// With CBC a wrong passphrase shows as bytes that are no key, too.
		return nil, fmt.Errorf("%w: %v", metadata.ErrPassphrase, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %v", metadata.ErrKey, err)
	}
	return signerOf(key)
}

// decodeCosign reads a key that cosign or its relatives made: PKCS#8 in an encrypted box (go-securesystemslib), which
// bounds its cost itself.
func decodeCosign(block *pem.Block, secret []byte) (crypto.Signer, error) {
	der, err := encrypted.Decrypt(block.Bytes, secret)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", metadata.ErrPassphrase, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", metadata.ErrKey, err)
	}
	return signerOf(key)
}

// signerOf is a key that was read, if it is of a type that signs TUF metadata.
func signerOf(key any) (crypto.Signer, error) {
	if k, ok := key.(*ed25519.PrivateKey); ok {
		key = *k
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %T; use ed25519, ECDSA P-256 or P-384, or RSA", metadata.ErrKey, key)
	}
	if _, err := metadata.PublicKey(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}
