// Package kmstest is a key management service for tests: a program that speaks Sigstore's plugin protocol, with keys in
// PEM files. A test binary that calls [Main] first is that program when it runs under the name sigstore-kms-NAME.
//
// The resource is the path of a key file, and after "?" a flaw that the service has: wrong (signs with another key), pkcs1
// (RSA by PKCS#1 v1.5), sha512 (ECDSA by another hash), refuse, env (refuses, and lists its variables), hang, flood,
// garbage, silent (an answer with nothing in it).
//
// Under the name sigstore-kms-pkcs11 it plays a token: the module is a directory with a key file for each object, and the
// PIN is [PIN], from its variable or from the pin-source of the URI. An object that is called private... shows nothing
// without the PIN. The file tries in the directory gets a byte for each PIN that was given.
package kmstest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"

	"github.com/tufoci/tufoci/keys/token"
)

// PIN is that of the token.
const PIN = "4711"

// Main is the plugin program, if the process was started under the name of one; then it does not return.
func Main() {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "sigstore-kms-") {
		os.Exit(run())
	}
}

// Install makes the running test binary a plugin program under each of the names, and returns its directory.
func Install(t testing.TB, names ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, "sigstore-kms-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// WriteKey puts a private key where the service finds it.
func WriteKey(t testing.TB, file string, key crypto.Signer) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// refusal is an error with a status.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func run() int {
	answer, err := handle(os.Args)
	status := 0
	if err != nil {
		answer, status = &common.PluginResp{ErrorMessage: err.Error()}, 1
		if r, ok := errors.AsType[*refusal](err); ok {
			status = r.status
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		return 1
	}
	return status
}

func handle(args []string) (*common.PluginResp, error) {
	if len(args) != 3 || args[1] != common.ProtocolVersion {
		return nil, fmt.Errorf("called with %q", args)
	}
	var call common.PluginArgs
	if err := json.Unmarshal([]byte(args[2]), &call); err != nil {
		return nil, err
	}
	file, flaw, _ := strings.Cut(call.InitOptions.KeyResourceID, "?")
	if filepath.Base(args[0]) == "sigstore-kms-pkcs11" {
		uri, err := token.Parse(call.InitOptions.KeyResourceID)
		if err != nil {
			return nil, err
		}
		if err := logIn(uri, call.MethodName); err != nil {
			return nil, err
		}
		file, flaw = filepath.Join(uri.Module, uri.Object), ""
	}
	if answer, err := flawed(flaw); answer != nil || err != nil {
		return answer, err
	}
	switch call.MethodName {
	case common.SupportedAlgorithmsMethodName:
		return &common.PluginResp{SupportedAlgorithms: &common.SupportedAlgorithmsResp{SupportedAlgorithms: []string{"ECC_NIST_P256", "ed25519"}}}, nil
	case common.CreateKeyMethodName:
		return create(file, call.CreateKey.Algorithm)
	}
	key, err := readKey(file)
	if err != nil {
		return nil, err
	}
	if call.MethodName == common.PublicKeyMethodName {
		public, err := publicPEM(key)
		return &common.PluginResp{PublicKey: &common.PublicKeyResp{PublicKeyPEM: public}}, err
	}
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	sig, err := sign(key, *call.SignMessage.SignOptions.MessageOptions.HashFunc, message, flaw)
	return &common.PluginResp{SignMessage: &common.SignMessageResp{Signature: sig}}, err
}

// logIn plays the PIN of a token.
func logIn(uri *token.URI, method string) error {
	if _, err := os.Stat(uri.Module); err != nil {
		return fmt.Errorf("module %s cannot be loaded", uri.Module)
	}
	pin, given := os.LookupEnv(token.PINVariable)
	if data, err := os.ReadFile(uri.PINSource); !given && err == nil {
		pin, given = strings.TrimSpace(string(data)), true
	}
	if !given {
		if method == common.PublicKeyMethodName && !strings.HasPrefix(uri.Object, "private") {
			return nil
		}
		return &refusal{token.ExitPINNeeded, "the token needs its PIN"}
	}
	tries, err := os.OpenFile(filepath.Join(uri.Module, "tries"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := tries.WriteString("."); err != nil {
		return err
	}
	if pin != PIN {
		return &refusal{token.ExitPINRefused, "the token refused the PIN"}
	}
	return tries.Close()
}

// flawed answers for services with a flaw that has nothing to do with keys.
func flawed(flaw string) (*common.PluginResp, error) {
	switch flaw {
	case "refuse":
		fmt.Fprintln(os.Stderr, "quota is used up")
		return nil, errors.New("permission denied")
	case "env":
		names := os.Environ()
		slices.Sort(names)
		return nil, errors.New(strings.Join(names, " "))
	case "hang":
		time.Sleep(time.Hour)
	case "flood":
		_, err := io.CopyN(os.Stdout, zeros{}, 64<<20)
		return nil, err
	case "garbage":
		fmt.Fprintln(os.Stderr, "segmentation fault")
		fmt.Print("garbage ")
	case "silent":
		return &common.PluginResp{}, nil
	}
	return nil, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func readKey(file string) (crypto.Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T", key)
	}
	return signer, nil
}

func create(file, algorithm string) (*common.PluginResp, error) {
	if algorithm != "ed25519" {
		return nil, fmt.Errorf("algorithm %s", algorithm)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close()); err != nil {
		return nil, err
	}
	public, err := publicPEM(key)
	return &common.PluginResp{CreateKey: &common.CreateKeyResp{PublicKeyPEM: public}}, err
}

func publicPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

// sign signs as a service does that is told the hash.
func sign(key crypto.Signer, hash crypto.Hash, message []byte, flaw string) ([]byte, error) {
	if flaw == "wrong" {
		message = append(bytes.Clone(message), '!')
	}
	digest := message
	switch hash {
	case crypto.SHA256:
		sum := sha256.Sum256(message)
		digest = sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(message)
		digest = sum[:]
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if flaw == "pkcs1" {
			return rsa.SignPKCS1v15(rand.Reader, k, hash, digest)
		}
		return rsa.SignPSS(rand.Reader, k, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case *ecdsa.PrivateKey:
		if flaw == "sha512" {
			sum := sha512.Sum512(message)
			digest = sum[:]
		}
		return ecdsa.SignASN1(rand.Reader, k, digest)
	}
	return key.Sign(rand.Reader, digest, hash)
}
