//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// shop publishes acme/trust and signed images in shop/api, of one registry.
type shop struct {
	*person
	host string
	leaf *notationsign.Identity
	// images are the indexes by tag.
	images map[string]ocispec.Descriptor
}

// newShop has published a trust that names no image.
func newShop(t testing.TB, host string) *shop {
	t.Helper()
	ca, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"})
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{person: newPublisher(t, host), host: host, images: map[string]ocispec.Descriptor{}}
	if s.leaf, err = ca.Leaf(notationsign.CertificateOptions{Name: "ci"}); err != nil {
		t.Fatal(err)
	}
	s.must("cert", "add", "-t", "ca", "-s", "acme", s.file("ca.pem", ca.PEM()))
	s.must("policy", "set", "notation", s.file("trustpolicy.json", []byte(signedPolicy)))
	s.must("publish", "-y", "--plain-http")
	return s
}

// release makes, signs and stages an image.
func (s *shop) release(tag string) {
	s.t.Helper()
	images := repository(s.t, s.host, "shop/api")
	index, err := notationsign.PushIndex(s.t.Context(), images, []byte(tag), tag)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := notationsign.Sign(s.t.Context(), images, index, s.leaf, notationsign.Options{}); err != nil {
		s.t.Fatal(err)
	}
	s.images[tag] = index
	s.must("image", "add", s.host+"/shop/api:"+tag, "--plain-http")
}

// pin is the command that pins a root for the images of the shop and for copies of
// them, below prefixes that stand for its host. Where the trust is read from follows.
func (s *shop) pin(root string, places []string) []string {
	args := []string{"trust", "add", "acme", "--root", root, "--scope", s.host + "/**"}
	for _, place := range places {
		args = append(args, "--map", place+"="+s.host)
	}
	return args
}

// TestTrustBesideImagesTravels copies whole repositories of images with foreign
// programs, twice: their trust comes with them, and what it revokes is refused.
func TestTrustBesideImagesTravels(t *testing.T) {
	t.Parallel()
	registries := map[string]string{
		"olareg":       tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host(),
		"distribution": startDistribution(t, tool(t, "registry")),
	}
	opposite := map[string]string{"olareg": "distribution", "distribution": "olareg"}
	for name, source := range registries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, source)
			s.release("1.4.2")
			s.release("1.4.3")
			publish := []string{"publish", "-y", "--plain-http", "--beside", source + "/shop/api"}
			s.must(publish...)
			mirrors := map[string]string{} // by copier
			mirror := func() {
				for _, copier := range wholeCopiers {
					mirrors[copier.name] = registries[opposite[name]] + "/" + name + "/" + copier.name
					if err := copier.copy(t, source+"/shop/api", mirrors[copier.name]+"/shop/api", t.TempDir()); err != nil {
						t.Fatal(err)
					}
				}
			}
			mirror()
			followers := map[string]*person{}
			for copier, to := range mirrors {
				p := newPerson(t)
				p.must(append(s.pin(s.rootFile(), []string{to}), "--beside")...)
				if signaturesTravel := name == "distribution" || copier == "regsync" || copier == "oras"; !signaturesTravel {
					p.fails(10, "verify", to+"/shop/api:1.4.2", "--plain-http")
					p = newPerson(t)
					p.must(append(s.pin(s.rootFile(), []string{to}), "--beside", "--require", "mapping")...)
				}
				p.must("verify", to+"/shop/api:1.4.2", to+"/shop/api:1.4.3", to+"/shop/api@"+s.images["1.4.2"].Digest.String(), "--plain-http")
				followers[copier] = p
			}
			s.must("revoke", "image", "shop/api:1.4.2", "--reason", "CVE-2026-1234", "--plain-http")
			s.must(publish...)
			mirror()
			for copier, to := range mirrors {
				followers[copier].fails(24, "verify", to+"/shop/api:1.4.2", "--plain-http")
				followers[copier].must("verify", to+"/shop/api:1.4.3", "--plain-http")
			}
		})
	}
}

// aloneCopiers copy one image with what refers to it.
var aloneCopiers = map[string]func(t testing.TB, from, to string){
	"oras": func(t testing.TB, from, to string) {
		do(t, tool(t, "oras"), "cp", "-r", "--no-tty", "--from-plain-http", "--to-plain-http", from, to)
	},
	"regctl": func(t testing.TB, from, to string) {
		do(t, tool(t, "regctl"), "--host", "reg="+host(from)+",tls=disabled", "--host", "reg="+host(to)+",tls=disabled",
			"image", "copy", "--referrers", from, to)
	},
}

// startRegistry starts a registry of each kind: with the referrers API, and without.
var startRegistry = map[string]func(t testing.TB) string{
	"olareg":       func(t testing.TB) string { return tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host() },
	"distribution": func(t testing.TB) string { return startDistribution(t, tool(t, "registry")) },
}

// TestImageAloneVerifies copies one image, with what is attached to it, to registries
// and into a layout. It verifies there, mapping and signature, with nothing but the
// pinned root, after its origin has ended. What is copied without its trust, or with
// one that somebody changed, does not.
func TestImageAloneVerifies(t *testing.T) {
	t.Parallel()
	for origin, start := range startRegistry {
		t.Run(origin, func(t *testing.T) {
			t.Parallel()
			var copies []string // places: HOST/COPIER
			for _, start := range startRegistry {
				host := start(t)
				for copier := range aloneCopiers {
					copies = append(copies, host+"/"+copier)
				}
			}
			bare, changed := startRegistry["olareg"](t)+"/bare", startRegistry["distribution"](t)+"/changed"
			places := append([]string{bare, changed}, copies...)
			layout := filepath.Join(t.TempDir(), "layout")
			root := filepath.Join(t.TempDir(), "root.json")
			var canonical string
			var image ocispec.Descriptor
			settled := newPerson(t) // knows home, but nothing of the image
			t.Run("origin", func(t *testing.T) {
				s := newShop(t, start(t))
				if err := os.WriteFile(root, readFile(t, s.rootFile()), 0o600); err != nil {
					t.Fatal(err)
				}
				if o := settled.run(append(s.pin(root, places), s.host+"/acme/trust", "--plain-http")...); o.code != 0 {
					t.Fatalf("trust add: exit %d\n%s", o.code, o.stderr)
				}
				s.release("1.4.2")
				s.must("publish", "-y", "--plain-http")
				canonical, image = s.host+"/shop/api:1.4.2", s.images["1.4.2"]
				s.must("attach", canonical, "--plain-http")
				for _, place := range copies {
					aloneCopiers[place[strings.Index(place, "/")+1:]](t, canonical, place+"/shop/api:1.4.2")
				}
				do(t, tool(t, "oras"), "cp", "-r", "--no-tty", "--from-plain-http", "--to-oci-layout", canonical, layout+":1.4.2")
				do(t, tool(t, "crane"), "copy", "--insecure", canonical, bare+"/shop/api:1.4.2")
				aloneCopiers["oras"](t, canonical, changed+"/shop/api:1.4.2")
			})
			changeAttached(t, changed+"/shop/api", image)

			pin := (&shop{host: host(canonical)}).pin(root, places)
			for _, place := range copies {
				fresh := newPerson(t)
				fresh.must(append(pin, "--beside")...)
				for _, p := range []*person{fresh, settled} {
					out := p.must("verify", place+"/shop/api:1.4.2", "--plain-http", "--format", "json")
					if !strings.Contains(out, `"source": "attached"`) {
						t.Errorf("%s: the source is not named: %s", place, out)
					}
				}
			}
			fresh := newPerson(t)
			fresh.must(append(pin, "--beside")...)
			fresh.must("verify", "--offline", "--oci-layout", layout+":1.4.2", "--as", canonical)

			// Without its trust: nothing is there, or home would have to be.
			fresh.fails(11, "verify", bare+"/shop/api:1.4.2", "--plain-http")
			settled.fails(50, "verify", bare+"/shop/api:1.4.2", "--plain-http")
			// With other targets than those that are signed.
			stranger := newPerson(t)
			stranger.must(append(pin, "--beside")...)
			stranger.fails(12, "verify", changed+"/shop/api:1.4.2", "--plain-http")
		})
	}
}

// changeAttached puts changed targets into each bundle that is attached to an image.
func changeAttached(t testing.TB, image string, subject ocispec.Descriptor) {
	t.Helper()
	registry, name, _ := strings.Cut(image, "/")
	plain, repo := repository(t, registry, name), writable(t, registry, name)
	var attached []ocispec.Descriptor
	err := plain.Referrers(t.Context(), subject, ociremote.MediaTypeBundle, func(found []ocispec.Descriptor) error {
		attached = append(attached, found...)
		return nil
	})
	if err != nil || len(attached) == 0 {
		t.Fatalf("%d bundles are attached: %v", len(attached), err)
	}
	for _, desc := range attached {
		bundle, err := ociremote.FetchBundle(t.Context(), repo, desc.Digest.String(), ociremote.Known{})
		if err != nil {
			t.Fatal(err)
		}
		var files []ociremote.Content
		for _, f := range bundle.Files {
			data, err := ociremote.FetchBlob(t.Context(), repo, f.Descriptor, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f.Title, ".targets.json") {
				data[len(data)/2] ^= 1
			}
			files = append(files, ociremote.Content{Title: f.Title, Data: data})
		}
		forged, blobs, err := ociremote.Pack(files, ociremote.PackOptions{Partial: true, Subject: &subject, Annotations: bundle.Annotations})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blobs {
			if err := plain.Push(t.Context(), b.Descriptor, bytes.NewReader(b.Data)); err != nil {
				t.Fatal(err)
			}
		}
		if err := plain.Push(t.Context(), forged.Descriptor, bytes.NewReader(forged.Manifest)); err != nil {
			t.Fatal(err)
		}
		if err := plain.Delete(t.Context(), desc); err != nil {
			t.Fatal(err)
		}
	}
}
