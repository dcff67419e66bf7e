package cli

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/youmark/pkcs8"

	"github.com/tufoci/tufoci/internal/kmstest"
	"github.com/tufoci/tufoci/metadata"
)

// buildPlugins builds the plugin programs of the service and of the token. All
// their code is also in this binary, so that a cached result is never that of
// other code.
func buildPlugins(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	program := filepath.Join(dir, "sigstore-kms-acme")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/kms").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink(program, filepath.Join(dir, "sigstore-kms-pkcs11")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestKeysElsewhere(t *testing.T) {
	t.Parallel()
	plugins := buildPlugins(t)
	for name, test := range map[string]func(*testing.T, *keyHolder){
		"of services and tokens": testKeysOfServicesAndTokens,
		"PIN is asked for once":  testPINIsAskedForOnce,
		"foreign file":           testImportForeignKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newKeyHolder(t, plugins))
		})
	}
}

// keyHolder is a person with a workspace, a service acme, and a token.
type keyHolder struct {
	t        *testing.T
	dir      string
	env      map[string]string
	plugins  string
	terminal string // what is typed; "" is no terminal
}

func newKeyHolder(t *testing.T, plugins string) *keyHolder {
	t.Helper()
	h := &keyHolder{t: t, dir: t.TempDir(), plugins: plugins, env: map[string]string{}}
	h.run(exitOK, "init", "registry.example/trust/tuf")
	return h
}

// key makes a key where the service and the token find it.
func (h *keyHolder) key(name string, kind metadata.KeyType) (service, token string) {
	h.t.Helper()
	key, err := metadata.GenerateKey(kind)
	if err != nil {
		h.t.Fatal(err)
	}
	kmstest.WriteKey(h.t, filepath.Join(h.dir, name), key)
	return "acme://" + filepath.Join(h.dir, name), "pkcs11:token=T;object=" + name + "?module-path=" + h.dir
}

// run types one command, which has to end with the code.
func (h *keyHolder) run(want int, args ...string) (stdout, stderr string) {
	h.t.Helper()
	var out, errs bytes.Buffer
	code := Run(h.t.Context(), append([]string{"-C", filepath.Join(h.dir, "ws"), "-y"}, args...), World{
		Stdin: strings.NewReader(h.terminal), StdinIsTerminal: h.terminal != "", Stdout: &out, Stderr: &errs,
		LookupEnv: lookupIn(h.env), Environ: []string{"PATH=" + h.plugins},
	})
	if code != want {
		h.t.Fatalf("%v: exit %d, want %d\n%s%s", args, code, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// Keys of a service and of a token sign, are tested and shown like others; one
// that is broken does not keep the others from their test.
func testKeysOfServicesAndTokens(t *testing.T, h *keyHolder) {
	service, _ := h.key("rel", metadata.KeyECDSAP256)
	_, token := h.key("private-root", metadata.KeyEd25519)
	h.env["TUFOCI_PKCS11_PIN"] = kmstest.PIN
	h.run(exitOK, "key", "add", "rel", "--uri", service, "--owner", "Rebecca")
	h.run(exitOK, "key", "add", "root-a", "--uri", token)
	h.run(exitOK, "key", "generate", "root-b", "--uri", "acme://"+filepath.Join(h.dir, "made"))
	h.run(exitOK, "role", "set", "root", "--add-key", "root-a", "--add-key", "root-b", "--threshold", "1")
	h.run(exitOK, "role", "set", "targets", "--add-key", "rel")
	stdout, _ := h.run(exitOK, "sign")
	if !strings.Contains(stdout, "✓ root v1: 2 of 1") || !strings.Contains(stdout, "✓ targets v1: 1 of 1") {
		t.Errorf("%s", stdout)
	}
	stdout, _ = h.run(exitOK, "key", "test")
	if strings.Count(stdout, "✓ signs") != 3 {
		t.Errorf("%s", stdout)
	}
	if err := os.Remove(filepath.Join(h.dir, "rel")); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := h.run(exitKey, "key", "test")
	if strings.Count(stdout, "✓ signs") != 2 || !strings.Contains(stderr, "cannot sign: rel; plugin sigstore-kms-acme: ") {
		t.Errorf("%s%s", stdout, stderr)
	}
	if stdout, _ := h.run(exitKey, "key", "test", "--format", "json"); !strings.Contains(stdout, `"good": false`) || !strings.Contains(stdout, `"exitCode": 32`) {
		t.Errorf("%s", stdout)
	}
	// Who else could, and where each key was seen.
	_, stderr = h.run(exitKey, "sign", "targets", "--key", "rel")
	if !strings.Contains(stderr, "targets takes rel ") || !strings.Contains(stderr, "(Rebecca; last tested ") {
		t.Errorf("%s", stderr)
	}
}

// Without an answer and a terminal the PIN is a usage error that names its
// variable. It is typed once for all keys of a token, and a wrong one is tried
// once for all of them.
func testPINIsAskedForOnce(t *testing.T, h *keyHolder) {
	_, a := h.key("private-a", metadata.KeyEd25519)
	_, b := h.key("private-b", metadata.KeyEd25519)
	if _, stderr := h.run(exitUsage, "key", "add", "a", "--uri", a); !strings.Contains(stderr, "TUFOCI_PKCS11_PIN") {
		t.Errorf("%s", stderr)
	}
	h.env["TUFOCI_PKCS11_PIN"] = kmstest.PIN
	h.run(exitOK, "key", "add", "a", "--uri", a)
	h.run(exitOK, "key", "add", "b", "--uri", b)
	h.env = map[string]string{}
	h.terminal = kmstest.PIN + "\n"
	if _, stderr := h.run(exitOK, "key", "test"); strings.Count(stderr, "PIN of token T:") != 1 {
		t.Errorf("%s", stderr)
	}
	tries := filepath.Join(h.dir, "tries")
	if err := os.Remove(tries); err != nil {
		t.Fatal(err)
	}
	h.terminal = "0000\n"
	stdout, stderr := h.run(exitKey, "key", "test")
	given, err := os.ReadFile(tries)
	if err != nil || len(given) != 1 || strings.Contains(stdout+stderr, "0000") {
		t.Errorf("%d tries, %v: %s%s", len(given), err, stdout, stderr)
	}
}

// A key file of another program becomes one of ours, under the same passphrase.
func testImportForeignKey(t *testing.T, h *keyHolder) {
	key, err := metadata.GenerateKey(metadata.KeyECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := pkcs8.MarshalPrivateKey(key, []byte("of notary"), &pkcs8.Opts{
		Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 2048, HMACHash: crypto.SHA1},
	})
	if err != nil {
		t.Fatal(err)
	}
	block := &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Headers: map[string]string{"role": "root", "gun": "docker.io/acme/shop"}, Bytes: der}
	file := filepath.Join(h.dir, "notary.key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	h.env["TUFOCI_PASSPHRASE_DCT"] = "wrong"
	h.run(exitKey, "key", "import", "dct", file)
	h.env["TUFOCI_PASSPHRASE_DCT"] = "of notary"
	h.run(exitOK, "key", "import", "dct", file)
	public, err := metadata.PublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id, err := public.ID()
	if err != nil {
		t.Fatal(err)
	}
	if stdout, _ := h.run(exitOK, "key", "show", "dct"); !strings.Contains(stdout, id) {
		t.Errorf("another key: %s", stdout)
	}
}
