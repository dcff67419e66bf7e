//go:build e2e

package e2e

import (
	"crypto/sha256"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/metadata"
)

// Where distributions put the module of SoftHSM2.
var softhsmModules = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/opt/homebrew/lib/softhsm/libsofthsm2.so",
}

// hsm is a hardware token, played by SoftHSM2: one label, one PIN, keys that
// do not leave it.
type hsm struct {
	t             testing.TB
	module, label string
	pin           string
	conf          string            // SOFTHSM2_CONF of whoever uses it
	tool          string            // pkcs11-tool
	keyTypes      map[string]string // by object
}

// newHSM makes an empty token in a directory of the test.
func newHSM(t testing.TB, label string) *hsm {
	t.Helper()
	k := &hsm{t: t, label: label, pin: "4711", keyTypes: map[string]string{}, tool: installed(t, "pkcs11-tool", "the Debian package opensc has it")}
	for _, module := range softhsmModules {
		if _, err := os.Stat(module); err == nil {
			k.module = module
			break
		}
	}
	if k.module == "" {
		need(t, "libsofthsm2.so", "the Debian package softhsm2 has it")
	}
	dir := t.TempDir()
	k.conf = filepath.Join(dir, "softhsm2.conf")
	tokens := filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	config := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	if err := os.WriteFile(k.conf, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	k.do(installed(t, "softhsm2-util", "the Debian package softhsm2 has it"),
		"--init-token", "--free", "--label", label, "--pin", k.pin, "--so-pin", "47110815")
	return k
}

// installed finds a program on PATH.
func installed(t testing.TB, name, remedy string) string {
	t.Helper()
	file, err := exec.LookPath(name)
	if err != nil {
		need(t, name, remedy)
	}
	return file
}

// env are the variables by which programs find the token.
func (k *hsm) env() []string { return []string{"SOFTHSM2_CONF=" + k.conf} }

func (k *hsm) do(program string, args ...string) []byte {
	k.t.Helper()
	command := exec.CommandContext(k.t.Context(), program, args...)
	command.Env = append(os.Environ(), k.env()...)
	out, err := command.CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return out
}

// login is how pkcs11-tool uses the token.
func (k *hsm) login(args ...string) []string {
	return append([]string{"--module", k.module, "--token-label", k.label, "--login", "--pin", k.pin}, args...)
}

// generate makes a key in the token, of the types of pkcs11-tool: EC:prime256v1,
// EC:secp384r1, EC:edwards25519, rsa:3072.
func (k *hsm) generate(object, keyType string) {
	k.t.Helper()
	k.do(k.tool, k.login("--keypairgen", "--key-type", keyType, "--label", object, "--id", hexOf(object))...)
	k.keyTypes[object] = keyType
}

// publicKey is the public half of a key in PEM, as openssl writes it.
func (k *hsm) publicKey(object string) []byte {
	k.t.Helper()
	file := filepath.Join(k.t.TempDir(), "public")
	k.do(k.tool, k.login("--read-object", "--type", "pubkey", "--label", object, "--output-file", file)...)
	return k.do(installed(k.t, "openssl", "the Debian package openssl has it"), "pkey", "-pubin", "-in", file)
}

// sign signs bytes with nothing but pkcs11-tool, as somebody without tufoci
// does: an ECDSA P-256 key their SHA-256, as ASN.1; an ed25519 key themselves, up
// to 1,000 bytes, which is what pkcs11-tool takes. It goes by the id; it would
// take any key for a label.
func (k *hsm) sign(object string, payload []byte) []byte {
	k.t.Helper()
	dir := k.t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	args := []string{"--mechanism", "EDDSA"}
	if k.keyTypes[object] != "EC:edwards25519" {
		sum := sha256.Sum256(payload)
		payload, args = sum[:], []string{"--mechanism", "ECDSA", "--signature-format", "openssl"}
	}
	if err := os.WriteFile(in, payload, 0o600); err != nil {
		k.t.Fatal(err)
	}
	k.do(k.tool, k.login(append(args, "--sign", "--id", hexOf(object), "--input-file", in, "--output-file", out)...)...)
	signature, err := os.ReadFile(out)
	if err != nil {
		k.t.Fatal(err)
	}
	return signature
}

// uri is where tufoci finds a key of the token (RFC 7512).
func (k *hsm) uri(object string) string {
	return "pkcs11:token=" + url.PathEscape(k.label) + ";object=" + url.PathEscape(object) + "?module-path=" + k.module
}

// hexOf is an id for a label.
func hexOf(label string) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, b := range []byte(label) {
		out.WriteByte(digits[b>>4])
		out.WriteByte(digits[b&15])
	}
	return out.String()
}

// The token signs as the other tests of this package rely on.
func TestHSMSigns(t *testing.T) {
	t.Parallel()
	k := newHSM(t, "root")
	for object, keyType := range map[string]string{"ed": "EC:edwards25519", "p256": "EC:prime256v1"} {
		k.generate(object, keyType)
		public, err := metadata.ParsePublicKey(k.publicKey(object))
		if err != nil {
			t.Fatal(err)
		}
		if err := metadata.VerifySignature(public, []byte("payload"), k.sign(object, []byte("payload"))); err != nil {
			t.Errorf("%s: %v", object, err)
		}
	}
}
