//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// signed is an image that verifies by mapping and signature, in a registry
// beside its trust repository.
type signed struct {
	*tuftest.Registry
	image ocispec.Descriptor
	env   []string // of tufoci and notation
	dir   string
}

const (
	crlURL = "http://crl.acme.invalid/acme.crl"
	policy = `{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"strict"},` +
		`"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`
)

// newSigned makes the image, its trust repository, and what both programs need
// to know of it.
func newSigned(t *testing.T, o tuftest.RegistryOptions) *signed {
	t.Helper()
	ca := must(notationsign.NewRoot(notationsign.CertificateOptions{Name: "acme"}))
	leaf := must(ca.Leaf(notationsign.CertificateOptions{Name: "ci", CRLURLs: []string{crlURL}}))
	s := &signed{Registry: tuftest.NewRegistry(t, o), dir: t.TempDir()}
	store := must(remote.NewRepository(s.Host() + "/shop/api"))
	store.PlainHTTP = true
	s.image = must(notationsign.PushIndex(t.Context(), store, []byte("content"), "1.4.2"))
	must(notationsign.Sign(t.Context(), store, s.image, leaf, notationsign.Options{}))

	s.env = []string{
		"HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir + "/config", "XDG_STATE_HOME=" + s.dir + "/state", "XDG_CACHE_HOME=" + s.dir + "/cache",
		"TUFOCI_WORKSPACE=" + s.dir + "/workspace", "TUFOCI_PASSPHRASE=correct horse battery staple",
		"DOCKER_CONFIG=" + s.dir, "NOTATION_CONFIG=" + s.dir + "/notation", "NOTATION_CACHE=" + s.dir + "/notation/cache",
	}
	for name, content := range map[string][]byte{
		"ca.pem": ca.PEM(), "acme.crl": must(ca.CRL(notationsign.CRLOptions{Number: 1})), "policy.json": []byte(policy),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := s.Host() + "/shop/api:1.4.2"
	s.run(t, "tufoci", "init", s.Host()+"/acme/trust", "--profile", "dev", "-y")
	s.run(t, "tufoci", "cert", "add", "-t", "ca", "-s", "acme", s.dir+"/ca.pem")
	s.run(t, "tufoci", "crl", "add", s.dir+"/acme.crl", "--cert", s.dir+"/ca.pem", "--url", crlURL)
	s.run(t, "tufoci", "policy", "set", "notation", s.dir+"/policy.json")
	s.run(t, "tufoci", "image", "add", image)
	s.run(t, "tufoci", "publish", "-y")
	root := s.dir + "/workspace/.tufoci/base/1.root.json"
	s.run(t, "tufoci", "trust", "add", "acme", s.Host()+"/acme/trust", "--root", root, "--scope", s.Host()+"/**")
	s.run(t, "tufoci", "trust", "sync", "acme", "--to", "notation", "--dir", s.dir+"/notation")
	return s
}

// run runs a program that has to succeed.
func (s *signed) run(t *testing.T, program string, args ...string) {
	t.Helper()
	if err := s.try(t, program, args...); err != nil {
		t.Fatal(err)
	}
}

func (s *signed) try(t *testing.T, program string, args ...string) error {
	file := filepath.Join("..", "..", "bin", program)
	if program != "tufoci" {
		file = filepath.Join("..", "..", "bin", "tools", program)
	}
	command := exec.CommandContext(t.Context(), file, args...)
	command.Env = s.env
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, printed.String())
	}
	return nil
}

// cost of one run as a new process.
func (s *signed) cost(t *testing.T, program string, args ...string) cost {
	t.Helper()
	s.Reset()
	start := time.Now()
	s.run(t, program, args...)
	wall := time.Since(start)
	_, sent := s.Traffic()
	return cost{len(s.Requests()), sent, wall}
}

// forget removes what tufoci has seen and cached; its pin stays.
func (s *signed) forget(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"state", "cache"} {
		if err := os.RemoveAll(filepath.Join(s.dir, dir)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerify prints what it takes to verify one image, beside the stock notation
// command, which was fed by trust sync.
func TestVerify(t *testing.T) {
	fmt.Printf("\nOne image verified by a new process; median of %d. notation verifies the signature only; tufoci also that the tag or digest\n"+
		"is signed, and that its trust is current. Latency is added to every request and to every new connection.\n\n", repeats)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "latency\treferrers\twhat\trequests\tbytes\ttime\t")
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
		for _, noAPI := range []bool{false, true} {
			s := newSigned(t, tuftest.RegistryOptions{ETag: true, NoReferrers: noAPI})
			s.SetLatency(latency)
			byTag, byDigest := s.Host()+"/shop/api:1.4.2", s.Host()+"/shop/api@"+s.image.Digest.String()
			for _, row := range []struct {
				what   string
				before func(*testing.T)
				line   []string
			}{
				{"tufoci, nothing stored", s.forget, []string{"tufoci", "verify", byTag}},
				{"tufoci, known tag", nil, []string{"tufoci", "verify", byTag}},
				{"tufoci, digest", nil, []string{"tufoci", "verify", byDigest}},
				{"notation, digest", nil, []string{"notation", "verify", "--insecure-registry", byDigest}},
			} {
				var runs []cost
				for range repeats {
					if row.before != nil {
						row.before(t)
					}
					runs = append(runs, s.cost(t, row.line[0], row.line[1:]...))
				}
				slices.SortFunc(runs, func(a, b cost) int { return int(a.wall - b.wall) })
				median := runs[repeats/2]
				fmt.Fprintf(table, "%v\t%s\t%s\t%d\t%d\t%s\t\n", latency, map[bool]string{false: "API", true: "tag"}[noAPI], row.what,
					median.requests, median.sent, milliseconds(median.wall))
			}
		}
	}
	table.Flush()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
