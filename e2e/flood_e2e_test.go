//go:build e2e && linux

package e2e

import (
	"fmt"
	"net/rpc"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

const (
	// floodRoom is how much more memory than an idle process one may take that deals
	// with a source that holds no key, in bytes.
	floodRoom = 64 << 20
	// floodTimeout is what operations are given, floodSlack what they may take more.
	floodTimeout = 3 * time.Second
	floodSlack   = 20 * time.Second
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
		{name: "get", args: []string{"get", "acme", "good.txt", "--output", "$OUT"}},
		{name: "ls", args: []string{"ls", "$SOURCE", "--root", "$ROOT"}},
		{name: "inspect without a root", args: []string{"inspect", "$SOURCE"}},
		{name: "verify", args: []string{"verify", "$HOST/shop/api:1"}, kinds: registry},
		{name: "copy", args: []string{"mirror", "copy", "$SOURCE", "oci-archive:$OUT", "--root", "$ROOT"}},
		{name: "sync", args: []string{"trust", "sync", "acme", "--to", "notation", "--dir", "$OUT"}},
		{name: "check", args: []string{"check", "$SOURCE", "--root", "$ROOT"}, kinds: registry},
		{name: "discover", args: []string{"discover", "$SOURCE"}, kinds: registry},
		{name: "resolve", args: []string{"resolve", "$HOST/shop/api:1"}, kinds: registry},
		{name: "serve", args: []string{"serve", "$SOURCE", "--root", "$ROOT", "--listen", "127.0.0.1:0"}, stop: time.Second},
		{name: "adopt", args: []string{"init", "127.0.0.1:1/acme/trust", "--from", "$SOURCE", "--root", "$ROOT", "--workspace", "$OUT"}},
		{name: "load", args: []string{"mirror", "load", "$PATH", "oci-archive:$OUT", "--root", "$ROOT"}, kinds: []tuftest.Kind{tuftest.InArchive}},
	}
}

// floods is what all tests of floods share.
type floods struct {
	launcher *rpc.Client
	program  string
	most     int64 // bytes of memory
}

// run runs the program in a home.
func (f *floods) run(t *testing.T, home string, stop time.Duration, args ...string) Landing {
	t.Helper()
	var landing Landing
	err := f.launcher.Call("Launcher.Run", Launch{
		Args: append([]string{f.program}, args...), Dir: home,
		Env:  []string{"HOME=" + home, "TMPDIR=" + home, "PATH=" + os.Getenv("PATH"), "TUFOCI_PASSPHRASE=x"},
		Stop: stop, Deadline: stop + floodTimeout + floodSlack,
	}, &landing)
	if err != nil {
		t.Fatal(err)
	}
	return landing
}

// victim is a place, and a consumer who has read it when it was honest.
type victim struct {
	*floods
	place *tuftest.Place
	repo  *tuftest.Repo
	home  string
	root  string
}

func (f *floods) newVictim(t *testing.T, kind tuftest.Kind) *victim {
	t.Helper()
	v := &victim{floods: f, place: tuftest.NewPlace(t, kind), home: t.TempDir()}
	v.repo = tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now(), BareMeta: true})
	v.repo.AddTarget("good.txt", []byte("good"))
	v.repo.AddTarget("notation/trustpolicy.json", []byte(`{"version":"1.0","trustPolicies":[]}`))
	v.repo.AddEntry("targets", "images/shop/api:1", 2, strings.Repeat("a", 64), nil)
	v.repo.Publish()
	v.place.Put(v.repo.Files(), tuftest.PackOptions{})
	v.root = filepath.Join(v.home, "root.json")
	if err := os.WriteFile(v.root, v.repo.RootBytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	scope := "registry.acme.io/**"
	if kind == tuftest.InRegistry {
		scope = v.place.Registry().Host() + "/**"
	}
	if l := f.run(t, v.home, 0, "trust", "add", "acme", v.place.Source(), "--root", v.root, "--scope", scope, "--require", "mapping"); l.Code != 0 {
		t.Fatalf("trust add: %d\n%s", l.Code, l.Stderr)
	}
	return v
}

// suffer runs an operation and holds it to its bounds.
func (v *victim) suffer(t *testing.T, o operation) {
	t.Helper()
	// Each starts from what the consumer had before.
	home := t.TempDir()
	if err := os.CopyFS(home, os.DirFS(v.home)); err != nil {
		t.Fatal(err)
	}
	host := ""
	if v.place.Registry() != nil {
		host = v.place.Registry().Host()
	}
	replace := strings.NewReplacer("$SOURCE", v.place.Source(), "$ROOT", v.root, "$OUT", filepath.Join(home, "out"), "$HOST", host, "$PATH", v.place.Path())
	var args []string
	for _, arg := range o.args {
		args = append(args, replace.Replace(arg))
	}
	v.hold(t, o, v.run(t, home, o.stop, append(args, "--timeout", floodTimeout.String())...))
}

// hold judges one run.
func (f *floods) hold(t *testing.T, o operation, l Landing) {
	t.Helper()
	if testing.Verbose() {
		t.Logf("%s: exit %d, %d MiB, %v: %s", o.name, l.Code, l.Peak>>20, l.Took.Round(time.Millisecond), firstLine(l.Stderr))
	}
	switch {
	case l.Peak > f.most:
		t.Errorf("%s took %d MiB, at most %d are allowed\n%s", o.name, l.Peak>>20, f.most>>20, l.Stderr)
	case l.Code == -1:
		t.Errorf("%s was killed after %v\n%s", o.name, l.Took, l.Stderr)
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
	f := &floods{launcher: newLauncher(t)}
	if f.launcher == nil {
		return
	}
	f.program = build(t)
	idle := f.run(t, t.TempDir(), 0, "version").Peak
	f.most = idle + floodRoom
	t.Logf("idle: %d MiB", idle>>20)
	for _, lie := range slices.Concat(tuftest.Floods(), tuftest.Bundles(), tuftest.Wires(), keyless(tuftest.States())) {
		for _, kind := range tuftest.Kinds {
			if !lie.In(kind) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", lie.Name, kind), func(t *testing.T) {
				t.Parallel()
				v := f.newVictim(t, kind)
				lie.Tell(t, v.place, v.repo)
				for _, o := range operations() {
					if o.reads(kind) {
						v.suffer(t, o)
					}
				}
			})
		}
	}
}

// keyless are the lies that take no key.
func keyless(lies []tuftest.Lie) []tuftest.Lie {
	return slices.DeleteFunc(lies, func(l tuftest.Lie) bool { return len(l.Keys) > 0 })
}
