//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

const (
	roots   = 15 // as many as Sigstore's repository has
	repeats = 3
)

// cost is what one job cost at the server and on the clock.
type cost struct {
	requests int
	sent     int64
	wall     time.Duration
}

// server is what a client reads: a registry, or the same server that answers
// as a web server with a classic repository instead. Latency, connections and
// bytes are counted alike.
type server struct {
	*tuftest.Registry
	client string
}

func newServer(t *testing.T, client string) *server {
	t.Helper()
	return &server{tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true}), client}
}

// publish puts what a repository published last where clients read.
func (s *server) publish(t *testing.T, repo *tuftest.Repo) {
	t.Helper()
	if s.client == tufoci {
		s.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
		return
	}
	classic := tuftest.Serve(repo.Files())
	s.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { classic.ServeHTTP(w, r) })
}

// measure runs a job as a new process would: on new connections.
func (s *server) measure(t *testing.T, j job) cost {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	s.CloseConnections()
	s.Reset()
	start := time.Now()
	if err := j.run(); err != nil {
		t.Fatalf("%s: %v", j.Client, err)
	}
	wall := time.Since(start)
	_, sent := s.Traffic()
	return cost{len(s.Requests()), sent, wall}
}

// scenario is cold, warm and changed for one client at one latency.
func scenario(t *testing.T, client string, latency time.Duration) [3]cost {
	t.Helper()
	var runs [3][]cost
	for range repeats {
		repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
		for len(repo.Roots()) < roots {
			repo.RotateKey("root")
			repo.Publish()
		}
		repo.Delegate("targets", "team", []string{"team/*"}, true)
		repo.AddTargetTo("team", "team/policy.json", bytes.Repeat([]byte("policy "), 200))
		repo.Publish()
		s := newServer(t, client)
		s.publish(t, repo)
		s.SetLatency(latency)
		j := job{
			Client: client, Host: s.Host(), Root: repo.RootBytes(), Dir: t.TempDir(), Now: repo.Now(),
			Target: "team/policy.json", Download: true,
		}
		runs[0] = append(runs[0], s.measure(t, j))
		runs[1] = append(runs[1], s.measure(t, j))
		repo.AddTargetTo("team", "team/policy.json", bytes.Repeat([]byte("changed "), 200))
		repo.Publish()
		s.publish(t, repo)
		runs[2] = append(runs[2], s.measure(t, j))
	}
	var medians [3]cost
	for i, run := range runs {
		slices.SortFunc(run, func(a, b cost) int { return int(a.wall - b.wall) })
		medians[i] = run[repeats/2]
	}
	return medians
}

// TestLatency prints requests, bytes and wall time, side by side.
func TestLatency(t *testing.T) {
	fmt.Printf("\nRefresh and one target of 1.4 kB in a delegated role, %d roots; a new process each time; median of %d.\n"+
		"Latency is added to every request and to every new connection. Bytes are those that the server sent.\n\n", roots, repeats)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "latency\tstate\ttufoci requests\tgo-tuf\ttufoci bytes\tgo-tuf\ttufoci time\tgo-tuf\t")
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
		ours, theirs := scenario(t, tufoci, latency), scenario(t, goTUF, latency)
		for i, state := range []string{"cold", "warm", "changed"} {
			fmt.Fprintf(table, "%v\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t\n", latency, state, ours[i].requests, theirs[i].requests,
				ours[i].sent, theirs[i].sent, milliseconds(ours[i].wall), milliseconds(theirs[i].wall))
		}
	}
	table.Flush()
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
