package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// Verifying writes below our own directories alone: neither into the working
// directory, nor into Notation's, until trust sync says so.
func TestVerifyingWritesNowhereElse(t *testing.T) {
	t.Parallel()
	host := tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host()
	ca, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(notationsign.CertificateOptions{Name: "leaf"})
	if err != nil {
		t.Fatal(err)
	}
	images, err := remote.NewRepository(host + "/shop/api")
	if err != nil {
		t.Fatal(err)
	}
	images.PlainHTTP = true
	index, err := notationsign.PushIndex(t.Context(), images, []byte("content"), "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := notationsign.Sign(t.Context(), images, index, leaf, notationsign.Options{}); err != nil {
		t.Fatal(err)
	}
	publisher := newPublisher(t, host)
	publisher.must("cert", "add", "-t", "ca", "-s", "acme", publisher.file("ca.pem", ca.PEM()))
	publisher.must("policy", "set", "notation", publisher.file("policy.json", []byte(`{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],`+
		`"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`)))
	publisher.must("image", "add", host+"/shop/api:1")
	publisher.must("publish", "-y")

	here := below(t, ".")
	p := newPerson(t)
	p.must("trust", "add", "acme", host+"/acme/trust", "--root", publisher.rootFile(), "--scope", host+"/**")
	p.must("trust", "update")
	p.must("verify", host+"/shop/api:1", host+"/shop/api@"+index.Digest.String())
	p.must("resolve", host+"/shop/api:1")
	p.fails(11, "verify", host+"/shop/api:2")
	p.must("trust", "sync", "acme", "--to", "notation", "--dry-run")
	p.must("trust", "export", "acme", "--to", "notation", "-o", filepath.Join(t.TempDir(), "export"))
	if now := below(t, "."); !slices.Equal(now, here) {
		t.Errorf("the working directory has %q, and had %q", now, here)
	}
	for _, file := range below(t, p.home) {
		ours := []string{".config/tufoci/", ".local/state/tufoci/", ".cache/tufoci/"}
		if !slices.ContainsFunc(ours, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
			t.Errorf("%s was written", file)
		}
	}
	p.must("trust", "sync", "acme", "--to", "notation")
	if files := below(t, p.home); !slices.Contains(files, ".config/notation/trustpolicy.json") {
		t.Errorf("nothing was written for Notation: %q", files)
	}
}

// below lists the files below a directory.
func below(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
