package trust_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// Many clients on one state directory, while the publisher goes on: nobody fails,
// nobody sees a version twice or going back, and the state ends at the newest.
func TestManyClientsOnOneState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.publish()
	const rounds = 8
	var group sync.WaitGroup
	for range 8 {
		client := w.client() // made here: the helpers of the world are not for several goroutines
		group.Go(func() {
			last := int64(0)
			for range rounds {
				view, err := client.Refresh(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if v := view.Status().Timestamp.Version; v < last {
					t.Errorf("v%d after v%d", v, last)
				} else {
					last = v
				}
				if _, _, err := view.Get(t.Context(), "team/file"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range rounds {
		if i%3 == 0 {
			w.RotateKey("root")
		}
		w.AddTargetTo("team", fmt.Sprint("team/", i), []byte("x"))
		w.publish()
	}
	group.Wait()
	if got := w.mustRefresh().Status(); got.Timestamp.Version != w.Version("timestamp") || got.Root.Version != w.Version("root") {
		t.Errorf("status %+v", got)
	}
}

// A refresh that another process overtakes while it is on the network adopts what
// that one has stored.
func TestLoserAdoptsTheWinner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.publish()
	slow := w.client()
	done := false
	w.at.before = func() {
		if done {
			return
		}
		done = true
		// The slow one is about to be given v2 by its mirror; before it commits, v4
		// has been stored by another process.
		fast := w.Fork()
		fast.RotateKey("root")
		fast.Publish()
		fast.Publish()
		_, err := w.clientOf(w.RootBytes(), func(o *trust.Options) { o.Source = dirSource(t, fast.Files()) }).Refresh(t.Context())
		if err != nil {
			t.Error(err)
		}
	}
	view, err := slow.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := view.Status(); s.Timestamp.Version != 4 || s.Root.Version != 2 {
		t.Errorf("timestamp v%d, root v%d", s.Timestamp.Version, s.Root.Version)
	}
	loaded, err := w.client().Load(t.Context())
	if err != nil || loaded.Status().Timestamp.Version != 4 {
		t.Errorf("%v", err)
	}
}

// The same across a root that replaces the key of the timestamp: what the slow one was
// given is signed by a key that no longer counts, and that is no attack.
func TestLoserAcrossARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.publish()
	slow := w.client()
	asked := 0
	w.at.before = func() {
		w.out() // what the slow one is about to be given
		if asked++; asked > 2 {
			return
		}
		w.RotateKey("timestamp")
		w.Publish()
		fast := w.clientOf(w.RootBytes(), func(o *trust.Options) { o.Source = dirSource(t, w.Files()) })
		if _, err := fast.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
	view, err := slow.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := view.Status(); s.Timestamp.Version != 4 || s.Root.Version != 3 {
		t.Errorf("timestamp v%d, root v%d", s.Timestamp.Version, s.Root.Version)
	}
	// What is signed by that key is refused where nobody was faster.
	w.at.before = nil
	old := w.Files()
	w.RotateKey("timestamp")
	w.publish()
	w.mustRefresh()
	w.put(old)
	_, err = w.refresh()
	refused(t, err, trust.ErrThreshold)
}

const processEnv = "TRUST_TEST_PROCESS"

// TestProcess is one of the processes of TestManyProcesses.
func TestProcess(t *testing.T) {
	source := os.Getenv(processEnv)
	if source == "" {
		t.Skip("runs as a child of TestManyProcesses")
	}
	root, err := os.ReadFile(os.Getenv(processEnv + "_ROOT"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := trust.ParseSource(source)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for range 5 {
		client, err := trust.New(root, trust.Options{
			Source: src, StateDir: os.Getenv(processEnv + "_STATE"), Client: plainClient(t),
			Now: func() time.Time { return tuftest.Epoch.Add(time.Hour) },
		})
		if err != nil {
			t.Fatal(err)
		}
		view, err := client.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v := view.Status().Timestamp.Version; v < last {
			t.Fatalf("v%d after v%d", v, last)
		} else {
			last = v
		}
	}
}

func TestManyProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	push := func() {
		registry.Push("trust", channel, tuftest.Pack(t, w.Files(), tuftest.PackOptions{}))
	}
	push()
	rootFile := t.TempDir() + "/root.json"
	if err := os.WriteFile(rootFile, w.RootBytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProcess$", "-test.count=1")
		cmd.Env = append(os.Environ(),
			processEnv+"="+registry.Host()+"/trust:tuf", processEnv+"_ROOT="+rootFile, processEnv+"_STATE="+w.state)
		group.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", i, err, out)
			}
		})
	}
	for i := range 6 {
		if i%2 == 0 {
			w.RotateKey("root")
		}
		w.Publish()
		push()
	}
	group.Wait()
	loaded, err := w.client().Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v := loaded.Status().Timestamp.Version; v < 1 {
		t.Errorf("timestamp v%d", v)
	}
}

func TestRefresher(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	now, mu := w.now, sync.Mutex{}
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	type result struct {
		view *trust.View
		err  error
	}
	results := make(chan result, 100)
	o := trust.RefresherOptions{
		Min: time.Millisecond, Max: time.Millisecond,
		OnRefresh: func(v *trust.View, err error) {
			select {
			case results <- result{v, err}:
			default:
			}
		},
	}
	w.at.fail = errors.New("down")
	client := w.client(func(o *trust.Options) { o.Now = clock })
	if _, err := trust.NewRefresher(t.Context(), client, o); err == nil {
		t.Error("a refresher without a first view")
	}
	w.at.fail = nil
	<-results
	r, err := trust.NewRefresher(t.Context(), client, o)
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.View()
	if err != nil {
		t.Fatal(err)
	}
	w.publish()
	for res := range results {
		if res.err != nil {
			t.Fatal(res.err)
		}
		if res.view.Status().Timestamp.Version == 2 {
			break
		}
	}
	if v, err := r.View(); err != nil || v.Status().Timestamp.Version != 2 || first.Status().Timestamp.Version != 1 {
		t.Errorf("%v", err)
	}
	// Nothing is served beyond its expiry, whatever the source does.
	mu.Lock()
	now = now.AddDate(1, 0, 0)
	mu.Unlock()
	if _, err := r.View(); !errors.Is(err, trust.ErrExpired) {
		t.Errorf("error %v", err)
	}
}

// The view of a refresher that cannot refresh grows old: a delegated role that
// expires is refused, and what max-stale still accepts is said to be stale.
func TestRefresherViewGrowsOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.AddTarget("file", []byte("x"))
	w.SetExpiry("team", w.now.Add(time.Hour))
	w.SetExpiry("timestamp", w.now.Add(2*time.Hour))
	w.publish()
	var passed atomic.Int64
	client := w.client(func(o *trust.Options) {
		o.MaxStale, o.Now = 24*time.Hour, func() time.Time { return w.now.Add(time.Duration(passed.Load())) }
	})
	r, err := trust.NewRefresher(t.Context(), client, trust.RefresherOptions{Min: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	at := func(after time.Duration) *trust.View {
		t.Helper()
		passed.Add(int64(after))
		view, err := r.View()
		if err != nil {
			t.Fatal(err)
		}
		return view
	}
	view := at(0)
	if err := lookup(t, view, "team/file"); err != nil {
		t.Fatal(err)
	}
	view = at(90 * time.Minute)
	refused(t, lookup(t, view, "team/file"), trust.ErrExpired)
	if err := lookup(t, view, "file"); err != nil {
		t.Error(err)
	}
	if s := view.Status(); s.Stale || len(s.Warnings) > 0 {
		t.Errorf("stale %v, warnings %q", s.Stale, s.Warnings)
	}
	if s := at(time.Hour).Status(); !s.Stale || len(s.Warnings) != 1 {
		t.Errorf("stale %v, warnings %q", s.Stale, s.Warnings)
	}
}

func TestRefresherSpreadsItsWaits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		jitter, at float64
		want       time.Duration
	}{
		{0, 0, time.Minute},
		{0, 1, time.Minute},
		{0.5, 0, 30 * time.Second},
		{0.5, 0.5, time.Minute},
		{0.5, 1, 90 * time.Second},
		{1, 0, 0},
		{1, 1, 2 * time.Minute},
	} {
		if got := trust.Spread(time.Minute, tt.jitter, tt.at); got != tt.want {
			t.Errorf("jitter %v at %v: %v, want %v", tt.jitter, tt.at, got, tt.want)
		}
	}
}

// A refresh that waits for another one, whose source does not answer, ends with its
// context.
func TestWaitingForARefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	asked, answer := make(chan struct{}), make(chan struct{})
	w.at.before = func() {
		asked <- struct{}{}
		<-answer
	}
	client := w.client()
	results := make(chan error, 2)
	refresh := func(ctx context.Context) {
		_, err := client.Refresh(ctx)
		results <- err
	}
	go refresh(t.Context())
	<-asked
	ctx, end := context.WithCancel(t.Context())
	go refresh(ctx)
	end()
	select {
	case err := <-results:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it still waits")
	}
	close(answer)
	if err := <-results; err != nil {
		t.Error(err)
	}
}
