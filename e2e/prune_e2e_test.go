//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPruneOfRegistries prunes a history in the reference registry: version 3 removes
// tags, version 2.8 manifests only, and one that deletes nothing says so.
func TestPruneOfRegistries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, program string
		deletes       bool
	}{
		{"3", "registry", true}, {"2.8", "docker-registry", true}, {"3 without delete", "registry", false}, {"2.8 without delete", "docker-registry", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			host := startDistributionAt(t, tool(t, test.program), "127.0.0.1:0", func(c *exec.Cmd) error {
				c.Env = append(c.Env, fmt.Sprintf("REGISTRY_STORAGE_DELETE_ENABLED=%v", test.deletes))
				return c.Start()
			})
			publisher := newPublisher(t, host)
			start := time.Now()
			for n := range 4 {
				publisher.at(start.Add(time.Duration(n) * 6 * 24 * time.Hour))
				publisher.stage(n + 1)
				publisher.must("publish", "-y", "--plain-http")
			}
			publisher.at(start.Add(24 * 24 * time.Hour))
			left := "tuf.v3"
			if test.deletes {
				publisher.must("prune", "--keep", "2", "--plain-http")
			} else {
				left = "tuf.v1"
				got := publisher.fails(1, "prune", "--keep", "2", "--plain-http")
				if !strings.Contains(got.stderr, "cannot be removed") {
					t.Errorf("stderr: %s", got.stderr)
				}
			}
			log := publisher.must("log", "--plain-http")
			if !strings.Contains(log, "\n"+left+" ") || strings.Contains(log, "\ntuf.v1 ") == test.deletes {
				t.Errorf("after prune:\n%s", log)
			}
			consumer := newPerson(t).at(start.Add(20 * 24 * time.Hour))
			consumer.trusts(host+"/acme/trust", publisher.rootFile())
			if got := consumer.watched(host); got != 4 {
				t.Errorf("watched.txt v%d", got)
			}
		})
	}
}
