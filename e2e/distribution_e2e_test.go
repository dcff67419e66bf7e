//go:build e2e

package e2e

import (
	"slices"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// TestSigstoreThroughDistribution carries Sigstore's repository through the
// reference registry, old and new, and on to foreign readers.
func TestSigstoreThroughDistribution(t *testing.T) {
	t.Parallel()
	s := loadSigstore(t)
	for _, program := range []string{"registry", "docker-registry"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			registry := startDistribution(t, tool(t, program))
			s.mirror(t, registry+"/sigstore/trust", "--to-plain-http")
			s.check(t, registry+"/sigstore/trust", s.names(), "--plain-http")
			dir, url := pull(t, registry+"/sigstore/trust:tuf")
			s.checkFiles(t, tuftest.ReadFiles(t, dir))
			root := readFile(t, s.root)
			readByGoTUF(t, root, url, s.now, s.targets, nil)
			readByTUFJS(t, root, url, s.now, s.targets, nil)
		})
	}
}

// TestRequestsToDistribution counts, at a proxy in front of the reference
// registry, what commands ask of it.
func TestRequestsToDistribution(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"registry", "docker-registry"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			front := count(t, startDistribution(t, tool(t, program)))
			publisher := newPublisher(t, front.host)
			publisher.stage(1)
			publisher.must("publish", "-y", "--plain-http")
			front.take()
			expect := func(what string, want ...string) {
				t.Helper()
				if seen, connections := front.take(); !slices.Equal(seen, want) || connections > 1 {
					t.Errorf("%s: %q on %d connections, want %q", what, seen, connections, want)
				}
			}
			const manifest = "GET /v2/acme/trust/manifests/tuf "
			consumer := newPerson(t)
			consumer.trusts(front.host+"/acme/trust", publisher.rootFile())
			expect("cold start", manifest+"200")
			consumer.must("trust", "update", "--plain-http")
			expect("nothing new", manifest+"304")
			if got := consumer.watched(front.host); got != 1 {
				t.Errorf("watched.txt v%d", got)
			}
			expect("an inlined target", manifest+"304")
			publisher.stage(2)
			publisher.must("publish", "-y", "--plain-http")
			front.take()
			if got := consumer.watched(front.host); got != 2 {
				t.Errorf("watched.txt v%d after the second publish", got)
			}
			expect("something new", manifest+"200")
		})
	}
}
