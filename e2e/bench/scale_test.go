//go:build bench

package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// usage is what one child process cost, and what the server sent to it.
type usage struct {
	CPU  time.Duration
	Peak int64 // bytes of resident memory
	Sent int64
}

// spawn runs a job in a process of its own.
func (s *server) spawn(t *testing.T, j job) usage {
	t.Helper()
	encoded, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.Reset()
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), jobVariable+"="+string(encoded))
	var printed bytes.Buffer
	child.Stdout, child.Stderr = &printed, &printed
	if err := child.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", j.Client, err, printed.String())
	}
	var cost usage
	if err := json.Unmarshal(printed.Bytes(), &cost); err != nil {
		t.Fatalf("%s: %v in %s", j.Client, err, printed.String())
	}
	_, cost.Sent = s.Traffic()
	return cost
}

// images is a repository with this many image entries: in one role, or in 256
// bins.
func images(t *testing.T, entries int, bins bool) *tuftest.Repo {
	t.Helper()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	if bins {
		repo.DelegateBins("targets", "images", 256)
	} else {
		repo.Delegate("targets", "images", tuftest.ImagePaths(), true)
	}
	custom := map[string]any{"tufoci": map[string]any{"mediaType": "application/vnd.oci.image.index.v1+json"}}
	for i := range entries {
		sum := sha256.Sum256(fmt.Append(nil, i))
		repo.AddEntry("images", imageName(i), 1234, hex.EncodeToString(sum[:]), custom)
	}
	repo.Publish()
	return repo
}

func imageName(i int) string { return fmt.Sprintf("images/team-%d/service-%d:1.%d", i%50, i%1000, i) }

// TestScale prints CPU time and peak memory of a client process.
func TestScale(t *testing.T) {
	fmt.Printf("\nCPU time and peak memory of a process that refreshes and looks up one image; bytes that the server sent.\n\n")
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "entries\tin\tstate\ttufoci CPU\tgo-tuf\ttufoci memory\tgo-tuf\ttufoci bytes\tgo-tuf\t")
	for _, entries := range []int{10, 1000, 100_000} {
		for _, bins := range []bool{false, true} {
			repo := images(t, entries, bins)
			place := map[bool]string{false: "one role", true: "256 bins"}[bins]
			var costs [2][]usage
			for i, client := range []string{tufoci, goTUF} {
				s := newServer(t, client)
				s.publish(t, repo)
				j := job{Client: client, Host: s.Host(), Root: repo.RootBytes(), Dir: t.TempDir(), Now: repo.Now(), Target: imageName(entries / 2)}
				costs[i] = append(costs[i], s.spawn(t, j), s.spawn(t, j))
			}
			for i, state := range []string{"cold", "warm"} {
				ours, theirs := costs[0][i], costs[1][i]
				fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t\n", entries, place, state,
					milliseconds(ours.CPU), milliseconds(theirs.CPU), megabytes(ours.Peak), megabytes(theirs.Peak), ours.Sent, theirs.Sent)
			}
		}
	}
	table.Flush()
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
