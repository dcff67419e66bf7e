//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

const signedPolicy = `{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],` +
	`"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`

// notationUser runs the stock notation command with directories of its own.
type notationUser struct {
	t   testing.TB
	dir string
}

func newNotationUser(t testing.TB) *notationUser {
	t.Helper()
	return &notationUser{t, t.TempDir()}
}

func (n *notationUser) must(args ...string) string {
	n.t.Helper()
	command := exec.CommandContext(n.t.Context(), tool(n.t, "notation"), args...)
	command.Env = append(os.Environ(), "HOME="+n.dir, "NOTATION_CONFIG="+n.dir+"/config", "NOTATION_CACHE="+n.dir+"/cache", "NOTATION_LIBEXEC="+n.dir+"/libexec", "DOCKER_CONFIG="+n.dir)
	out, err := command.CombinedOutput()
	if err != nil {
		n.t.Fatalf("notation %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestImagesOfStockNotation signs with the stock notation command, in both
// envelopes, and verifies: where it was signed, in copies that other programs
// made, in layouts and archives without a network; and not once its tag has moved.
func TestImagesOfStockNotation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		start func(testing.TB) string
		flags []string
	}{
		// With the referrers API, which notation uses only if it is told to.
		"olareg": {func(t testing.TB) string { return tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host() }, []string{"--force-referrers-tag=false"}},
		// Without.
		"distribution":     {func(t testing.TB) string { return startDistribution(t, tool(t, "registry")) }, nil},
		"distribution 2.8": {func(t testing.TB) string { return startDistribution(t, tool(t, "docker-registry")) }, nil},
	} {
		for _, envelope := range []string{"jws", "cose"} {
			t.Run(name+"/"+envelope, func(t *testing.T) {
				t.Parallel()
				verifyEverywhere(t, tt.start(t), append(tt.flags, "--signature-format", envelope))
			})
		}
	}
}

func verifyEverywhere(t *testing.T, home string, signing []string) {
	// Sign.
	signing = append([]string{"sign", "--insecure-registry"}, signing...)
	signer := newNotationUser(t)
	signer.must("cert", "generate-test", "--default", "acme-test")
	images, err := remote.NewRepository(home + "/shop/api")
	if err != nil {
		t.Fatal(err)
	}
	images.PlainHTTP = true
	index, err := notationsign.PushIndex(t.Context(), images, []byte("content"), "1.4.2")
	if err != nil {
		t.Fatal(err)
	}
	image, byDigest := home+"/shop/api:1.4.2", home+"/shop/api@"+index.Digest.String()
	signer.must(append(signing, byDigest)...)

	// Publish.
	p := newPublisher(t, home)
	p.must("cert", "add", "-t", "ca", "-s", "acme", filepath.Join(signer.dir, "config", "localkeys", "acme-test.crt"))
	p.must("policy", "set", "notation", p.file("trustpolicy.json", []byte(signedPolicy)))
	p.must("image", "add", image, "--all-platforms")
	p.must("publish", "-y")
	p.must("trust", "add", "acme", home+"/acme/trust", "--root", p.rootFile(), "--scope", home+"/**")

	// Verify, by tag and by digest, and a platform by its own.
	for _, reference := range []string{image, byDigest, image + "@" + index.Digest.String()} {
		if got := p.must("resolve", reference); got != byDigest+"\n" {
			t.Errorf("%s resolves to %q, want %s", reference, got, byDigest)
		}
	}
	platform := do(t, tool(t, "oras"), "resolve", "--plain-http", "--platform", "linux/arm64", image)
	p.must("verify", home+"/shop/api@"+strings.TrimSpace(platform))

	// Notation's default is the tag, also where the API is; olareg lists only one of
	// the two.
	tagged, err := notationsign.PushImage(t.Context(), images, []byte("tagged"), notationsign.Platforms[0], "tagged")
	if err != nil {
		t.Fatal(err)
	}
	signer.must("sign", "--insecure-registry", home+"/shop/api@"+tagged.Digest.String())
	p.must("image", "add", home+"/shop/api:tagged")
	p.must("publish", "-y")
	p.must("verify", home+"/shop/api:tagged")

	// In layouts and archives, without a network.
	layout := filepath.Join(t.TempDir(), "layout")
	do(t, tool(t, "oras"), "cp", "-r", "--no-tty", "--from-plain-http", "--to-oci-layout", image, layout+":1.4.2")
	p.must("verify", "--offline", "--oci-layout", layout+":1.4.2", "--as", image)
	p.must("verify", "--offline", "oci-archive:"+tarOf(t, layout)+":1.4.2", "--as", image)
	regctl := filepath.Join(t.TempDir(), "regctl")
	do(t, tool(t, "regctl"), "--host", "reg="+home+",tls=disabled", "image", "copy", "--referrers", image, "ocidir://"+regctl+":1.4.2")
	p.must("verify", "--offline", "--oci-layout", regctl+":1.4.2", "--as", image)
	// A copy without referrers has no signature.
	alone := filepath.Join(t.TempDir(), "alone")
	do(t, tool(t, "oras"), "cp", "--no-tty", "--from-plain-http", "--to-oci-layout", image, alone+":1.4.2")
	p.fails(10, "verify", "--offline", "--oci-layout", alone+":1.4.2", "--as", image)

	// In a mirror, under the names of the origin.
	mirror := tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host()
	do(t, tool(t, "oras"), "cp", "-r", "--no-tty", "--from-plain-http", "--to-plain-http", image, mirror+"/copies/shop/api:1.4.2")
	p.fails(23, "verify", mirror+"/copies/shop/api:1.4.2")
	p.must("trust", "add", "acme", home+"/acme/trust", "--map", mirror+"/copies="+home)
	p.must("verify", mirror+"/copies/shop/api:1.4.2")

	// Move the tag.
	other, err := notationsign.PushIndex(t.Context(), images, []byte("other"), "1.4.2")
	if err != nil {
		t.Fatal(err)
	}
	signer.must(append(signing, home+"/shop/api@"+other.Digest.String())...)
	if o := p.fails(12, "verify", image); !strings.Contains(o.stderr, other.Digest.String()) || !strings.Contains(o.stderr, index.Digest.String()) {
		t.Errorf("a digest is missing: %s", o.stderr)
	}
	if o := p.fails(12, "resolve", image); o.stdout != "" {
		t.Errorf("resolve printed %q", o.stdout)
	}
	p.fails(10, "verify", home+"/shop/api@"+other.Digest.String())
	p.must("verify", byDigest)
}

// tarOf writes a directory as a tar.
func tarOf(t testing.TB, dir string) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.AddFS(os.DirFS(dir).(fs.ReadDirFS)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
