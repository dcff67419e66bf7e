package cli

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/notationsign"
	"github.com/tufoci/tufoci/internal/tuftest"
)

// eventually waits for what takes a refresh or two.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 400 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within 20 seconds", what)
}

// watched is a trust repository that an agent follows.
type watched struct {
	t        *testing.T
	registry *tuftest.Registry
	repo     *tuftest.Repo
	dir      string
	env      map[string]string
	mu       sync.Mutex
	ahead    time.Duration // of the agent's clock
}

func newWatched(t *testing.T) *watched {
	dir := t.TempDir()
	w := &watched{t: t, registry: tuftest.NewRegistry(t, tuftest.RegistryOptions{}), dir: dir, env: map[string]string{"HOME": dir}}
	w.repo = tuftest.NewRepo(t, tuftest.RepoOptions{Now: time.Now().UTC().Truncate(time.Second), Life: time.Hour})
	w.repo.AddTarget("notation/trustpolicy.json", []byte(`{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["shop.example/api"],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`))
	w.authority("ca-1")
	w.publish()
	root := filepath.Join(dir, "root.json")
	if err := os.WriteFile(root, w.repo.RootBytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var out tuftest.Console
	if code := w.run(t.Context(), &out, &out, "trust", "add", "acme", w.registry.Host()+"/acme/trust", "--plain-http", "--root", root, "--scope", "shop.example/**"); code != 0 {
		t.Fatal(out.String())
	}
	return w
}

func (w *watched) authority(name string) {
	w.t.Helper()
	ca, err := notationsign.NewRoot(notationsign.CertificateOptions{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	w.repo.AddTarget("notation/x509/ca/acme/ca.pem", ca.PEM())
}

func (w *watched) publish() {
	w.repo.Publish()
	w.registry.Push("acme/trust", "tuf", tuftest.Pack(w.t, w.repo.Files(), tuftest.PackOptions{}))
}

func (w *watched) setAhead(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead = d
}

func (w *watched) run(ctx context.Context, stdout, stderr io.Writer, args ...string) int {
	return Run(ctx, args, World{
		Stdout: stdout, Stderr: stderr,
		LookupEnv: func(name string) (string, bool) { v, ok := w.env[name]; return v, ok },
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return time.Now().Add(w.ahead)
		},
	})
}

func (w *watched) policy() string {
	data, _ := os.ReadFile(filepath.Join(w.dir, "N", "trustpolicy.json"))
	return string(data)
}

// get returns status and body of a page of the agent.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// running is an agent that runs.
type running struct {
	*watched
	url            string
	interrupt      func()
	ended          chan int
	stdout, stderr tuftest.Console
}

// watch starts an agent, which says where it listens.
func (w *watched) watch(flags ...string) *running {
	w.t.Helper()
	ctx, interrupt := context.WithCancel(w.t.Context())
	r := &running{watched: w, interrupt: interrupt, ended: make(chan int, 1)}
	line := append([]string{
		"trust", "sync", "acme", "--to", "notation", "--dir", filepath.Join(w.dir, "N"), "--plain-http",
		"--watch", "--interval", "1s", "--listen", "127.0.0.1:0",
	}, flags...)
	go func() { r.ended <- w.run(ctx, &r.stdout, &r.stderr, line...) }()
	w.t.Cleanup(func() { r.stop() })
	eventually(w.t, "the agent listens", func() bool {
		m := regexp.MustCompile(`listening on (\S+)`).FindStringSubmatch(r.stderr.String())
		if m != nil {
			r.url = "http://" + m[1]
		}
		return m != nil
	})
	return r
}

// stop ends the agent as a signal does, and returns its exit code.
func (r *running) stop() int {
	r.interrupt()
	select {
	case code := <-r.ended:
		r.ended <- code // for whoever stops it again
		return code
	case <-time.After(10 * time.Second):
		r.t.Errorf("the agent does not end\n%s", r.stderr.String())
		return -1
	}
}

func (r *running) status(want int) func() bool {
	return func() bool { code, _ := get(r.t, r.url+"/healthz"); return code == want }
}

func (r *running) metric(name, value string) func() bool {
	return func() bool {
		_, body := get(r.t, r.url+"/metrics")
		return regexp.MustCompile(`(?m)^` + name + `\{trust="acme"\} ` + value + `$`).MatchString(body)
	}
}

// anyTime is a time of our days in a metric.
const anyTime = `[0-9]\.[0-9]{5,9}e\+09`

func (w *watched) closed() bool { return strings.Contains(w.policy(), `"tufoci/acme/closed"`) }

// An agent follows a rotation, closes when nothing vouches for the trust any more,
// opens again, says all that to whoever asks, and ends by a signal.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	r := w.watch("--fail-closed")
	eventually(t, "healthy", r.status(200))
	first := w.policy()
	if !strings.Contains(first, `"tufoci/acme/all"`) {
		t.Errorf("policy %s", first)
	}

	w.authority("ca-2")
	w.publish()
	eventually(t, "the new authority", func() bool { return w.policy() != first })
	second := w.policy()

	// The registry is gone; as long as the view is fresh nothing changes.
	w.registry.KillAt(1, tuftest.Before)
	eventually(t, "a failure is counted", r.metric("tufoci_sync_failures_total", "[1-9][0-9]*"))
	if code, _ := get(t, r.url+"/healthz"); code != 200 || w.policy() != second {
		t.Errorf("healthz %d while the view is fresh", code)
	}
	w.setAhead(2 * time.Hour)
	eventually(t, "unhealthy", r.status(503))
	eventually(t, "closed", w.closed)
	eventually(t, "closed is said", r.metric("tufoci_sync_closed", "1"))

	w.setAhead(0)
	w.registry.Revive()
	eventually(t, "open again", func() bool { return w.policy() == second })
	eventually(t, "healthy again", r.status(200))
	for name, value := range map[string]string{
		"tufoci_sync_closed": "0", "tufoci_sync_healthy": "1", "tufoci_sync_syncs_total": "[1-9][0-9]*", "tufoci_sync_drift_total": "0",
		"tufoci_sync_last_success_timestamp_seconds": anyTime, "tufoci_trust_timestamp_version": "3", "tufoci_trust_timestamp_expires_timestamp_seconds": anyTime,
	} {
		if !r.metric(name, value)() {
			_, body := get(t, r.url+"/metrics")
			t.Errorf("%s is not %s in\n%s", name, value, body)
		}
	}
	if code, _ := get(t, r.url+"/other"); code != 404 {
		t.Errorf("another page: %d", code)
	}
	if code := r.stop(); code != exitInterrupted {
		t.Errorf("exit %d\n%s", code, r.stderr.String())
	}
	if _, body := get(t, r.url+"/healthz"); !strings.Contains(body, "refused") {
		t.Errorf("the agent listens still: %s", body)
	}
}

// --timeout is for one sync, not for the agent.
func TestWatchOutlivesTimeout(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	w := newWatched(t)
	r := w.watch("--timeout", timeout.String())
	start := time.Now()
	eventually(t, "the agent answers after the timeout", func() bool {
		code, _ := get(t, r.url+"/healthz")
		return time.Since(start) > 2*timeout && code != 0
	})
	select {
	case code := <-r.ended:
		t.Errorf("exit %d\n%s", code, r.stderr.String())
		r.ended <- code
	default:
	}
}

// While a refresh hangs, time goes on: what expires is closed all the same.
func TestWatchClosesWhileARefreshHangs(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	r := w.watch("--fail-closed")
	eventually(t, "healthy", r.status(200))
	held := make(chan struct{}, 1)
	w.registry.Intercept(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		select {
		case held <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	})
	<-held
	w.setAhead(2 * time.Hour)
	eventually(t, "closed", w.closed)
	eventually(t, "unhealthy", r.status(503))
}

// Without --fail-closed an agent says that the view has expired, and leaves it.
func TestWatchWithoutFailClosed(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	r := w.watch("--interval", "1h") // nothing looks at the view but who asks
	eventually(t, "healthy", r.status(200))
	before := w.policy()
	w.setAhead(2 * time.Hour)
	eventually(t, "unhealthy", r.status(503))
	if w.policy() != before {
		t.Errorf("policy %s", w.policy())
	}
}

// Without --fail-closed what is there stays, however stale.
func TestExpiredTrustStaysWithoutFailClosed(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	var out tuftest.Console
	line := []string{"trust", "sync", "acme", "--to", "notation", "--dir", filepath.Join(w.dir, "N"), "--plain-http"}
	if code := w.run(t.Context(), &out, &out, line...); code != 0 {
		t.Fatal(out.String())
	}
	before := w.policy()
	w.setAhead(2 * time.Hour)
	if code := w.run(t.Context(), &out, &out, line...); code != exitStale || w.policy() != before || !strings.Contains(out.String(), "is left as it was") {
		t.Errorf("exit %d\n%s", code, out.String())
	}
	var closed tuftest.Console
	if code := w.run(t.Context(), &closed, &out, append(line, "--fail-closed", "--dry-run")...); code != exitStale || w.policy() != before || !strings.Contains(closed.String(), "would close") {
		t.Errorf("dry run: exit %d\n%s", code, closed.String())
	}
	if code := w.run(t.Context(), &closed, &out, append(line, "--fail-closed")...); code != exitStale || !strings.Contains(w.policy(), "tufoci/acme/closed") || !strings.Contains(closed.String(), "✗ closed") {
		t.Errorf("exit %d\n%s", code, closed.String())
	}
}

// A registry that keeps its callers waiting does not keep a stale trust open.
func TestSlowRegistryDoesNotKeepFromClosing(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	var out tuftest.Console
	line := []string{"trust", "sync", "acme", "--to", "notation", "--dir", filepath.Join(w.dir, "N"), "--plain-http", "--fail-closed"}
	if code := w.run(t.Context(), &out, &out, line...); code != 0 {
		t.Fatal(out.String())
	}
	before := w.policy()
	w.registry.Intercept(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
	line = append(line, "--timeout", "1s")
	if code := w.run(t.Context(), &out, &out, line...); code != exitRegistry || w.policy() != before {
		t.Errorf("fresh: exit %d\n%s", code, out.String())
	}
	w.setAhead(2 * time.Hour)
	if code := w.run(t.Context(), &out, &out, line...); code != exitRegistry || !strings.Contains(w.policy(), "tufoci/acme/closed") {
		t.Errorf("stale: exit %d\n%s", code, out.String())
	}
}
