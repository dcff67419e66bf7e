//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// survived ends a loop over deaths: the n-th request never came, so that the
// command must have succeeded.
func survived(t testing.TB, n int, o outcome) {
	t.Helper()
	if o.code != 0 || n < 5 {
		t.Errorf("with %d requests the command exited %d\n%s", n-1, o.code, o.stderr)
	}
	t.Logf("%d requests", n-1)
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
				o := publisher.run("publish", "-y", "--plain-http")
				killed := registry.Killed()
				registry.Revive()
				if !killed {
					survived(t, n, o)
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
				o := publisher.run("publish", "-y", "--plain-http")
				killed := registry.Killed()
				registry.Revive()
				if !killed {
					survived(t, n, o)
					break
				}
				manifest, published := registry.Manifest("acme/trust", "tuf")
				if published {
					consumer.trusts(repository, consumer.file("root.json", firstRoot(t, registry, manifest)))
					if got := consumer.watched(repository); got != 1 {
						t.Errorf("death at request %d: a consumer sees %d", n, got)
					}
				} else if o.code == 0 {
					t.Errorf("death at request %d: publish exited 0, and nothing is there", n)
				}
				publisher.must("publish", "-y", "--plain-http")
				consumer.trusts(repository, publisher.rootFile())
				if got := consumer.watched(repository); got != 1 {
					t.Errorf("death at request %d, the next publish succeeded, and a consumer sees %d", n, got)
				}
			}
		})
	}
}

// firstRoot is the root that a bundle begins with.
func firstRoot(t testing.TB, registry *tuftest.Registry, manifest []byte) []byte {
	t.Helper()
	files, err := unpack(manifest, func(digest string) ([]byte, error) {
		data, _ := registry.Blob("acme/trust", digest)
		return data, nil
	})
	if err != nil || files["metadata/1.root.json"] == nil {
		t.Fatalf("no root in the bundle (error %v)", err)
	}
	return files["metadata/1.root.json"]
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
			copyOver := func() outcome {
				return operator.run("mirror", "copy", from, to, "--root", publisher.rootFile(), "--from-plain-http", "--to-plain-http")
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
				o := copyOver()
				killed := mirror.Killed()
				mirror.Revive()
				if !killed {
					survived(t, n, o)
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
