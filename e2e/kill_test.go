package e2e

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// deadline is how long a command may try against a registry that has died.
const deadline = "2s"

// newPublisher is a person with a dev workspace for acme/trust on a registry.
func newPublisher(t testing.TB, host string) *person {
	t.Helper()
	p := newPerson(t)
	p.must("init", host+"/acme/trust", "--profile", "dev", "-y")
	return p
}

// rootFile is the first root in a publisher's workspace: the usual pin.
func (p *person) rootFile() string {
	return filepath.Join(p.env["TUFOCI_WORKSPACE"], ".tufoci", "base", "1.root.json")
}

// stage puts a new version of the file that the kill tests watch into the
// next publish.
func (p *person) stage(version int) {
	p.t.Helper()
	p.must("target", "add", "watched.txt", p.file("watched.txt", []byte(strconv.Itoa(version))))
}

// watched is the version of that file that a consumer gets.
func (p *person) watched(host string) int {
	p.t.Helper()
	out := p.must("get", "acme", "watched.txt", "--plain-http")
	version, err := strconv.Atoi(out)
	if err != nil {
		p.t.Fatalf("watched.txt from %s: %v", host, err)
	}
	return version
}

// trusts pins a root for a repository.
func (p *person) trusts(repository, root string) {
	p.t.Helper()
	p.must("trust", "add", "acme", repository, "--root", root, "--plain-http")
}

// TestKilledPublish lets the registry die at every request of a publish, in
// every way. Consumers see the old state or the new one, and the next publish
// succeeds.
func TestKilledPublish(t *testing.T) {
	t.Parallel()
	for _, when := range tuftest.Whens {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
			repository := registry.Host() + "/acme/trust"
			publisher, old := newPublisher(t, registry.Host()), newPerson(t)
			publisher.stage(0)
			publisher.must("publish", "-y", "--plain-http")
			old.trusts(repository, publisher.rootFile())
			for n, version := 1, 0; ; n++ {
				version++
				publisher.stage(version)
				registry.KillAt(n, when)
				o := publisher.run("publish", "-y", "--plain-http", "--timeout", deadline)
				killed := registry.Killed()
				registry.Revive()
				if o.code == 0 && !killed {
					if n < 5 {
						t.Errorf("a publish of %d requests", n-1)
					}
					break
				}
				what := fmt.Sprintf("death at request %d: publish exited %d", n, o.code)
				new := newPerson(t)
				new.trusts(repository, publisher.rootFile())
				for _, consumer := range []*person{old, new} {
					if got := consumer.watched(repository); got != version && (got != version-1 || o.code == 0) {
						t.Errorf("%s, and a consumer sees %d of %d", what, got, version)
					}
				}
				publisher.must("publish", "-y", "--plain-http")
				for _, consumer := range []*person{old, new} {
					if got := consumer.watched(repository); got != version {
						t.Errorf("%s, the next publish succeeded, and a consumer sees %d of %d", what, got, version)
					}
				}
			}
		})
	}
}

// TestKilledFirstPublish does the same where nothing was published before: a
// consumer finds no repository, or all of it.
func TestKilledFirstPublish(t *testing.T) {
	t.Parallel()
	for _, when := range tuftest.Whens {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
				repository := registry.Host() + "/acme/trust"
				publisher, consumer := newPublisher(t, registry.Host()), newPerson(t)
				publisher.stage(1)
				registry.KillAt(n, when)
				o := publisher.run("publish", "-y", "--plain-http", "--timeout", deadline)
				killed := registry.Killed()
				registry.Revive()
				if o.code == 0 && !killed {
					break
				}
				if registry.Digest("acme/trust", "tuf") == "" {
					publisher.must("publish", "-y", "--plain-http")
				}
				consumer.trusts(repository, publisher.rootFile())
				if got := consumer.watched(repository); got != 1 {
					t.Errorf("death at request %d: a consumer sees %d", n, got)
				}
				publisher.must("publish", "-y", "--plain-http")
			}
		})
	}
}

// TestKilledMirror lets the destination of a mirror die at every request.
func TestKilledMirror(t *testing.T) {
	t.Parallel()
	for _, when := range tuftest.Whens {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			source := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
			mirror := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
			publisher, consumer, operator := newPublisher(t, source.Host()), newPerson(t), newPerson(t)
			from, to := source.Host()+"/acme/trust", mirror.Host()+"/acme/trust"
			copyOver := func(flags ...string) outcome {
				args := []string{"mirror", "copy", from, to, "--root", publisher.rootFile(), "--from-plain-http", "--to-plain-http"}
				return operator.run(append(args, flags...)...)
			}
			publisher.stage(0)
			publisher.must("publish", "-y", "--plain-http")
			if o := copyOver(); o.code != 0 {
				t.Fatalf("mirror copy: exit %d\n%s", o.code, o.stderr)
			}
			consumer.trusts(to, publisher.rootFile())
			for n := 1; ; n++ {
				publisher.stage(n)
				publisher.must("publish", "-y", "--plain-http")
				mirror.KillAt(n, when)
				o := copyOver("--timeout", deadline)
				killed := mirror.Killed()
				mirror.Revive()
				if o.code == 0 && !killed {
					break
				}
				if got := consumer.watched(to); got != n && (got != n-1 || o.code == 0) {
					t.Errorf("death at request %d: copy exited %d, and a consumer sees %d of %d", n, o.code, got, n)
				}
				if o := copyOver(); o.code != 0 {
					t.Fatalf("death at request %d: the next copy exits %d\n%s", n, o.code, o.stderr)
				}
				if got := consumer.watched(to); got != n {
					t.Errorf("death at request %d: after the next copy a consumer sees %d", n, got)
				}
			}
		})
	}
}
