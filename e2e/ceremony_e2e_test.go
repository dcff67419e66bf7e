//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// keyHolder holds one key of a root, and signs a ceremony in a way of their own. What
// comes back are the arguments that add the signature.
type keyHolder struct {
	name   string
	public string // file, PEM
	sign   func(c *council, file string) []string
}

// council is a coordinator and a registry: a repository whose root two of three
// keys sign.
type council struct {
	t           testing.TB
	repository  string
	coordinator *person
	root        string // the first root, which everybody has
}

// withTufoci signs with tufoci and a key file, on a machine without a workspace.
func withTufoci(t testing.TB, name string) *keyHolder {
	p := newPerson(t)
	key := newKeyFile(t, p, "ed25519")
	return &keyHolder{name: name, public: publicOf(t, key), sign: func(c *council, file string) []string {
		sig := filepath.Join(p.home, name+".sig")
		args := []string{"ceremony", "sign", file, "--key", "file:" + key, "-o", sig, "-y", "--plain-http"}
		if c.root != "" {
			args = append(args, "--root", c.root)
		}
		p.must(args...)
		return []string{sig}
	}}
}

// withOpenSSL signs with nothing but openssl and sha256sum's eye.
func withOpenSSL(t testing.TB, name, kind string) *keyHolder {
	p := newPerson(t)
	key := newKeyFile(t, p, kind)
	return &keyHolder{name: name, public: publicOf(t, key), sign: func(c *council, file string) []string {
		payload, sig := c.payload(file), filepath.Join(p.home, name+".sig")
		openssl := installed(t, "openssl", "the Debian package openssl has it")
		switch kind {
		case "ed25519":
			do(t, openssl, "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", payload, "-out", sig)
		case "rsa":
			do(t, openssl, "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sign", key, "-out", sig, payload)
		default:
			do(t, openssl, "dgst", "-sha256", "-sign", key, "-out", sig, payload)
		}
		return []string{sig, "--key", name}
	}}
}

// withToken signs with a hardware token and pkcs11-tool, as it writes by default.
func withToken(t testing.TB, name, keyType string) *keyHolder {
	k := newHSM(t, name)
	k.generate(name, keyType)
	p := newPerson(t)
	return &keyHolder{name: name, public: p.file(name+".pub", k.publicKey(name)), sign: func(c *council, file string) []string {
		payload, sig := c.payload(file), filepath.Join(p.home, name+".sig")
		args := []string{"--sign", "--id", hexOf(name), "--output-file", sig}
		if strings.HasPrefix(keyType, "rsa") {
			args = append(args, "--mechanism", "SHA256-RSA-PKCS-PSS", "--mgf", "MGF1-SHA256", "--salt-len", "32", "--input-file", payload)
		} else {
			hash := filepath.Join(p.home, "hash.bin")
			do(t, installed(t, "openssl", "the Debian package openssl has it"), "dgst", "-sha256", "-binary", "-out", hash, payload)
			args = append(args, "--mechanism", "ECDSA", "--input-file", hash)
		}
		k.do(k.tool, k.login(args...)...)
		return []string{sig, "--key", name}
	}}
}

// newKeyFile makes a private key with openssl.
func newKeyFile(t testing.TB, p *person, kind string) string {
	t.Helper()
	file := filepath.Join(p.home, "key.pem")
	args := map[string][]string{
		"ed25519": {"-algorithm", "ed25519"},
		"p256":    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"rsa":     {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
	}[kind]
	do(t, installed(t, "openssl", "the Debian package openssl has it"), append([]string{"genpkey", "-out", file}, args...)...)
	return file
}

// publicOf writes the public half of a private key.
func publicOf(t testing.TB, key string) string {
	t.Helper()
	do(t, installed(t, "openssl", "the Debian package openssl has it"), "pkey", "-in", key, "-pubout", "-out", key+".pub")
	return key + ".pub"
}

// payload is what the coordinator sends to who has no tufoci: the bytes to sign,
// whose sha256 is the txid that all have heard.
func (c *council) payload(file string) string {
	c.t.Helper()
	out := filepath.Join(c.t.TempDir(), "root.bin")
	c.coordinator.must("ceremony", "review", file, "--role", "root", "-o", out, "--plain-http")
	return out
}

// newCouncil makes a repository whose first root is signed in a ceremony.
func newCouncil(t testing.TB, host string, signers ...*keyHolder) *council {
	t.Helper()
	c := &council{t: t, repository: host + "/acme/trust", coordinator: newPerson(t)}
	p := c.coordinator
	p.must("init", c.repository, "--threshold", "root=2")
	online := newKeyFile(t, p, "ed25519")
	p.must("key", "add", "online", "--uri", "file:"+online)
	p.must("role", "set", "targets,snapshot,timestamp", "--add-key", "online")
	args := []string{"role", "set", "root", "--threshold", "2"}
	for _, s := range signers {
		p.must("key", "add", s.name, s.public)
		args = append(args, "--add-key", s.name)
	}
	p.must(args...)
	p.must("sign", "targets", "-y")
	c.hold("the first root", signers[:2]...)
	c.root = p.rootFile()
	return c
}

// start freezes what is staged of root.
func (c *council) start(message string) string {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "root.tufc")
	c.coordinator.must("ceremony", "start", "root", "-m", message, "-o", file)
	return file
}

// hold is a whole ceremony, and the publish after it. Without signatures nothing can
// be applied, and with one of two neither.
func (c *council) hold(message string, signers ...*keyHolder) {
	c.t.Helper()
	file := c.start(message)
	c.coordinator.fails(31, "ceremony", "apply", file, "--plain-http")
	for n, s := range signers {
		add := s.sign(c, file)
		for range 2 {
			c.coordinator.must(append([]string{"ceremony", "add", file}, add...)...)
		}
		if n == 0 {
			c.coordinator.fails(31, "ceremony", "apply", file, "--plain-http")
		}
	}
	c.coordinator.must("ceremony", "apply", file, "--plain-http")
	c.coordinator.must("publish", "-y", "--plain-http")
}

// replace stages a root with another signer in place of one.
func (c *council) replace(old, next *keyHolder) {
	c.t.Helper()
	c.coordinator.must("key", "add", next.name, next.public)
	c.coordinator.must("role", "set", "root", "--add-key", next.name, "--rm-key", old.name)
}

// at pins a root version as a new consumer.
func (c *council) at(version int) *person {
	c.t.Helper()
	p := newPerson(c.t)
	p.trusts(c.repository, filepath.Join(filepath.Dir(c.root), strconv.Itoa(version)+".root.json"))
	return p
}

// TestRootCeremony replaces two of three signers of a root, one after the other:
// one has tufoci, one openssl alone, one a hardware token. Who was removed signs in
// vain. Consumers that pinned roots 1, 2 and 3 all arrive.
func TestRootCeremony(t *testing.T) {
	t.Parallel()
	a := withTufoci(t, "root-a")
	b := withOpenSSL(t, "root-b", "p256")
	hsm := withToken(t, "root-c", "EC:prime256v1")
	c := newCouncil(t, startDistribution(t, tool(t, "registry")), a, b, hsm)
	consumers := []*person{c.at(1)}

	d := withOpenSSL(t, "root-d", "rsa")
	c.replace(b, d)
	c.hold("root-d replaces root-b", a, hsm, d)
	consumers = append(consumers, c.at(2))

	e := withOpenSSL(t, "root-e", "ed25519")
	c.replace(a, e)
	removed := c.start("root-b is not asked any more")
	c.coordinator.fails(32, append([]string{"ceremony", "add", removed}, b.sign(c, removed)...)...)
	c.coordinator.must("ceremony", "abort", removed)
	c.hold("root-e replaces root-a", e, hsm, d)
	consumers = append(consumers, c.at(3), c.at(1))

	token := withToken(t, "root-f", "rsa:2048")
	c.replace(d, token)
	c.hold("root-f replaces root-d", token, hsm, e)

	for i, consumer := range consumers {
		var updated struct {
			Trusts []struct {
				Roles []struct {
					Role    string
					Version int64
				}
			}
		}
		consumer.decode(&updated, "trust", "update", "--plain-http")
		if len(updated.Trusts) != 1 || updated.Trusts[0].Roles[0].Role != "root" || updated.Trusts[0].Roles[0].Version != 4 {
			t.Errorf("consumer %d: %+v", i, updated)
		}
	}
}

// TestAttacksOnCeremonies changes content midway, swaps what is signed, passes
// signatures of one ceremony for those of another, and moves the base.
func TestAttacksOnCeremonies(t *testing.T) {
	t.Parallel()
	a, b, spare := withTufoci(t, "root-a"), withOpenSSL(t, "root-b", "p256"), withOpenSSL(t, "root-c", "ed25519")
	c := newCouncil(t, startDistribution(t, tool(t, "registry")), a, b, spare)
	p := c.coordinator
	p.must("role", "set", "root", "--expires", "300d", "--threshold", "1")
	file := c.start("a year is long")
	reader := newPerson(t)
	review := func(code int, file string) {
		t.Helper()
		if code == 0 {
			reader.must("ceremony", "review", file, "--root", c.root, "--plain-http")
			return
		}
		reader.fails(code, "ceremony", "review", file, "--root", c.root, "--plain-http")
		reader.fails(code, "ceremony", "sign", file, "--key", "file:none.pem", "-y", "--root", c.root, "--plain-http")
	}
	review(0, file)

	// Content changes midway: not by a command, and by hand in vain.
	p.fails(33, "role", "set", "root", "--expires", "200d")
	signed := func(file string) {
		t.Helper()
		for _, s := range []*keyHolder{a, b} {
			p.must(append([]string{"ceremony", "add", file}, s.sign(c, file)...)...)
		}
	}
	before := readFile(t, file)
	signed(file)
	staged := filepath.Join(p.env["TUFOCI_WORKSPACE"], ".tufoci", "staged", "2.root.json")
	honest := readFile(t, staged)
	p.file("workspace/.tufoci/staged/2.root.json", bytes.Replace(honest, []byte(":25920000"), []byte(":25920001"), 1))
	p.fails(33, "ceremony", "apply", file, "--plain-http")
	p.file("workspace/.tufoci/staged/2.root.json", honest)

	// The file is swapped on its way: with the old txid it is no ceremony, with its
	// own it is another one, whose signatures go nowhere.
	swapped := bytes.Replace(before, []byte(": 25920000"), []byte(": 25920001"), 1)
	bad := reader.file("swapped.tufc", swapped)
	review(25, bad)
	own := reader.file("own.tufc", withOwnTxID(t, swapped))
	review(0, own)
	p.fails(12, "ceremony", "add", file, own)
	mine := a.sign(c, own)
	p.fails(12, append([]string{"ceremony", "add", file}, mine...)...)
	signed(own)
	p.fails(33, "ceremony", "apply", own, "--plain-http")

	// A base that is not what is published, and one that has moved.
	lying := reader.file("lying.tufc", withOtherBase(t, before))
	review(12, lying)
	other := newPerson(t)
	if err := os.CopyFS(other.env["TUFOCI_WORKSPACE"], os.DirFS(p.env["TUFOCI_WORKSPACE"])); err != nil {
		t.Fatal(err)
	}
	other.must("ceremony", "abort", file)
	other.must("role", "set", "root", "--expires", "250d")
	theirs := filepath.Join(t.TempDir(), "theirs.tufc")
	other.must("ceremony", "start", "root", "-m", "theirs", "-o", theirs)
	for _, s := range []*keyHolder{a, b} {
		other.must(append([]string{"ceremony", "add", theirs}, s.sign(c, theirs)...)...)
	}
	other.must("ceremony", "apply", theirs, "--plain-http")
	other.must("publish", "-y", "--plain-http")
	review(40, file)
	left := readFile(t, staged)
	p.fails(40, "ceremony", "apply", file, "--plain-http")
	if !bytes.Equal(left, readFile(t, staged)) {
		t.Error("a refused apply has changed what is staged")
	}
	p.fails(40, "publish", "-y", "--plain-http")
}

// withOwnTxID gives a ceremony file the txid of what it would have signed.
func withOwnTxID(t testing.TB, data []byte) []byte {
	t.Helper()
	var f struct {
		TxID  string
		Roles []struct {
			Metadata struct{ Signed json.RawMessage }
		}
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	payload, err := cjson.EncodeCanonical(f.Roles[0].Metadata.Signed)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(payload)
	return bytes.Replace(data, []byte(f.TxID), []byte(hex.EncodeToString(sum[:])), 1)
}

// withOtherBase says that a root of the same version with other bytes is published.
func withOtherBase(t testing.TB, data []byte) []byte {
	t.Helper()
	var f struct {
		Base struct {
			Roles []struct{ File []byte }
		}
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	encoded := func(b []byte) []byte {
		out, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	root := f.Base.Roles[0].File
	return bytes.Replace(data, encoded(root), encoded(append(bytes.Clone(root), '\n')), 1)
}
