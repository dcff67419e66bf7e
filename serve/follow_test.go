package serve_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/serve"
	"github.com/tufoci/tufoci/trust"
)

// A client in the middle of a refresh finds what it began with, for a while; a new
// client finds what is new.
func TestReplacedWhileAClientReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler()
	first := w.Files()
	replace := func() {
		w.AddTarget("dir/hello.txt", []byte("hello again"))
		w.AddTargetTo("a/team", "team/more", []byte("more"))
		w.Touch("a/team")
		w.RotateKey("root")
		w.publish()
		w.wait("the new state", changed)
	}
	replace()
	for title, data := range w.Files() {
		wantBody(t, h, place(title), data)
	}
	for title, data := range first {
		if title != "metadata/timestamp.json" {
			wantBody(t, h, place(title), data)
		}
	}
	w.advance(20 * time.Minute) // less than the life of the timestamp
	replace()
	second := w.Files()
	w.advance(20 * time.Minute)
	for title := range first {
		if strings.Contains(title, "snapshot") {
			wantStatus(t, h, place(title), 404)
		}
	}
	for title, data := range second {
		wantBody(t, h, place(title), data)
	}
}

// Only so many states are kept, however fast they follow each other.
func TestStatesThatAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler()
	var snapshots []string
	for range 9 {
		snapshots = append(snapshots, place(w.Title("snapshot")))
		w.publish()
		w.wait("the new state", changed)
	}
	wantStatus(t, h, snapshots[0], 404)
	wantStatus(t, h, snapshots[1], 404)
	wantStatus(t, h, snapshots[2], 200)
}

// What has expired is not served, under any name, and why is said.
func TestExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler(once, func(o *serve.Options) { o.Trust.MaxStale = 24 * time.Hour })
	w.advance(30*24*time.Hour + time.Minute) // within max-stale for timestamp and snapshot, not for targets
	for _, path := range []string{"/timestamp.json", "/1.root.json", place(hello), "/healthz", "/nothing.json"} {
		r := wantStatus(t, h, path, 503)
		if text := body(t, r); r.Header.Get("Retry-After") == "" || !strings.Contains(text, "expired") || strings.Contains(text, w.registry.Host()) {
			t.Errorf("%s: %q", path, text)
		}
	}
}

// A clock that was set back does not make fresh again what has expired.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler(once)
	for _, tt := range []struct {
		by   time.Duration
		want int
	}{{-5 * time.Minute, 200}, {-time.Second, 503}, {24 * time.Hour, 200}} {
		w.advance(tt.by)
		wantStatus(t, h, "/timestamp.json", tt.want)
		wantStatus(t, h, "/healthz", tt.want)
	}
}

// What has expired is asked for anew as soon as somebody wants it, however long the wait
// was meant to be.
func TestExpiredIsAskedForAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	place := tuftest.NewPlace(t, tuftest.InDir)
	place.Put(w.Files(), tuftest.PackOptions{})
	var err error
	if w.source, err = trust.ParseSource(place.Source()); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		h, err := serve.New(ctx, w.options(once))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // for an hour
		w.advance(365 * 24 * time.Hour)
		w.SetNow(w.clock())
		w.Touch("root", "targets", "a/team")
		w.Publish()
		place.Put(w.Files(), tuftest.PackOptions{})
		wantStatus(t, h, "/timestamp.json", 503)
		time.Sleep(time.Minute + time.Second) // of the bubble
		wantBody(t, h, "/timestamp.json", w.Data("timestamp"))
		end()
		<-h.Done()
	})
}

// A timestamp that max-stale still accepts is served: clients judge for themselves.
func TestStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetExpiry("timestamp", w.clock().Add(time.Hour))
	w.publish()
	h := w.handler(once, func(o *serve.Options) { o.Trust.MaxStale = 24 * time.Hour })
	w.advance(2 * time.Hour)
	wantBody(t, h, "/timestamp.json", w.Data("timestamp"))
	w.advance(24 * time.Hour)
	wantStatus(t, h, "/timestamp.json", 503)
}

// A delegated role that has expired, or cannot be verified, is not served, and holds
// up nothing else.
func TestDelegatedRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetExpiry("a/team", w.clock().Add(time.Hour))
	w.publish()
	h := w.handler()
	role := place(w.Title("a/team"))
	wantStatus(t, h, role, 200)
	w.advance(2 * time.Hour)
	if text := body(t, wantStatus(t, h, role, 503)); !strings.Contains(text, `"a/team" v2 expired`) {
		t.Errorf("text %q", text)
	}
	wantStatus(t, h, "/timestamp.json", 200)

	w.SetExpiry("a/team", w.clock().Add(time.Hour))
	w.Publish()
	unsigned := w.Fork()
	unsigned.Unsign("a/team", 0)
	w.push(unsigned.Files())
	w.wait("the role is missed", func(r serve.Refreshed) bool { return r.Changed && len(r.Missing) == 1 })
	role = place(unsigned.Title("a/team"))
	wantStatus(t, h, role, 503)
	wantBody(t, h, "/timestamp.json", unsigned.Data("timestamp"))

	w.registry.Intercept(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			out.WriteHeader(http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(out, r)
	})
	lost := unsigned.Fork()
	lost.Touch("a/team")
	lost.Publish()
	w.pack.Inline = []string{"metadata/timestamp.json", lost.Title("snapshot"), lost.Title("targets")}
	w.push(lost.Files())
	w.wait("the role is lost", func(r serve.Refreshed) bool { return r.Changed && len(r.Missing) == 1 })
	if text := body(t, wantStatus(t, h, place(lost.Title("a/team")), 503)); strings.Contains(text, w.registry.Host()) {
		t.Errorf("it says where the source is: %q", text)
	}
	w.registry.Intercept(nil)
	w.pack.Inline = nil
	w.wait("the role is found again", func(r serve.Refreshed) bool { return r.Err == nil && len(r.Missing) == 0 })
	wantBody(t, h, place(lost.Title("a/team")), lost.Data("a/team"))
}

// A source that is gone, or turns hostile, changes nothing until what was verified
// last expires.
func TestHostileSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler()
	good := w.Files()
	refused := func(what string, kind error) {
		t.Helper()
		w.wait(what, func(r serve.Refreshed) bool { return errors.Is(r.Err, kind) })
		for title, data := range good {
			wantBody(t, h, place(title), data)
		}
		wantStatus(t, h, "/healthz", 200)
	}
	fork := w.Fork()
	fork.SetKeys("timestamp", []*tuftest.Key{tuftest.NewKey(t, "")}, 1)
	fork.Touch("timestamp")
	fork.Publish()
	forged := fork.Files()
	delete(forged, "metadata/3.root.json")
	w.push(forged)
	refused("a forged timestamp", trust.ErrThreshold)

	older := w.Fork()
	w.publish()
	w.wait("a new state", changed)
	good = w.Files()
	w.push(older.Files())
	refused("an older state", trust.ErrRollback)

	w.pack.Annotations = map[string]string{ociremote.AnnotationPartial: "true"}
	w.publish()
	w.pack.Annotations = nil
	refused("a partial bundle", serve.ErrPartial)

	w.registry.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusForbidden) })
	w.wait("no access", func(r serve.Refreshed) bool {
		_, ok := errors.AsType[*ociremote.AuthError](r.Err)
		return ok
	})
	wantBody(t, h, "/timestamp.json", good["metadata/timestamp.json"])
	w.advance(31 * 24 * time.Hour)
	wantStatus(t, h, "/timestamp.json", 503)
	wantStatus(t, h, "/healthz", 503)
}

// Nothing is served from a source that is refused to begin with.
func TestRefusedFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		edit func(*serve.Options)
		want error
	}{
		"another root": {func(o *serve.Options) { o.Root = tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes() }, trust.ErrWrongRoot},
		"no root":      {func(o *serve.Options) { o.Root = []byte("{}") }, trust.ErrMalformed},
	} {
		if _, err := serve.New(t.Context(), w.options(c.edit)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.pack.Annotations = map[string]string{ociremote.AnnotationPartial: "true"}
	w.publish()
	for _, edit := range []func(*serve.Options){once, unpinned} {
		if _, err := serve.New(t.Context(), w.options(edit)); !errors.Is(err, serve.ErrPartial) {
			t.Errorf("partial: %v", err)
		}
	}
}

// Who ends it while the source is read for the first time, at whatever step, has
// nothing that could serve, or a handler that was told of.
func TestEndedFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ended := 0
	for step := int64(1); ; step++ {
		ctx, cancel := context.WithCancel(t.Context())
		var asked, told atomic.Int64
		o := w.options(once)
		now := o.Trust.Now
		o.Trust.Now = func() time.Time {
			if asked.Add(1) == step {
				cancel()
			}
			return now()
		}
		o.OnRefresh = func(serve.Refreshed) { told.Add(1) }
		h, err := serve.New(ctx, o)
		if (h != nil) != (err == nil) || (h != nil) != (told.Load() > 0) || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("step %d: handler %t, told %d times, %v", step, h != nil, told.Load(), err)
		}
		if err != nil {
			ended++
		}
		over := asked.Load() < step
		cancel()
		if h != nil {
			<-h.Done()
		}
		if over {
			break
		}
	}
	if ended < 2 {
		t.Errorf("ended at %d steps only", ended)
	}
}
