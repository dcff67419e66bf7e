//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/notaryproject/notation-go/dir"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify/notationdir"
)

// newCRLURL is where the certificates of a CA say that their CRL is; nothing answers
// there. Notation has one CRL for one URL, so that no two CAs share one.
func newCRLURL(name string) string { return "http://crl.invalid/" + name + ".crl" }

// signer is a certificate authority and one who signs under it.
type signer struct {
	*notationsign.Authority
	name string
	leaf *notationsign.Identity
}

func newAuthority(t testing.TB, name string) *signer {
	t.Helper()
	authority, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{Authority: authority, name: name}
	s.newLeaf(t)
	return s
}

func (s *signer) newLeaf(t testing.TB) {
	t.Helper()
	var err error
	if s.leaf, err = s.Leaf(notationsign.CertificateOptions{Name: "ci", CRLURLs: []string{newCRLURL(s.name)}}); err != nil {
		t.Fatal(err)
	}
}

// stock is the notation command with directories of its own.
type stock struct {
	t             testing.TB
	program       string
	config, cache string
	home          string
}

func newStock(t testing.TB) *stock {
	t.Helper()
	home := t.TempDir()
	return &stock{t: t, program: tool(t, "notation"), home: home, config: filepath.Join(home, "config"), cache: filepath.Join(home, "config", "cache")}
}

// verify runs `notation verify` on an image.
func (s *stock) verify(ctx context.Context, image string) (string, error) {
	command := exec.CommandContext(ctx, s.program, "verify", "-v", "--insecure-registry", image)
	command.Env = append(os.Environ(), "HOME="+s.home, "DOCKER_CONFIG="+s.home,
		"NOTATION_CONFIG="+s.config, "NOTATION_CACHE="+s.cache, "NOTATION_LIBEXEC="+filepath.Join(s.home, "libexec"))
	out, err := command.CombinedOutput()
	return string(out), err
}

func (s *stock) accepts(images ...string) {
	s.t.Helper()
	for _, image := range images {
		if out, err := s.verify(s.t.Context(), image); err != nil || !strings.Contains(out, "Successfully verified") {
			s.t.Errorf("notation verify %s: %v\n%s", image, err, out)
		}
	}
}

// refuses checks that notation refuses images, for this reason.
func (s *stock) refuses(reason string, images ...string) {
	s.t.Helper()
	for _, image := range images {
		if out, err := s.verify(s.t.Context(), image); err == nil || !strings.Contains(out, reason) {
			s.t.Errorf("notation verify %s: %v, want %q\n%s", image, err, reason, out)
		}
	}
}

// site is a trust repository and an image, at home and in a mirror.
type site struct {
	t            testing.TB
	home, mirror string // hosts
	publisher    *person
	consumer     *person
	notation     *stock
	images       []string // by digest: at home, in the mirror
	image        ocispec.Descriptor
	crls         int64  // that were made
	issuer       string // of the CRL that is delivered
}

// newSite has its home in the reference registry, which has no referrers API, and
// its mirror in olareg, which has.
func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, notation: newStock(t), consumer: newPerson(t)}
	s.home = startDistribution(t, tool(t, "registry"))
	s.mirror = tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host()
	for _, host := range []string{s.home, s.mirror} {
		var err error
		if s.image, err = notationsign.PushImage(t.Context(), repository(t, host, "shop/api"), []byte("hello"), notationsign.Platforms[0], "1.0"); err != nil {
			t.Fatal(err)
		}
		s.images = append(s.images, host+"/shop/api@"+s.image.Digest.String())
	}
	s.publisher = newPerson(t)
	s.publisher.must("init", s.home+"/acme/trust", "--profile", "dev", "-y")
	s.target("notation/trustpolicy.json", []byte(`{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],`+
		`"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`))
	entry, err := json.Marshal(map[string]any{
		"path": trust.ImageDigest("shop/api", s.image.Digest.String()), "length": s.image.Size,
		"hashes": map[string]string{"sha256": s.image.Digest.Encoded()}, "custom": map[string]any{"tufoci": map[string]any{"mediaType": s.image.MediaType}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.publisher.must("target", "add", "--from-file", s.publisher.file("images.jsonl", entry))
	return s
}

func repository(t testing.TB, host, name string) *remote.Repository {
	t.Helper()
	repo, err := remote.NewRepository(host + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	return repo
}

func (s *site) target(name string, data []byte, more ...string) {
	s.t.Helper()
	s.publisher.must(append([]string{"target", "add", name, s.publisher.file(hex.EncodeToString([]byte(name)), data)}, more...)...)
}

// authority delivers the certificate of a CA and a CRL of it.
func (s *site) authority(ca *signer, revoked ...*x509.Certificate) {
	s.t.Helper()
	s.crls++
	crl, err := ca.CRL(notationsign.CRLOptions{Number: s.crls, Revoked: revoked})
	if err != nil {
		s.t.Fatal(err)
	}
	if s.issuer != "" && s.issuer != ca.name {
		s.publisher.must("target", "rm", "notation/crl/"+s.issuer+".crl", "notation/crl/"+s.issuer+".issuer.pem")
	}
	s.issuer = ca.name
	s.target("notation/x509/ca/acme/ca.pem", ca.PEM())
	s.target("notation/crl/"+ca.name+".issuer.pem", ca.PEM())
	s.target("notation/crl/"+ca.name+".crl", crl, "--custom", `{"tufoci":{"urls":["`+newCRLURL(ca.name)+`"]}}`)
}

func (s *site) publish() {
	s.t.Helper()
	s.publisher.must("publish", "-y", "--plain-http")
}

// sign signs the image in both places.
func (s *site) sign(by *signer) {
	s.t.Helper()
	for _, host := range []string{s.home, s.mirror} {
		if _, err := notationsign.Sign(s.t.Context(), repository(s.t, host, "shop/api"), s.image, by.leaf, notationsign.Options{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) pin() {
	s.t.Helper()
	s.consumer.must("trust", "add", "acme", s.home+"/acme/trust", "--root", s.publisher.rootFile(), "--plain-http",
		"--scope", s.home+"/**", "--map", s.mirror+"="+s.home)
}

func (s *site) sync(more ...string) {
	s.t.Helper()
	s.consumer.must(append([]string{"trust", "sync", "acme", "--to", "notation", "--dir", s.notation.config, "--plain-http"}, more...)...)
}

// TestStockNotation lets the notation command verify with what TUF has delivered.
func TestStockNotation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := newAuthority(t, "ca-1")
	s.authority(first)
	s.publish()
	s.pin()
	s.sign(first)
	s.notation.refuses("trust policy is not present", s.images...)
	s.sync()
	s.notation.accepts(s.images...)

	// Somebody else's image has no statement.
	other, err := notationsign.PushImage(t.Context(), repository(t, s.home, "shop/other"), []byte("x"), notationsign.Platforms[0], "1")
	if err != nil {
		t.Fatal(err)
	}
	s.notation.refuses("no applicable trust policy", s.home+"/shop/other@"+other.Digest.String())

	// A leaf is revoked by the CRL.
	s.authority(first, first.leaf.Chain[0])
	s.publish()
	s.notation.accepts(s.images...) // not synced yet
	s.sync()
	s.notation.refuses("revoked", s.images...)
	first.newLeaf(t)
	s.sign(first)
	s.notation.accepts(s.images...)

	// The CA is withdrawn.
	second := newAuthority(t, "ca-2")
	s.authority(second)
	s.publish()
	s.sync()
	s.notation.refuses("does not contain any trusted certificate", s.images...)
	s.sign(second)
	s.notation.accepts(s.images...)

	// Nothing vouches for the trust any more.
	if err := os.RemoveAll(filepath.Join(s.consumer.home, ".local", "state")); err != nil {
		t.Fatal(err)
	}
	s.consumer.fails(50, "trust", "sync", "acme", "--to", "notation", "--dir", s.notation.config, "--fail-closed", "--plain-http", "--resolve", s.home+":127.0.0.1:1")
	s.notation.refuses("does not exist", s.images...)
	s.sync()
	s.notation.accepts(s.images...)
}

// TestStockNotationWithTwoTrusts has two trusts in one directory, one of them for
// each registry.
func TestStockNotationWithTwoTrusts(t *testing.T) {
	t.Parallel()
	acme, beta := newSite(t), newSite(t)
	beta.consumer, beta.notation = acme.consumer, acme.notation
	for i, s := range []*site{acme, beta} {
		ca := newAuthority(t, fmt.Sprintf("ca-%d", i))
		s.authority(ca)
		s.publish()
		s.sign(ca)
	}
	acme.pin()
	acme.sync()
	acme.notation.refuses("no applicable trust policy", beta.images...)
	acme.consumer.must("trust", "add", "beta", beta.home+"/acme/trust", "--root", beta.publisher.rootFile(), "--plain-http",
		"--scope", beta.home+"/**", "--map", beta.mirror+"="+beta.home)
	line := []string{"trust", "sync", "beta", "--to", "notation", "--dir", acme.notation.config, "--plain-http"}
	acme.consumer.fails(33, line...)
	acme.consumer.must(append(line, "--policy", "merge")...)
	acme.notation.accepts(append(acme.images, beta.images...)...)

	// The CA of one is withdrawn.
	beta.authority(newAuthority(t, "another"))
	beta.publish()
	acme.consumer.must(append(line, "--policy", "merge")...)
	acme.notation.accepts(acme.images...)
	acme.notation.refuses("does not contain any trusted certificate", beta.images...)
}

// TestStockNotationFollowsAnAgent rotates a CA while `trust sync --watch` runs.
func TestStockNotationFollowsAnAgent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first, second := newAuthority(t, "ca-1"), newAuthority(t, "ca-2")
	s.authority(first)
	s.publish()
	s.pin()
	s.sign(first)
	agent := exec.Command(binary(t), "trust", "sync", "acme", "--to", "notation", "--dir", s.notation.config, "--plain-http",
		"--watch", "--interval", "1s", "--fail-closed")
	agent.Env = []string{"HOME=" + s.consumer.home, "DOCKER_CONFIG=" + s.consumer.home}
	var said bytes.Buffer
	agent.Stdout, agent.Stderr = &said, &said
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }()
	defer agent.Process.Kill()
	within(t, func() error { _, err := s.notation.verify(t.Context(), s.images[0]); return err })
	s.authority(second)
	s.publish()
	within(t, func() error {
		if _, err := s.notation.verify(t.Context(), s.images[0]); err == nil {
			return fmt.Errorf("the withdrawn CA is trusted still")
		}
		return nil
	})
	s.sign(second)
	s.notation.accepts(s.images...)
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		if code := agent.ProcessState.ExitCode(); code != 130 {
			t.Errorf("the agent exited %d\n%s", code, said.String())
		}
	case <-time.After(10 * time.Second):
		t.Errorf("the agent does not end\n%s", said.String())
	}
}

// within tries for some seconds.
func within(t testing.TB, try func() error) {
	t.Helper()
	var err error
	for range 100 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("not within 20 seconds: %v", err)
}

// TestReadersThroughRotations rotates 200 times while 50 readers with notation's own
// code and two notation processes read: nobody meets an error, or anchors of two
// generations.
func TestReadersThroughRotations(t *testing.T) {
	const readers, rotations, generations = 50, 200, 4
	s := newSite(t)
	s.notation.config = filepath.Join(memoryDir(t), "config")
	s.notation.cache = filepath.Join(s.notation.config, "cache")
	always := newAuthority(t, "always")
	s.sign(always)
	dir.UserConfigDir = s.notation.config // what the loader of notation 1 reads; no other test does
	t.Cleanup(func() { dir.UserConfigDir = "" })

	markers := map[string]int{} // sha256 of a certificate to its generation
	var inputs []notationdir.Input
	for g := range generations {
		inputs = append(inputs, s.generation(g, always, markers))
	}
	options := notationdir.Options{Config: s.notation.config, Cache: s.notation.cache, Grace: 15 * time.Second}
	rotate := func(n int) {
		in := inputs[n%generations]
		in.Status.Timestamp.Version = int64(n + 1)
		if _, err := notationdir.Sync(t.Context(), in, options); err != nil {
			t.Error(err)
		}
	}
	rotate(0)
	start := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	var reads, verified atomic.Int64
	for i := range readers {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := readGeneration(s.notation.config, 1+i%2, s.images[0], markers); err != nil {
					t.Errorf("reader %d: %v", i, err)
					return
				}
				reads.Add(1)
				time.Sleep(20 * time.Millisecond) // leave some of the processor to the others
			}
		})
	}
	for _, image := range s.images {
		group.Go(func() {
			for ctx.Err() == nil {
				if out, err := s.notation.verify(t.Context(), image); err != nil {
					t.Errorf("notation verify %s: %v\n%s", image, err, out)
					return
				}
				verified.Add(1)
			}
		})
	}
	for n := 1; n <= rotations && !t.Failed(); n++ {
		rotate(n)
	}
	stop()
	group.Wait()
	t.Logf("%d rotations in %s, %d reads, %d runs of notation", rotations, time.Since(start).Round(time.Millisecond), reads.Load(), verified.Load())
	if reads.Load() < readers || verified.Load() < 2 {
		t.Error("too few reads to say anything")
	}
}

// memoryDir is a directory in memory, where a system has that: many syncs of files to
// a busy disk take minutes, and what readers see does not depend on them.
func memoryDir(t testing.TB) string {
	t.Helper()
	shared, err := os.MkdirTemp("/dev/shm", "tufoci-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(shared) })
	return shared
}

// generation is a trust whose policy has two stores, each with a certificate that no
// other generation has; one has the authority too that the image is signed under.
func (s *site) generation(g int, always *signer, markers map[string]int) notationdir.Input {
	s.t.Helper()
	crl, err := always.CRL(notationsign.CRLOptions{Number: int64(g)})
	if err != nil {
		s.t.Fatal(err)
	}
	files := []material.File{
		{Name: material.PolicyName, Data: []byte(`{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["` + s.home + `/shop/api"],` +
			`"signatureVerification":{"level":"strict"},"trustStores":["ca:one","ca:two"],"trustedIdentities":["*"]}]}`)},
		{Name: "notation/x509/ca/one/always.pem", Data: always.PEM()},
		{Name: "notation/crl/acme.issuer.pem", Data: always.PEM()},
		{Name: "notation/crl/acme.crl", Data: crl, Custom: json.RawMessage(`{"tufoci":{"urls":["` + newCRLURL(always.name) + `"]}}`)},
	}
	for _, store := range []string{"one", "two"} {
		marker := newAuthority(s.t, fmt.Sprintf("%s %d", store, g))
		markers[material.SHA256(marker.Certificate)] = g
		files = append(files, material.File{Name: "notation/x509/ca/" + store + "/marker.pem", Data: marker.PEM()})
	}
	set, err := material.Read(files)
	if err != nil {
		s.t.Fatal(err)
	}
	scope, err := trust.ParseScope(s.home + "/**")
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := trust.ParseMap(s.mirror + "=" + s.home)
	if err != nil {
		s.t.Fatal(err)
	}
	return notationdir.Input{
		Trust: "acme", Scopes: []trust.Scope{scope}, Maps: []trust.Map{m}, Set: set,
	}
}

// readGeneration reads policy and stores as notation does, and wants both
// certificates of one generation.
func readGeneration(config string, version int, image string, markers map[string]int) error {
	doc, err := loadPolicy(config, version)
	if err != nil {
		return err
	}
	st, err := doc.GetApplicableTrustPolicy(image)
	if err != nil {
		return err
	}
	var seen []int
	for _, store := range st.TrustStores {
		kind, name, _ := strings.Cut(store, ":")
		certs, err := truststore.NewX509TrustStore(dir.NewSysFS(config)).GetCertificates(context.Background(), truststore.Type(kind), name)
		if err != nil {
			return err
		}
		for _, c := range certs {
			if g, ok := markers[material.SHA256(c)]; ok {
				seen = append(seen, g)
			}
		}
	}
	if len(seen) != 2 || seen[0] != seen[1] {
		return fmt.Errorf("anchors of the generations %v", seen)
	}
	return nil
}

// loadPolicy reads the policy as that version of notation does.
func loadPolicy(config string, version int) (doc *trustpolicy.Document, err error) {
	if version == 1 {
		doc, err = trustpolicy.LoadDocument()
	} else {
		var data []byte
		if data, err = os.ReadFile(filepath.Join(config, "trustpolicy.oci.json")); err == nil {
			err = json.Unmarshal(data, &doc)
		}
	}
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate()
}
