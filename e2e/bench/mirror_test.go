//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

const (
	mirroredImages = 100
	// orasAtOnce is how many processes of oras run at the same time: as many images as
	// mirror copy has under way.
	orasAtOnce = 5
)

// newMirrored makes signed images and their trust repository, and returns the file of
// its root.
func newMirrored(t *testing.T, s *signed) string {
	t.Helper()
	ca := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "acme"}))
	leaf := must(ca.Leaf(notationsign.CertificateOptions{Name: "ci"}))
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()})
	repo.AddTarget("notation/x509/ca/acme/acme.pem", ca.PEM())
	repo.AddTarget("notation/trustpolicy.json", []byte(policy))
	for n := range mirroredImages {
		name := fmt.Sprintf("shop/app%d", n%10)
		store := must(remote.NewRepository(s.Host() + "/" + name))
		store.PlainHTTP = true
		tag := fmt.Sprintf("1.%d", n)
		image := must(notationsign.PushImage(t.Context(), store, fmt.Appendf(nil, "image %d", n), notationsign.Platforms[0], tag))
		must(notationsign.Sign(t.Context(), store, image, leaf, notationsign.Options{}))
		repo.AddEntry("targets", "images/"+name+":"+tag, image.Size, image.Digest.Encoded(), nil)
	}
	repo.Publish()
	s.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
	root := filepath.Join(s.dir, "root.json")
	if err := os.WriteFile(root, repo.RootBytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestMirror prints what it takes to copy signed images to another registry, beside
// oras, which copies one image a process and verifies none.
func TestMirror(t *testing.T) {
	fmt.Printf("\n%d small images, each with a signature, from one registry to another; oras cp -r with %d processes at a time. Latency is\n"+
		"added to every request and to every new connection. oras verifies nothing.\n\n", mirroredImages, orasAtOnce)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "latency\twhat\trequests\ttime\t")
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		s := &signed{Registry: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), dir: t.TempDir()}
		s.env = []string{"HOME=" + s.dir, "DOCKER_CONFIG=" + s.dir}
		root := newMirrored(t, s)
		to := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
		s.SetLatency(latency)
		to.SetLatency(latency)
		for _, row := range []struct {
			what string
			run  func()
		}{
			{"tufoci mirror copy", func() {
				s.run(t, "tufoci", "mirror", "copy", s.Host()+"/acme/trust", to.Host()+"/acme/trust", "--root", root, "--repo", s.Host()+"/**")
			}},
			{"the same again", func() {
				s.run(t, "tufoci", "mirror", "copy", s.Host()+"/acme/trust", to.Host()+"/acme/trust", "--root", root, "--repo", s.Host()+"/**")
			}},
			{"oras cp -r", func() {
				var all sync.WaitGroup
				for process := range orasAtOnce {
					all.Go(func() {
						for n := process; n < mirroredImages; n += orasAtOnce {
							image := fmt.Sprintf("/shop/app%d:1.%d", n%10, n)
							if err := s.try(t, "oras", "cp", "-r", "--no-tty", "--from-plain-http", "--to-plain-http", s.Host()+image, to.Host()+"/oras"+image); err != nil {
								t.Error(err)
							}
						}
					})
				}
				all.Wait()
			}},
		} {
			s.Reset()
			to.Reset()
			start := time.Now()
			row.run()
			wall := time.Since(start)
			fmt.Fprintf(table, "%v\t%s\t%d\t%s\t\n", latency, row.what, len(s.Requests())+len(to.Requests()), milliseconds(wall))
		}
	}
	table.Flush()
}
