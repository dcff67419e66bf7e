//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// pkcs11Plugin is the directory of bin/sigstore-kms-pkcs11, as `make build`
// makes it.
func pkcs11Plugin(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "sigstore-kms-pkcs11")); err != nil {
		need(t, "bin/sigstore-kms-pkcs11", "`make pkcs11` makes it, with a C compiler")
	}
	return dir
}

// holds gives a person a token, its PIN, and the plugin for it.
func (p *person) holds(k *hsm) {
	p.t.Helper()
	p.env["PATH"] = pkcs11Plugin(p.t) + string(filepath.ListSeparator) + os.Getenv("PATH")
	p.env["SOFTHSM2_CONF"] = k.conf
	p.env["TUFOCI_PKCS11_PIN"] = k.pin
}

// A repository whose keys are all in a token: made there, of every type, signing
// more than a pipe or an argument holds.
func TestKeysInAToken(t *testing.T) {
	t.Parallel()
	k := newHSM(t, "acme token")
	k.generate("elsewhere", "EC:prime256v1")
	p := newPerson(t)
	p.holds(k)
	host := tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host()
	p.must("init", host+"/acme/trust")
	for name, keyType := range map[string]string{"root-a": "ed25519", "root-b": "ecdsa-p256", "root-c": "ecdsa-p384", "rel": "rsa-3072"} {
		p.must("key", "generate", name, "--type", keyType, "--uri", k.uri(name))
	}
	p.must("key", "add", "online", "--uri", k.uri("elsewhere"))
	p.must("role", "set", "root", "--add-key", "root-a", "--add-key", "root-b", "--add-key", "root-c", "--threshold", "2")
	p.must("role", "set", "targets", "--add-key", "rel")
	p.must("role", "set", "snapshot,timestamp", "--add-key", "online")
	var entries strings.Builder // some 150 kB of metadata
	for i := range 1000 {
		fmt.Fprintf(&entries, `{"path":"images/shop/api:%d","length":2,"hashes":{"sha256":"%064x"}}`+"\n", i, i)
	}
	p.must("target", "add", "--from-file", p.file("entries.jsonl", []byte(entries.String())))
	p.must("key", "test")
	p.must("sign", "-y")
	p.must("publish", "-y", "--plain-http")
	p.must("refresh", host+"/acme/trust", "--root", p.rootFile(), "--key", k.uri("elsewhere"), "--force", "--plain-http")
	p.fails(2, "key", "generate", "twice", "--uri", k.uri("root-a")+"&pin-value=1234")
	p.fails(32, "key", "generate", "twice", "--uri", k.uri("root-a"))
}

// Wrong PIN, missing token, missing module, missing object, absent plugin: each
// is said, nothing that was staged or signed is lost.
func TestTokenThatIsNotThere(t *testing.T) {
	t.Parallel()
	k := newHSM(t, "acme")
	p := newPerson(t)
	p.holds(k)
	host := tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host()
	p.must("init", host+"/acme/trust")
	p.must("key", "generate", "plain")
	for _, name := range []string{"root-a", "root-b"} {
		p.must("key", "generate", name, "--uri", k.uri(name))
	}
	p.must("role", "set", "root", "--add-key", "root-a", "--add-key", "root-b", "--add-key", "plain", "--threshold", "2")
	p.must("role", "set", "targets,snapshot,timestamp", "--add-key", "plain")
	p.must("sign", "root", "targets", "--key", "plain", "-y")
	staged := filepath.Join(p.env["TUFOCI_WORKSPACE"], ".tufoci", "staged", "1.root.json")
	before, err := os.ReadFile(staged)
	if err != nil {
		t.Fatal(err)
	}
	uri := k.uri("root-a")
	good := p.env["PATH"]
	for name, tt := range map[string]struct {
		uri  string
		env  map[string]string
		want string
	}{
		"wrong PIN": {"root-a", map[string]string{"TUFOCI_PKCS11_PIN": "0000"}, "PIN of token acme: the PIN is wrong"},
		"token":     {strings.Replace(uri, "token=acme", "token=other", 1), nil, `no token "other" is there; there is acme`},
		"object":    {strings.Replace(uri, "object=root-a", "object=gone", 1), nil, `token "acme" has no key "gone"`},
		"module":    {strings.Replace(uri, k.module, "/nowhere.so", 1), nil, "/nowhere.so"},
		"plugin":    {"root-a", map[string]string{"PATH": "/nowhere"}, "plugin sigstore-kms-pkcs11: no such program"},
	} {
		p.env["PATH"], p.env["TUFOCI_PKCS11_PIN"] = good, k.pin
		maps.Copy(p.env, tt.env)
		if o := p.fails(32, "sign", "root", "--key", tt.uri, "-y"); !strings.Contains(o.stderr, tt.want) {
			t.Errorf("%s: %s", name, o.stderr)
		}
		after, err := os.ReadFile(staged)
		if err != nil || string(after) != string(before) {
			t.Errorf("%s: what was staged has changed: %v", name, err)
		}
	}
	// A broken key does not keep the others from their test.
	p.env["PATH"], p.env["TUFOCI_PKCS11_PIN"] = good, "0000"
	if o := p.fails(32, "key", "test"); strings.Count(o.stdout, "✓ signs") != 1 || strings.Count(o.stdout, "PIN of token acme") != 2 {
		t.Errorf("%s", o.stdout)
	}
	p.env["TUFOCI_PKCS11_PIN"] = k.pin
	p.must("key", "test")
	p.must("sign", "root", "--key", "root-a", "-y")
	p.must("publish", "-y", "--plain-http")
}
