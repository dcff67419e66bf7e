//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// seed is that of a run: TUFOCI_SEED, or one of the clock.
func seed(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("TUFOCI_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TUFOCI_SEED=%d", seed)
	return seed
}

// crowd is a repository that moves on, and a home that many processes share.
type crowd struct {
	t        *testing.T
	registry *tuftest.Registry
	repo     *tuftest.Repo
	home     string
	tufoci   string
	bundles  map[int]*tuftest.Bundle // by the version of the timestamp

	mu   sync.Mutex
	root map[int]int // versions of timestamps that were put out: that of the root
	// seen is the newest version that an answer has had, newest the one put out.
	seen, newest int
}

const crowdImage = "shop/api:1"

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	return newCrowdAt(t, t.TempDir())
}

func newCrowdAt(t *testing.T, home string) *crowd {
	t.Helper()
	c := &crowd{
		t: t, registry: tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true}),
		repo: tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now().UTC().Truncate(time.Second)}),
		home: home, tufoci: binary(t), root: map[int]int{}, bundles: map[int]*tuftest.Bundle{},
	}
	config := c.registry.PutBlob("shop/api", []byte("{}"))
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},"layers":[]}`, config)
	c.registry.PutManifest("shop/api", "1", manifest)
	custom := map[string]any{"tufoci": map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json"}}
	c.repo.AddEntry("targets", "images/"+crowdImage, int64(len(manifest)), strings.TrimPrefix(tuftest.Digest(manifest), "sha256:"), custom)
	c.publish()
	if err := os.WriteFile(c.file("root.json"), c.repo.RootBytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(c.adds("acme")...)
	return c
}

func (c *crowd) file(name string) string { return filepath.Join(c.home, name) }

// adds is the command that pins the repository under a name.
func (c *crowd) adds(name string) []string {
	args := []string{"trust", "add", name, c.registry.Host() + "/acme/trust", "--root", c.file("root.json"), "--plain-http"}
	if name == "acme" {
		args = append(args, "--scope", c.registry.Host()+"/shop/**", "--require", "mapping")
	}
	return args
}

// publish puts out the next version; its number is in watched.txt.
func (c *crowd) publish() {
	c.t.Helper()
	next := int(c.repo.Version("timestamp")) + 1
	if next%3 == 0 {
		c.repo.RotateKey("root")
	}
	if next%4 == 0 {
		c.repo.RotateKey("timestamp")
	}
	c.repo.AddTarget("watched.txt", []byte(strconv.Itoa(next)))
	c.repo.Publish()
	c.bundles[next] = tuftest.Pack(c.t, c.repo.Files(), tuftest.PackOptions{})
	c.mu.Lock()
	c.root[next], c.newest = int(c.repo.Version("root")), next
	c.mu.Unlock()
	c.put(next)
}

// put points the tag at a version.
func (c *crowd) put(version int) { c.registry.Push("acme/trust", "tuf", c.bundles[version]) }

// command is a process of its own.
func (c *crowd) command(args ...string) *exec.Cmd {
	command := exec.CommandContext(c.t.Context(), c.tufoci, args...)
	command.Dir = c.home
	command.Env = []string{"HOME=" + c.home, "TMPDIR=" + c.t.TempDir(), "PATH=" + os.Getenv("PATH")}
	return command
}

func (c *crowd) must(args ...string) string {
	c.t.Helper()
	code, stdout, stderr := c.run(args...)
	if code != 0 {
		c.t.Errorf("tufoci %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

func (c *crowd) run(args ...string) (code int, stdout, stderr string) {
	command := c.command(args...)
	var out, diagnostics bytes.Buffer
	command.Stdout, command.Stderr = &out, &diagnostics
	err := command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return -1, "", err.Error()
	} else if ok {
		code = exit.ExitCode()
	}
	return code, out.String(), diagnostics.String()
}

// reads are the commands that answer from the shared state. Each writes a JSON
// document, get also a file of that name.
func (c *crowd) reads(file string) [][]string {
	reads := [][]string{
		{"trust", "update", "acme"},
		{"get", "acme", "watched.txt", "-o", file},
		{"verify", c.registry.Host() + "/" + crowdImage},
		{"ls", "acme"},
	}
	for i := range reads {
		reads[i] = append(reads[i], "--format", "json", "--plain-http")
	}
	return reads
}

// version is that of the timestamp of an answer. Fails the test if that is not of a
// state that was published.
func (c *crowd) version(answer string) int {
	var printed struct {
		Trusts []struct{ Roles []roleOfAnswer }
		Images []struct {
			Verdicts []struct{ Roles []roleOfAnswer }
		}
		Targets []roleOfAnswer // ls
		roleOfAnswer
	}
	if err := json.Unmarshal([]byte(answer), &printed); err != nil {
		c.t.Errorf("%v in %s", err, answer)
		return 0
	}
	var roles []roleOfAnswer
	switch {
	case len(printed.Trusts) == 1:
		roles = printed.Trusts[0].Roles
	case len(printed.Images) == 1 && len(printed.Images[0].Verdicts) == 1:
		roles = printed.Images[0].Verdicts[0].Roles
	case len(printed.Targets) > 0:
		roles = []roleOfAnswer{printed.Targets[0]}
	default:
		roles = []roleOfAnswer{printed.roleOfAnswer}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	version := 0
	for _, r := range roles {
		is := r.Version + r.RoleVersion // one of them is 0
		if r.Role != "root" {
			version = max(version, is)
		}
	}
	for _, r := range roles { // all roles but root are published each time
		is, want := r.Version+r.RoleVersion, version
		if r.Role == "root" {
			want = c.root[version]
		}
		if is == 0 || is != want || c.root[version] == 0 {
			c.t.Errorf("%s v%d of state %d was never published: %s", r.Role, is, version, answer)
		}
	}
	return version
}

type roleOfAnswer struct {
	Role                 string
	Version, RoleVersion int
}

// floor is the newest version that anybody has seen so far.
func (c *crowd) floor() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// saw notes a version.
func (c *crowd) saw(version int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = max(c.seen, version)
}

// answers runs a command to its end. It has to succeed, with a state that is no older
// than what anybody had seen when it started.
func (c *crowd) answers(args []string) {
	c.t.Helper()
	floor := c.floor()
	code, stdout, stderr := c.run(args...)
	if code != 0 {
		c.t.Errorf("tufoci %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
		return
	}
	version := c.version(stdout)
	if version < floor {
		c.t.Errorf("tufoci %s: v%d, and v%d had been seen before", strings.Join(args, " "), version, floor)
	}
	if i := slices.Index(args, "-o"); i > 0 {
		if data, err := os.ReadFile(args[i+1]); err != nil || string(data) != strconv.Itoa(version) {
			c.t.Errorf("%s is %q, want %d, error %v", args[i+1], data, version, err)
		}
	}
	c.saw(version)
}

// leftovers are temporary files in the directories of configuration and state. The
// next process that writes there removes them.
func (c *crowd) leftovers() (left []string) {
	for _, dir := range []string{".config/tufoci", ".local/state/tufoci"} {
		err := filepath.WalkDir(c.file(dir), func(name string, e os.DirEntry, err error) error {
			if err == nil && (strings.HasPrefix(e.Name(), ".tmp-") || strings.HasPrefix(e.Name(), ".refresh-")) {
				left = append(left, name)
			}
			return err
		})
		if err != nil {
			c.t.Error(err)
		}
	}
	return left
}

// TestCrowdOfProcesses has 30 consumers on one home at a time, while roots and the
// keys of timestamps are rotated: nobody fails, nobody goes back.
func TestCrowdOfProcesses(t *testing.T) {
	t.Parallel()
	const consumers, rounds = 30, 6
	c := newCrowd(t)
	var group sync.WaitGroup
	finished := make(chan struct{}, consumers*rounds)
	for i := range consumers {
		reads := c.reads(c.file(fmt.Sprintf("watched.%d", i)))
		group.Go(func() {
			for round := range rounds {
				c.answers(reads[(i+round)%len(reads)])
				finished <- struct{}{}
			}
		})
	}
	for done := range consumers * rounds {
		<-finished
		if done%10 == 0 {
			c.publish()
		}
	}
	group.Wait()
	c.answers(c.reads(c.file("watched"))[0])
	if c.seen != c.newest || c.newest < 15 {
		t.Errorf("the state is v%d in the end, v%d was published", c.seen, c.newest)
	}
	if left := c.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestKilledProcesses kills processes that share a home, 1,000 times, at a random
// moment or when a random request of theirs arrives. Whatever the moment: the state
// can be read at once, has not gone back, and the next command succeeds.
func TestKilledProcesses(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(seed(t), 6))
	c := newCrowd(t)
	var usual time.Duration // of a command
	for _, args := range c.reads(c.file("watched")) {
		start := time.Now()
		c.answers(args)
		usual = max(usual, time.Since(start))
	}
	client, err := trust.New(c.repo.RootBytes(), trust.Options{StateDir: c.file(".local/state/tufoci")})
	if err != nil {
		t.Fatal(err)
	}
	const deaths = 1000
	killed, ended, without := 0, 0, 0
	for killed < deaths && ended < 10*deaths && !t.Failed() {
		reads := c.reads(c.file("watched"))
		args := reads[random.IntN(len(reads))]
		switch random.IntN(8) {
		case 0:
			args = c.adds("acme")
		case 1:
			args = c.adds(fmt.Sprintf("other-%d", random.IntN(3)))
		}
		if random.IntN(8) == 0 {
			c.publish()
		}
		died := c.dies(args, random, usual)
		if died {
			killed++
			usual += usual / 50
		} else { // few should: the machine has less to do than before
			ended++
			usual -= usual / 10
		}
		// What is there can be read, and is no older than what was answered.
		switch view, err := client.Load(t.Context()); {
		case errors.Is(err, trust.ErrNoState):
			// Between a root that replaces the key of the timestamp and the first
			// timestamp of the new one.
			without++
			c.answers(reads[0])
		case err != nil:
			t.Fatalf("killed %d times, then: %v", killed, err)
		default:
			version := int(view.Status().Timestamp.Version)
			if version < c.seen || c.root[version] == 0 {
				t.Errorf("killed %d times: v%d after v%d", killed, version, c.seen)
			}
			c.saw(version)
		}
		c.whole(killed)
		if died && killed%100 == 0 {
			t.Logf("killed %d times, %d came to their end", killed, ended)
		}
		switch {
		case !died:
		case killed%20 == 0:
			c.answers(reads[killed/20%len(reads)])
		case killed%150 == 1 && c.bundles[c.seen-1] != nil:
			c.put(c.seen - 1)
			if code, _, stderr := c.run(reads[0]...); code != 21 && code != 22 { // 22: by a key that is replaced
				t.Errorf("killed %d times: an older state exits %d\n%s", killed, code, stderr)
			}
			c.put(c.newest)
		}
	}
	if killed < deaths && !t.Failed() {
		t.Errorf("only %d were killed, %d came to their end", killed, ended)
	}
	for _, args := range c.reads(c.file("watched")) {
		c.answers(args)
	}
	c.publish()
	c.answers(c.reads("")[0])
	c.must(c.adds("acme")...)
	if left := c.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	t.Logf("%d were killed (%d of them between two timestamp keys), %d came to their end; v%d", killed, without, ended, c.newest)
}

// dies runs a command that is killed, and reports whether it was before its end.
func (c *crowd) dies(args []string, random *rand.Rand, usual time.Duration) bool {
	command := c.command(args...)
	kill := func() { _ = command.Process.Kill() }
	if at := int64(random.IntN(4)); at > 0 {
		var requests atomic.Int64
		c.registry.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if requests.Add(1) == at {
				kill()
			}
			next.ServeHTTP(w, r)
		})
		defer c.registry.Intercept(nil)
	}
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	timer := time.AfterFunc(time.Duration(random.Int64N(int64(usual))), kill)
	defer timer.Stop()
	err := command.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if ok && exit.ExitCode() == -1 {
		return true
	}
	if err != nil {
		c.t.Errorf("tufoci %s: %v", strings.Join(args, " "), err)
	}
	return false
}

// whole fails the test if a file is half of what it should be.
func (c *crowd) whole(killed int) {
	config, err := trust.OpenConfig(c.file(".config/tufoci"))
	if err != nil {
		c.t.Fatalf("killed %d times, then: %v", killed, err)
	}
	for _, entry := range config.List() {
		if _, err := config.RootBytes(entry); err != nil {
			c.t.Errorf("killed %d times: the root of %s: %v", killed, entry.Name, err)
		}
	}
	data, err := os.ReadFile(c.file("watched"))
	if version, invalid := strconv.Atoi(string(data)); err != nil || invalid != nil || c.root[version] == 0 {
		c.t.Errorf("killed %d times: what get wrote is %q, error %v", killed, data, err)
	}
}
