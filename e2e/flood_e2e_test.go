//go:build e2e && linux

package e2e

import (
	"net/rpc"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

const (
	// floodRoom is how much more memory than an idle process one may take that deals
	// with a source that holds no key, in bytes.
	floodRoom = 64 << 20
	// floodWords are the most that one says on standard error, in bytes.
	floodWords = 16 << 10
	// floodTimeout is what operations are given, floodSlack what they may take more.
	floodTimeout = 3 * time.Second
	floodSlack   = time.Minute
)

// operation is what a consumer does with a source.
type operation struct {
	name string
	// args, with $SOURCE, $ROOT and $OUT, a file or directory that is not there.
	args []string
	// kinds of sources that it reads; none: all.
	kinds []tuftest.Kind
	// stop is when it is asked to end, if it does not by itself.
	stop time.Duration
}

func (o operation) reads(k tuftest.Kind) bool {
	return len(o.kinds) == 0 || slices.Contains(o.kinds, k)
}

// operations are all that reads a source.
func operations() []operation {
	registry := []tuftest.Kind{tuftest.InRegistry}
	return []operation{
		{name: "update", args: []string{"trust", "update", "acme"}},
		{name: "inspect", args: []string{"inspect", "$SOURCE", "--root", "$ROOT"}},
		{name: "get", args: []string{"get", "acme", "team/file", "--output", "$OUT"}},
		{name: "ls", args: []string{"ls", "$SOURCE", "--root", "$ROOT"}},
		// The trust that there is has the source, and would vouch for it.
		{name: "inspect without a pin", args: []string{"inspect", "$SOURCE", "--config", "$OUT/trust.yaml"}},
		{name: "inspect a role without a pin", args: []string{"inspect", "$SOURCE", "targets", "--config", "$OUT/trust.yaml"}},
		{name: "pin by a checksum", args: []string{"trust", "add", "other", "$SOURCE", "--checksum", "$SUM", "--config", "$OUT/trust.yaml"}},
		{name: "log", args: []string{"log", "$SOURCE", "--root", "$ROOT"}, kinds: registry},
		{name: "doctor", args: []string{"doctor", "$SOURCE", "--root", "$ROOT", "--read-only"}, kinds: registry},
		{name: "verify", args: []string{"verify", "$HOST/shop/api:1"}, kinds: registry},
		{name: "copy", args: []string{"mirror", "copy", "$SOURCE", "oci-archive:$OUT", "--root", "$ROOT"}},
		{name: "sync", args: []string{"trust", "sync", "acme", "--to", "notation", "--dir", "$OUT"}},
		{name: "check", args: []string{"check", "$SOURCE", "--root", "$ROOT", "--valid-for", "1h"}, kinds: registry},
		{name: "discover", args: []string{"discover", "$SOURCE"}, kinds: registry},
		{name: "resolve", args: []string{"resolve", "$HOST/shop/api:1"}, kinds: registry},
		{name: "serve", args: []string{"serve", "$SOURCE", "--root", "$ROOT", "--listen", "127.0.0.1:0"}, stop: time.Second},
		{name: "adopt", args: []string{"init", "127.0.0.1:1/acme/trust", "--from", "$SOURCE", "--root", "$ROOT", "--workspace", "$OUT"}},
		{name: "load", args: []string{"mirror", "load", "$PATH", "oci-layout:$OUT", "--root", "$ROOT"}, kinds: []tuftest.Kind{tuftest.InArchive}},
	}
}

// floods is what all tests of floods share.
type floods struct {
	launcher *rpc.Client
	program  string
	most     int64    // bytes of memory
	env      []string // beside the usual one
}

// newFloods returns nil in the launcher. Idle is a process that has started and says
// its version.
func newFloods(t *testing.T) *floods {
	t.Helper()
	f := &floods{launcher: newLauncher(t)}
	if f.launcher == nil {
		return nil
	}
	f.program = build(t)
	idle := f.run(t, t.TempDir(), 0, "version").Peak
	f.most = idle + floodRoom
	t.Logf("idle: %d MiB", idle>>20)
	return f
}

// run runs the program in a home.
func (f *floods) run(t *testing.T, home string, stop time.Duration, args ...string) Landing {
	t.Helper()
	var landing Landing
	err := f.launcher.Call("Launcher.Run", Launch{
		Args: append([]string{f.program}, args...), Dir: home,
		Env:  append([]string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH"), "TUFOCI_PASSPHRASE=x"}, f.env...),
		Stop: stop, Deadline: stop + floodTimeout + floodSlack,
	}, &landing)
	if err != nil {
		t.Fatal(err)
	}
	return landing
}

// victim is a consumer who has read a source when it was honest.
type victim struct {
	*floods
	source, host, path string // of the source, in command lines
	home               string
	root               string // a file
	sum                string // of it
}

// newVictim puts a repository out at a place.
func (f *floods) newVictim(t *testing.T, place *tuftest.Place, repo *tuftest.Repo) *victim {
	t.Helper()
	v := &victim{floods: f, source: place.Source(), path: place.Path(), home: t.TempDir()}
	place.Put(repo.Files(), tuftest.PackOptions{})
	v.root, v.sum = filepath.Join(v.home, "root.json"), tuftest.Digest(repo.RootBytes())
	if err := os.WriteFile(v.root, repo.RootBytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	scope := "registry.acme.io/**"
	if r := place.Registry(); r != nil {
		v.host, scope = r.Host(), r.Host()+"/**"
		r.PutBlob("shop/api", []byte("{}"))
		r.PutManifest("shop/api", "1", []byte(floodedImage))
	}
	v.add(t, scope, "mapping")
	return v
}

// add makes the victim trust the source.
func (v *victim) add(t *testing.T, scope, require string) {
	t.Helper()
	if l := v.run(t, v.home, 0, "trust", "add", "acme", v.source, "--root", v.root, "--scope", scope, "--require", require); l.Code != 0 {
		t.Fatalf("trust add: %d\n%s", l.Code, l.Stderr)
	}
}

// do runs an operation, which starts from what the victim had before.
func (v *victim) do(t *testing.T, o operation, timeout time.Duration) Landing {
	t.Helper()
	home := t.TempDir()
	if err := os.CopyFS(home, os.DirFS(v.home)); err != nil {
		t.Fatal(err)
	}
	replace := strings.NewReplacer("$SOURCE", v.source, "$ROOT", v.root, "$OUT", filepath.Join(home, "out"), "$HOST", v.host, "$PATH", v.path, "$SUM", v.sum)
	var args []string
	for _, arg := range o.args {
		args = append(args, replace.Replace(arg))
	}
	return v.run(t, home, o.stop, append(args, "--timeout", timeout.String())...)
}

// must runs an operation that has to succeed.
func (v *victim) must(t *testing.T, o operation) Landing {
	t.Helper()
	l := v.do(t, o, floodSlack)
	if l.Code != 0 {
		t.Fatalf("%s, from an honest source: exit %d\n%s%s", o.name, l.Code, l.Stdout, l.Stderr)
	}
	return l
}

// suffer runs an operation and holds it to its bounds.
func (v *victim) suffer(t *testing.T, o operation) {
	t.Helper()
	v.hold(t, o, v.do(t, o, floodTimeout))
}

// hold judges one run.
func (v *victim) hold(t *testing.T, o operation, l Landing) {
	t.Helper()
	if testing.Verbose() {
		t.Logf("%s, %s: exit %d, %d MiB, %v, %v of CPU: %s", o.name, v.source, l.Code, l.Peak>>20, l.Took.Round(time.Millisecond), l.CPU.Round(time.Millisecond), firstLine(l.Stderr))
	}
	switch {
	case l.Peak > v.most:
		t.Errorf("%s took %d MiB, at most %d are allowed\n%s", o.name, l.Peak>>20, v.most>>20, l.Stderr)
	case l.Code == -1:
		t.Errorf("%s was killed after %v\n%s", o.name, l.Took, l.Stderr)
	case l.Said > floodWords:
		t.Errorf("%s says %d bytes\n%.2000s", o.name, l.Said, l.Stderr)
	case l.Code == 2 && strings.Contains(string(l.Stderr), "goroutine "):
		t.Errorf("%s panicked\n%s", o.name, l.Stderr)
	}
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line[:min(len(line), 200)]
}

// TestFloods holds every operation of a consumer to its memory and its deadline,
// whatever a source without keys sends.
func TestFloods(t *testing.T) {
	t.Parallel()
	f := newFloods(t)
	if f == nil {
		return
	}
	catalogues := []struct {
		lies []tuftest.Lie
		repo func(t testing.TB) *tuftest.Repo
		// of the operations that can read it, each lie meets so many: all have their
		// turn many times over. 0: all of them.
		operations int
		// one lie of so many is told here: all are, in the tests of packages.
		of int
	}{
		{tuftest.Floods(), newFloodedRepo, 0, 1},
		{tuftest.Bundles(), newFloodedRepo, 1, 3},
		{tuftest.Wires(), newFloodedRepo, 1, 3},
		{keyless(tuftest.States()), tuftest.NewStatesRepo, 1, 20},
	}
	turn := 0
	for _, c := range catalogues {
		for i, lie := range c.lies {
			if i%c.of != 0 {
				continue
			}
			turn++
			kinds := slices.DeleteFunc(slices.Clone(tuftest.Kinds), func(k tuftest.Kind) bool { return !lie.In(k) })
			kind := kinds[turn%len(kinds)]
			if slices.Contains(kinds, tuftest.InRegistry) && turn%2 == 0 {
				kind = tuftest.InRegistry // where most operations read
			}
			able := slices.DeleteFunc(operations(), func(o operation) bool { return !o.reads(kind) })
			chosen := able
			if c.operations > 0 {
				chosen = nil
				for i := range c.operations {
					chosen = append(chosen, able[(turn+i*len(able)/c.operations)%len(able)])
				}
			}
			t.Run(lie.Name, func(t *testing.T) {
				t.Parallel()
				place, repo := tuftest.NewPlace(t, kind), c.repo(t)
				v := f.newVictim(t, place, repo)
				lie.Tell(t, place, repo)
				for _, o := range chosen {
					v.suffer(t, o)
				}
			})
		}
	}
}

// floodedOverTLS are the lies that fill memory, or time, in another way over TLS: in what
// HTTP/2 reads ahead and answers by itself. They take much of this machine as well.
var floodedOverTLS = []string{
	"layers-as-many-as-fit", "files-that-nobody-signed", "roots-that-wait-for-one", "h2-headers-without-end", "h2-headers-that-unpack-to-40-megabytes",
	"h2-body-without-regard-to-windows", "h2-goaway-without-end", "h2-frames-of-no-known-kind-without-end", "h2-pings-to-who-is-not-heard",
}

// TestFloodsOverTLS does what TestFloods does to a registry over TLS, with HTTP/2.
func TestFloodsOverTLS(t *testing.T) {
	t.Parallel()
	f := newFloods(t)
	if f == nil {
		return
	}
	lies := slices.Concat(tuftest.Floods(), tuftest.TLSWires())
	for _, name := range floodedOverTLS {
		i := slices.IndexFunc(lies, func(l tuftest.Lie) bool { return l.Name == name })
		if i < 0 {
			t.Errorf("no lie %q", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place, repo := tuftest.NewTLSPlace(t, tuftest.InRegistry), newFloodedRepo(t)
			secure := *f
			secure.env = []string{"TUFOCI_CA_FILE=" + place.CAFile()}
			v := secure.newVictim(t, place, repo)
			lies[i].Tell(t, place, repo)
			update := operations()[0]
			v.hold(t, update, v.do(t, update, time.Second))
		})
	}
}

// floodedImage is the manifest of an image.
const floodedImage = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,` +
	`"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}`

// newFloodedRepo makes a repository that says of no file how long it is.
func newFloodedRepo(t testing.TB) *tuftest.Repo {
	t.Helper()
	r := tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now(), BareMeta: true})
	r.Delegate("targets", "team", []string{"team/*"}, false)
	r.AddTargetTo("team", "team/file", []byte("team"))
	r.AddTarget("file", []byte("file"))
	ca := good(notationsign.NewRoot(notationsign.CertificateOptions{Name: "ca"}))
	r.AddTarget("notation/x509/ca/acme/ca.pem", ca.PEM())
	r.AddTarget("notation/trustpolicy.json", []byte(`{"version":"1.0","trustPolicies":[{"name":"images","registryScopes":["*"],`+
		`"trustStores":["ca:acme"],"trustedIdentities":["*"],"signatureVerification":{"level":"strict"}}]}`))
	r.AddEntry("targets", "images/shop/api:1", int64(len(floodedImage)), tuftest.Digest([]byte(floodedImage))[len("sha256:"):], nil)
	r.Publish()
	return r
}

// TestFloodedOperations shows that what is held to its bounds under a flood gets to its end
// without one.
func TestFloodedOperations(t *testing.T) {
	t.Parallel()
	f := newFloods(t)
	if f == nil {
		return
	}
	for _, kind := range tuftest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			v := f.newVictim(t, tuftest.NewPlace(t, kind), newFloodedRepo(t))
			for _, o := range operations() {
				if !o.reads(kind) {
					continue
				}
				pinned := !strings.Contains(string(v.must(t, o).Stderr), "nothing vouches")
				if pinned == strings.HasSuffix(o.name, "without a pin") {
					t.Errorf("%s: from a pin: %v", o.name, pinned)
				}
			}
		})
	}
}

// keyless are the lies that take no key.
func keyless(lies []tuftest.Lie) []tuftest.Lie {
	return slices.DeleteFunc(lies, func(l tuftest.Lie) bool { return len(l.Keys) > 0 })
}
