package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
)

// keeping is a repository of profile standard that a daemon refreshes: one key signs
// snapshot and timestamp, others the rest.
type keeping struct {
	t         *testing.T
	registry  *tuftest.Registry
	reference string
	dir       string
	env       map[string]string

	mu    sync.Mutex
	ahead time.Duration // of the clock
}

func newKeeping(t *testing.T) *keeping {
	t.Helper()
	dir := t.TempDir()
	k := &keeping{t: t, registry: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), dir: dir, env: map[string]string{"HOME": dir}}
	for _, variable := range []string{"ONLINE", "PEOPLE"} {
		private, _, err := newPEM()
		if err != nil {
			t.Fatal(err)
		}
		k.env[variable] = string(private)
	}
	if err := os.WriteFile(k.onlineKey(), []byte(k.env["ONLINE"]), 0o600); err != nil {
		t.Fatal(err)
	}
	k.reference = k.registry.Host() + "/acme/trust"
	k.must("init", k.reference, "--profile", "standard", "--threshold", "root=1", "--no-spare-key",
		"--key", "root=env:PEOPLE", "--key", "targets=env:PEOPLE", "--key", "snapshot=env:ONLINE", "--key", "timestamp=env:ONLINE")
	k.must("sign", "-y")
	k.must("publish", "-y", "--plain-http")
	return k
}

func (k *keeping) workspace() string { return filepath.Join(k.dir, "workspace") }

func (k *keeping) onlineKey() string { return filepath.Join(k.dir, "online.pem") }

func (k *keeping) setAhead(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ahead = d
}

func (k *keeping) run(ctx context.Context, stdout, stderr io.Writer, args ...string) int {
	return Run(ctx, append([]string{"-C", k.workspace()}, args...), World{
		Stdout: stdout, Stderr: stderr,
		LookupEnv: func(name string) (string, bool) { v, ok := k.env[name]; return v, ok },
		Now: func() time.Time {
			k.mu.Lock()
			defer k.mu.Unlock()
			return time.Now().Add(k.ahead)
		},
	})
}

func (k *keeping) must(args ...string) {
	k.t.Helper()
	var out tuftest.Console
	if code := k.run(k.t.Context(), &out, &out, args...); code != 0 {
		k.t.Fatalf("%v: exit %d\n%s", args, code, out.String())
	}
}

// everySecond starts a daemon with further flags, which says where it listens. Without
// a workspace it has the root and the online key.
func (k *keeping) everySecond(inWorkspace bool, flags ...string) *running {
	k.t.Helper()
	line := []string{"refresh", "--every", "1s", "--listen", "127.0.0.1:0", "--plain-http"}
	if !inWorkspace {
		line = append(line, k.reference, "--root", filepath.Join(k.workspace(), ".tufoci", "base", "1.root.json"), "--key", k.onlineKey())
	}
	ctx, interrupt := context.WithCancel(k.t.Context())
	r := &running{watched: &watched{t: k.t}, interrupt: interrupt, ended: make(chan int, 1)}
	go func() { r.ended <- k.run(ctx, &r.stdout, &r.stderr, append(line, flags...)...) }()
	k.t.Cleanup(func() { r.stop() })
	eventually(k.t, "the daemon listens", func() bool {
		m := regexp.MustCompile(`listening on (\S+)`).FindStringSubmatch(r.stderr.String())
		if m != nil {
			r.url = "http://" + m[1]
		}
		return m != nil
	})
	return r
}

// says reports whether the metrics have a sample of this name and value. label is
// name="value", or "".
func (r *running) says(name, label, value string) func() bool {
	line := regexp.MustCompile(`(?m)^` + name + `\{([^}]*)\} ` + value + `$`)
	return func() bool {
		_, body := get(r.t, r.url+"/metrics")
		for _, m := range line.FindAllStringSubmatch(body, -1) {
			if strings.Contains(m[1], label) {
				return true
			}
		}
		return false
	}
}

// A daemon renews what is due, here and next to images, outlives the registry, says how
// it is, and ends by a signal.
func TestRefreshEvery(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	copied := k.registry.Host() + "/shop/api"
	r := k.everySecond(false, "--beside", copied)
	eventually(t, "healthy", r.status(200))
	if !r.says("tufoci_refresh_copy_version", `copy="`+copied+`"`, "1")() || !r.says("tufoci_refresh_copy_failed", "", "0")() || !r.says("tufoci_refresh_keys", "", "1")() {
		_, body := get(t, r.url+"/metrics")
		t.Errorf("metrics\n%s", body)
	}
	if k.registry.Digest("shop/api", "tuf") == "" {
		t.Error("there is no copy")
	}
	if err := os.Remove(k.onlineKey()); err != nil { // it was opened, once
		t.Fatal(err)
	}
	k.setAhead(2 * day)
	eventually(t, "a new timestamp", r.says("tufoci_refresh_role_version", `role="timestamp"`, "2"))

	// One run that fails says nothing about the state of the repository.
	k.registry.KillAt(1, tuftest.Before)
	eventually(t, "a failure is said", func() bool { return strings.Contains(r.stderr.String(), "failed (1 in a row)") })
	if code, body := get(t, r.url+"/healthz"); code != 200 {
		t.Errorf("after one failure: %d %s", code, body)
	}
	k.setAhead(2*day + time.Hour)
	eventually(t, "unhealthy", r.status(503))
	if _, body := get(t, r.url+"/healthz"); !strings.Contains(body, "the last run that succeeded was 1h") {
		t.Errorf("healthz says %s", body)
	}
	k.registry.Revive()
	eventually(t, "healthy again", r.status(200))

	// Somebody puts an older state back. Without a trust too it is not signed anew.
	first, _ := k.registry.Manifest("acme/trust", "tuf.v1")
	k.registry.PutManifest("acme/trust", "tuf", first)
	older := k.registry.Digest("acme/trust", "tuf")
	said := len(r.stderr.String())
	eventually(t, "a rollback is refused, twice", func() bool {
		return strings.Contains(r.stderr.String()[said:], "failed (2 in a row): older than what was seen before: timestamp v1")
	})
	if k.registry.Digest("acme/trust", "tuf") != older {
		t.Errorf("the older state was signed anew\n%s", r.stderr.String())
	}
	if code := r.stop(); code != exitInterrupted {
		t.Errorf("exit %d\n%s", code, r.stderr.String())
	}
	if out := r.stdout.String(); out != "" {
		t.Errorf("standard output has %s", out)
	}
}

// In a workspace the keys are those of tufoci.yaml; while somebody works there, a run
// fails, and the next one is made.
func TestRefreshEveryInWorkspace(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	ws, err := metadata.Open(k.workspace(), metadata.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := k.everySecond(true)
	eventually(t, "a run finds the workspace locked", func() bool { return strings.Contains(r.stderr.String(), "failed (1 in a row)") })
	if err := ws.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "healthy", r.status(200))
	k.setAhead(2 * day)
	eventually(t, "a new timestamp", r.says("tufoci_refresh_role_version", `role="timestamp"`, "2"))
	if code := r.stop(); code != exitInterrupted {
		t.Errorf("exit %d\n%s", code, r.stderr.String())
	}
}

// Keys that do not sign the timestamp end a daemon at its start, long before that is
// due; so does a wrong command line. What the registry does ends none.
func TestRefreshEveryEndsAtTheStart(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	root := filepath.Join(k.workspace(), ".tufoci", "base", "1.root.json")
	for _, tt := range []struct {
		code int
		line []string
	}{
		{exitKey, []string{k.reference, "--root", root, "--key", "env:PEOPLE"}},
		{exitKey, []string{k.reference, "--root", root, "--key", "env:NOWHERE"}},
		{exitUsage, []string{k.reference, "--root", root}},
		{exitUsage, []string{"--every", "1ms"}},
		{exitUsage, []string{"--force"}},
		{exitNoTrust, []string{k.registry.Host() + "/no/trust", "--key", "env:ONLINE"}},
		{exitOther, []string{k.reference, "--root", "nowhere", "--key", "env:ONLINE"}},
		{exitOther, []string{"--listen", "256.0.0.1:1"}},
	} {
		var out, stderr tuftest.Console
		if code := k.run(t.Context(), &out, &stderr, append([]string{"refresh", "--every", "1h", "--plain-http"}, tt.line...)...); code != tt.code {
			t.Errorf("%v: exit %d, want %d\n%s", tt.line, code, tt.code, stderr.String())
		}
	}
	k.registry.KillAt(1, tuftest.Before)
	r := k.everySecond(false, "--format", "json")
	eventually(t, "a second failure", func() bool { return strings.Contains(r.stderr.String(), "failed (2 in a row)") })
	if code, body := get(t, r.url+"/healthz"); code != 503 || !strings.Contains(body, "no run has succeeded yet") {
		t.Errorf("healthz %d %s", code, body)
	}
	k.registry.Revive()
	eventually(t, "healthy", r.status(200))
	r.stop()
	documents := json.NewDecoder(strings.NewReader(r.stdout.String()))
	var codes []int
	for documents.More() {
		var d struct {
			Error     *errorReport `json:"error"`
			Unchanged bool         `json:"unchanged"`
		}
		if err := documents.Decode(&d); err != nil {
			t.Fatal(err)
		}
		if d.Error == nil != d.Unchanged {
			t.Errorf("document %+v", d)
		}
		codes = append(codes, 0)
		if d.Error != nil {
			codes[len(codes)-1] = d.Error.ExitCode
		}
	}
	if len(codes) < 3 || codes[0] != exitRegistry || !slices.Contains(codes, 0) {
		t.Errorf("documents for runs that ended with %v", codes)
	}
}

// A signal that comes while a run writes lets the run end.
func TestRefreshEveryEndsAfterTheRun(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.setAhead(2 * day)
	before := k.registry.Digest("acme/trust", "tuf")
	parked, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	k.registry.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/tuf") {
			once.Do(func() { close(parked) })
			<-goOn
		}
		next.ServeHTTP(w, r)
	})
	r := k.everySecond(false)
	<-parked
	r.interrupt()
	close(goOn)
	if code := r.stop(); code != exitInterrupted || !strings.Contains(r.stderr.String(), "timestamp v2") {
		t.Errorf("exit %d\n%s", code, r.stderr.String())
	}
	if k.registry.Digest("acme/trust", "tuf") == before {
		t.Error("the run was not let end")
	}
}

// Two daemons renew at the same time: each waits, before it claims, for the other to have
// come as far. One timestamp wins, and neither has an error.
func TestRefreshEveryTwice(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	k.setAhead(2 * day)
	var mu sync.Mutex
	here, both := 0, make(chan struct{})
	k.registry.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			mu.Lock()
			if here++; here == 2 {
				close(both)
			}
			mu.Unlock()
			<-both
		}
		next.ServeHTTP(w, r)
	})
	a, b := k.everySecond(false), k.everySecond(false)
	for _, r := range []*running{a, b} {
		eventually(t, "healthy", r.status(200))
		eventually(t, "the next run", r.says("tufoci_refresh_runs_total", "", "[2-9]"))
		r.stop()
		if strings.Contains(r.stderr.String(), "failed") {
			t.Errorf("a daemon had an error\n%s", r.stderr.String())
		}
	}
	if tags := k.registry.Tags("acme/trust"); slices.Contains(tags, "tuf.v4") {
		t.Errorf("tags %v", tags)
	}
}
