//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

const (
	// mirrored is the canonical host of the images of this file.
	mirrored = "registry.acme.io"
	notary   = "application/vnd.cncf.notary.signature"
)

// fleet is a trust repository and signed images in a registry of this process.
type fleet struct {
	t    testing.TB
	repo *tuftest.Repo
	*tuftest.Registry
	leaf *notationsign.Identity
	root string // file
	// signed are the digests that are signed for a name, REPOSITORY:TAG.
	signed map[string]string
}

// newFleet has no image yet.
func newFleet(t testing.TB, repo *tuftest.Repo, leaf *notationsign.Identity) *fleet {
	t.Helper()
	f := &fleet{t: t, repo: repo, leaf: leaf, Registry: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), signed: map[string]string{}}
	f.root = filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(f.root, repo.RootBytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// newPKI is a repository that delivers a policy, and who signs by it.
func newPKI(t testing.TB) (*tuftest.Repo, *notationsign.Identity) {
	t.Helper()
	ca, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(notationsign.CertificateOptions{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now()})
	repo.AddTarget("notation/x509/ca/acme/acme.pem", ca.PEM())
	repo.AddTarget("notation/trustpolicy.json", []byte(`{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],`+
		`"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`))
	return repo, leaf
}

// image puts an image with a signature into the registry, around the network, and signs
// its name.
func (f *fleet) image(repository, tag, content string) {
	f.t.Helper()
	blob := func(mediaType string, data []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(f.PutBlob(repository, data)), Size: int64(len(data))}
	}
	manifest := func(reference string, m ocispec.Manifest) ocispec.Descriptor {
		m.SchemaVersion, m.MediaType = 2, ocispec.MediaTypeImageManifest
		data, err := json.Marshal(m)
		if err != nil {
			f.t.Fatal(err)
		}
		d := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if reference == "" {
			reference = d.Digest.String()
		}
		f.PutManifest(repository, reference, data)
		return d
	}
	image := manifest(tag, ocispec.Manifest{
		Config: blob(ocispec.MediaTypeImageConfig, fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","config":{"Labels":{"of":%q}}}`, content)),
		Layers: []ocispec.Descriptor{blob(ocispec.MediaTypeImageLayer, []byte(content))},
	})
	envelope, err := notationsign.Envelope(f.t.Context(), image, f.leaf, notationsign.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	manifest("", ocispec.Manifest{
		Config: blob(notary, []byte("{}")), Layers: []ocispec.Descriptor{blob(notationsign.JWS, envelope)}, Subject: &image,
	})
	f.sign(repository, tag, image)
}

func (f *fleet) sign(repository, tag string, d ocispec.Descriptor) {
	custom := map[string]any{"tufoci": map[string]any{"mediaType": d.MediaType}}
	f.repo.AddEntry("targets", "images/"+repository+":"+tag, d.Size, d.Digest.Encoded(), custom)
	f.repo.AddEntry("targets", "images/"+repository+"@"+d.Digest.String(), d.Size, d.Digest.Encoded(), custom)
	f.signed[repository+":"+tag] = d.Digest.String()
}

func (f *fleet) publish() {
	f.t.Helper()
	f.repo.Publish()
	f.Push("acme/trust", "tuf", tuftest.Pack(f.t, f.repo.Files(), tuftest.PackOptions{}))
}

// copyArgs copy the trust repository and all images between two hosts.
func (f *fleet) copyArgs(from, to string) []string {
	return []string{
		"mirror", "copy", from + "/acme/trust", to + "/acme/trust", "--root", f.root,
		"--repo", mirrored + "/**", "--images-from", from,
	}
}

// TestMirrorRequests counts what it takes to copy 1,000 signed images, beside oras.
func TestMirrorRequests(t *testing.T) {
	t.Parallel()
	// oras copies one image a process, each at the same price: a tenth of them will do.
	const images, repositories, sample = 1000, 20, 100
	oras := tool(t, "oras")
	repo, leaf := newPKI(t)
	f := newFleet(t, repo, leaf)
	for n := range images {
		f.image(fmt.Sprintf("shop/app%d", n%repositories), fmt.Sprintf("1.%d", n), fmt.Sprintf("image %d", n))
	}
	f.publish()
	from, to := count(t, f.Host()), count(t, tuftest.NewRegistry(t, tuftest.RegistryOptions{}).Host())
	start := time.Now()
	if o := newPerson(t).run(f.copyArgs(from.host, to.host)...); o.code != 0 {
		t.Fatalf("mirror copy: exit %d\n%s", o.code, o.stderr)
	}
	wall := time.Since(start)
	read, _ := from.take()
	written, _ := to.take()

	const atOnce = 4
	var all sync.WaitGroup
	for process := range atOnce {
		all.Go(func() {
			for n := process; n < sample; n += atOnce {
				image := fmt.Sprintf("/shop/app%d:1.%d", n%repositories, n)
				command := exec.CommandContext(t.Context(), oras, "cp", "-r", "--no-tty", "--from-plain-http", "--to-plain-http",
					from.host+image, to.host+"/oras"+image)
				command.Env = append(os.Environ(), "HOME="+filepath.Dir(f.root), "DOCKER_CONFIG="+filepath.Dir(f.root))
				if out, err := command.CombinedOutput(); err != nil {
					t.Errorf("oras: %v\n%s", err, out)
				}
			}
		})
	}
	all.Wait()
	orasRead, _ := from.take()
	orasWritten, _ := to.take()
	ours, theirs := len(read)+len(written), (len(orasRead)+len(orasWritten))*images/sample
	t.Logf("%d images in %v: %d requests (%d read, %d written); oras cp -r: %d", images, wall.Round(time.Millisecond), ours, len(read), len(written), theirs)
	if float64(ours) > 1.2*float64(theirs) {
		t.Errorf("%d requests, oras needs %d", ours, theirs)
	}
}

// TestMirrorKilled kills the process at twenty points of its writing. Nothing that is
// not signed, or was not there before, ever has a tag, and the next copy ends in the
// state of one that was not killed.
func TestMirrorKilled(t *testing.T) {
	t.Parallel()
	const points = 20
	program := binary(t)
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("TUFOCI_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TUFOCI_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	repo, leaf := newPKI(t)
	old := newFleet(t, repo, leaf)
	for n := range 4 {
		old.image("shop/app"+strconv.Itoa(n%2), "latest", fmt.Sprintf("old %d", n))
		old.image("shop/app"+strconv.Itoa(n%2), "0."+strconv.Itoa(n), fmt.Sprintf("old %d", n))
	}
	old.publish()
	fresh := newFleet(t, repo, leaf)
	fresh.image("shop/app0", "0.0", "old 0")
	for n := range 4 {
		fresh.image("shop/app"+strconv.Itoa(n%2), "latest", fmt.Sprintf("new %d", n))
		fresh.image("shop/app"+strconv.Itoa(n%2), "1."+strconv.Itoa(n), fmt.Sprintf("new %d", n))
	}
	for _, gone := range []string{"app1:0.1", "app0:0.2", "app1:0.3"} {
		repo.RemoveTarget("images/shop/" + gone)
	}
	fresh.publish()

	// started is a destination that holds what was mirrored before.
	started := func() *tuftest.Registry {
		d := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
		if o := newPerson(t).run(old.copyArgs(old.Host(), d.Host())...); o.code != 0 {
			t.Fatalf("mirror copy: exit %d\n%s", o.code, o.stderr)
		}
		return d
	}
	run := func(to string) (*exec.Cmd, *bytes.Buffer) {
		command := exec.Command(program, fresh.copyArgs(fresh.Host(), to)...)
		command.Env = []string{"HOME=" + t.TempDir()}
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		return command, &out
	}

	whole := started()
	front := kills(t, whole, 0, nil)
	if command, out := run(whole.Host()); command.Run() != nil {
		t.Fatal(out)
	}
	want, writes := stateOf(whole), front.writes()
	t.Logf("%d writes", writes)
	killed := 0
	for range points {
		at := 1 + random.IntN(writes)
		d := started()
		command, _ := run(d.Host())
		front := kills(t, d, at, func() { _ = command.Process.Kill() })
		// How many writes there are depends on what goes on at the same time: a run
		// that needs fewer than the one that was counted ends well before the last.
		switch err := command.Run(); {
		case front.writes() >= at && err == nil:
			t.Errorf("write %d: the process was not killed", at)
		case front.writes() >= at:
			killed++
		case err != nil:
			t.Errorf("%d writes, not killed: %v", front.writes(), err)
		}
		for name, dgst := range stateOf(d) {
			image := strings.HasPrefix(name, "shop/") && !strings.Contains(name, "@")
			if image && dgst != old.signed[name] && dgst != fresh.signed[name] {
				t.Errorf("killed at write %d: %s names %s, which is not signed", at, name, dgst)
			}
		}
		d.Intercept(nil)
		command, out := run(d.Host())
		if err := command.Run(); err != nil {
			t.Errorf("killed at write %d, and again: %v\n%s", at, err, out)
		}
		if got := stateOf(d); !equalStates(got, want) {
			t.Errorf("killed at write %d, and again: %v, want %v", at, got, want)
		}
	}
	if killed < points/2 {
		t.Errorf("killed %d times of %d", killed, points)
	}
}

// stateOf is what the tags of a registry name, and what refers to that.
func stateOf(g *tuftest.Registry) map[string]string {
	state := map[string]string{}
	for _, repository := range []string{"acme/trust", "shop/app0", "shop/app1"} {
		for _, tag := range g.Tags(repository) {
			dgst := g.Digest(repository, tag)
			state[repository+":"+tag] = dgst
			answer, err := http.Get(g.URL() + "/v2/" + repository + "/referrers/" + dgst)
			if err != nil {
				panic(err)
			}
			var index ocispec.Index
			err = json.NewDecoder(answer.Body).Decode(&index)
			answer.Body.Close()
			if err != nil {
				panic(err)
			}
			var all []string
			for _, d := range index.Manifests {
				all = append(all, d.Digest.String())
			}
			slices.Sort(all)
			state[repository+"@"+dgst] = strings.Join(all, " ")
		}
	}
	return state
}

func equalStates(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// killer counts the writes that reach a registry, and calls kill at the n-th one: before
// it is done, or for an even n after.
type killer struct {
	mu    sync.Mutex
	count int
}

func kills(t testing.TB, g *tuftest.Registry, n int, kill func()) *killer {
	t.Helper()
	k := &killer{}
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		k.mu.Lock()
		k.count++
		at := k.count
		k.mu.Unlock()
		switch {
		case kill == nil || at < n:
			next.ServeHTTP(w, r)
		case at == n && n%2 == 0:
			next.ServeHTTP(w, r)
			kill()
		case at == n:
			kill()
			panic(http.ErrAbortHandler)
		default:
			panic(http.ErrAbortHandler) // it is dead
		}
	})
	return k
}

func (k *killer) writes() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count
}

// TestMirrorMemory holds the memory of a copy to what one image takes, however many
// there are and however large they are.
func TestMirrorMemory(t *testing.T) {
	t.Parallel()
	const few, many, slack = 50, 500, 24 << 20
	repo, leaf := newPKI(t)
	f := newFleet(t, repo, leaf)
	for n := range many {
		repository := "many/app"
		if n < few {
			repository = "few/app"
		}
		f.image(repository, strconv.Itoa(n), strings.Repeat(strconv.Itoa(n)+" ", 2000))
	}
	// One with a layer of 256 MiB, in a registry that keeps it on disk.
	disk := startDistribution(t, tool(t, "registry"))
	large := pushLarge(t, disk, 256<<20, leaf)
	f.sign("large/app", "1.0", large)
	f.publish()
	to := startDistribution(t, tool(t, "registry"))
	peak := func(from, pattern string) int64 {
		return peakOf(t, binary(t), "mirror", "copy", f.Host()+"/acme/trust", to+"/acme/trust", "--root", f.root,
			"--image", mirrored+"/"+pattern, "--images-from", from)
	}
	base := peak(f.Host(), "few/app:*")
	all := peak(f.Host(), "many/app:*")
	layer := peak(disk, "large/app:1.0")
	t.Logf("peaks: %d images %d MiB, %d images %d MiB, a layer of 256 MiB %d MiB", few, base>>20, many-few, all>>20, layer>>20)
	if all > base+slack || layer > base+slack {
		t.Errorf("memory grows")
	}
}

// pushLarge pushes a signed image with a layer of zeros.
func pushLarge(t testing.TB, host string, size int64, leaf *notationsign.Identity) ocispec.Descriptor {
	t.Helper()
	to, err := remote.NewRepository(host + "/large/app")
	if err != nil {
		t.Fatal(err)
	}
	to.PlainHTTP = true
	hash := digest.SHA256.Digester()
	if _, err := io.CopyN(hash.Hash(), zeros{}, size); err != nil {
		t.Fatal(err)
	}
	layer := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: hash.Digest(), Size: size}
	if err := to.Push(t.Context(), layer, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	config := []byte(`{"architecture":"amd64","os":"linux"}`)
	configured := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	if err := to.Push(t.Context(), configured, bytes.NewReader(config)); err != nil {
		t.Fatal(err)
	}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: configured, Layers: []ocispec.Descriptor{layer}}
	m.SchemaVersion = 2
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	d := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := to.PushReference(t.Context(), d, bytes.NewReader(data), "1.0"); err != nil {
		t.Fatal(err)
	}
	if _, err := notationsign.Sign(t.Context(), to, d, leaf, notationsign.Options{}); err != nil {
		t.Fatal(err)
	}
	return d
}

// zeros is an endless stream of them.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// peakOf runs a program that has to succeed and returns the most memory that it had
// resident, in bytes, as long as it was looked at.
func peakOf(t testing.TB, program string, args ...string) int64 {
	t.Helper()
	ctx, done := context.WithCancel(t.Context())
	defer done()
	command := exec.CommandContext(ctx, program, args...)
	command.Env = []string{"HOME=" + t.TempDir()}
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	var peak int64
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out.String())
			}
			return peak
		case <-time.After(2 * time.Millisecond):
			peak = max(peak, resident(command.Process.Pid))
		}
	}
}

// resident is the high-water mark of a process; 0 when it has ended.
func resident(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
