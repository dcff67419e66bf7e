//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// TestDeliveriesReadByOthers takes what `mirror save` packs out of the archive with
// other programs: the trust under its tag, images under their full names, with what
// refers to them where the program knows that.
func TestDeliveriesReadByOthers(t *testing.T) {
	t.Parallel()
	source, registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{}), tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	s := newShop(t, source.Host())
	s.release("1.4.2")
	s.must("publish", "-y", "--plain-http")
	image, index := s.host+"/shop/api:1.4.2", s.images["1.4.2"]
	archive := filepath.Join(t.TempDir(), "acme.tar")
	s.must("trust", "add", "acme", s.host+"/acme/trust", "--root", s.rootFile(), "--scope", s.host+"/**", "--plain-http")
	s.must("mirror", "save", "acme", "-o", archive, "--image", image, "--plain-http")
	bundle := source.Digest("acme/trust", "tuf")

	for name, tt := range map[string]struct {
		program string
		args    func(to string) []string
		tag     string // that the program writes
		want    string
	}{
		"skopeo trust": {"skopeo", func(to string) []string {
			return []string{"--insecure-policy", "copy", "--dest-tls-verify=false", "oci-archive:" + archive + ":tuf", "docker://" + to}
		}, "tuf", bundle},
		"skopeo image": {"skopeo", func(to string) []string {
			return []string{"--insecure-policy", "copy", "--all", "--dest-tls-verify=false", "oci-archive:" + archive + ":" + image, "docker://" + to}
		}, "1.4.2", index.Digest.String()},
		"oras trust": {"oras", func(to string) []string {
			return []string{"cp", "--no-tty", "--from-oci-layout", "--to-plain-http", archive + ":tuf", to}
		}, "tuf", bundle},
		"oras image": {"oras", func(to string) []string {
			return []string{"cp", "-r", "--no-tty", "--from-oci-layout", "--to-plain-http", archive + "@" + index.Digest.String(), to}
		}, "1.4.2", index.Digest.String()},
		"regctl trust": {"regctl", func(to string) []string {
			return []string{"--host", "reg=" + registry.Host() + ",tls=disabled", "image", "import", "--name", "tuf", to, archive}
		}, "tuf", bundle},
		"regctl image": {"regctl", func(to string) []string {
			return []string{"--host", "reg=" + registry.Host() + ",tls=disabled", "image", "import", "--name", image, to, archive}
		}, "1.4.2", index.Digest.String()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := tt.program + "/shop/api"
			do(t, tool(t, tt.program), tt.args(registry.Host()+"/"+repository+":"+tt.tag)...)
			if got := registry.Digest(repository, tt.tag); got != tt.want {
				t.Errorf("%s is %s, want %s", tt.tag, got, tt.want)
			}
			if name == "oras image" { // with its signature
				p := newPerson(t)
				p.must(append(s.pin(s.rootFile(), []string{registry.Host() + "/oras"}), s.host+"/acme/trust", "--plain-http")...)
				p.must("verify", registry.Host()+"/oras/shop/api:1.4.2", "--plain-http")
			}
		})
	}
}
