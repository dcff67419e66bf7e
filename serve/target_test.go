package serve_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/serve"
	"github.com/tufoci/tufoci/trust"
)

// A target file that the source has swapped, or lost, is never sent; it is sent again
// when the source has it again, and the source is not asked for it all the time.
func TestSwappedTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	w.publish()
	h := w.handler(once)
	var asked atomic.Int64
	answer := func(status int, text string) {
		w.registry.Intercept(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
			if !strings.HasSuffix(r.URL.Path, "/blobs/"+tuftest.Digest([]byte("hello"))) {
				next.ServeHTTP(out, r)
				return
			}
			asked.Add(1)
			out.WriteHeader(status)
			_, _ = out.Write([]byte(text))
		})
	}
	for _, c := range []struct {
		status int
		text   string
	}{{200, "HELLO"}, {200, "hello, and more"}, {200, "hell"}, {404, ""}, {500, ""}, {403, ""}} {
		answer(c.status, c.text)
		asked.Store(0)
		for range 3 {
			if text := body(t, wantStatus(t, h, place(hello), 502)); strings.Contains(strings.ToLower(text), "hell") || strings.Contains(text, w.registry.Host()) {
				t.Errorf("%+v: %q", c, text)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%+v: the source was asked %d times, want 1", c, n)
		}
		w.advance(time.Minute)
	}
	w.registry.Intercept(nil)
	wantBody(t, h, place(hello), []byte("hello"))
	wantStatus(t, h, "/healthz", 200)
}

// A role that lists a file as it cannot be keeps nobody from the one with the same
// content that another role lists.
func TestSameDigestElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	sum := strings.TrimPrefix(tuftest.Digest([]byte("hello")), "sha256:")
	w.AddEntry("a/team", "team/longer", 6, sum, nil)
	w.AddEntry("a/team", "team/lost", 5, sum, nil)
	w.publish()
	h := w.handler(once)
	wantStatus(t, h, "/targets/team/"+sum+".longer", 502)
	wantStatus(t, h, "/targets/team/"+sum+".lost", 502)
	wantBody(t, h, place(hello), []byte("hello"))
	wantStatus(t, h, "/targets/team/"+sum+".longer", 502)
}

// A directory says nothing about its files; their hashes are signed.
func TestSwappedFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	tuftest.WriteFiles(t, dir, w.Files())
	source, err := trust.ParseSource("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	h := w.handler(once, func(o *serve.Options) { o.Trust.Source = source })
	tuftest.WriteFiles(t, dir, map[string][]byte{hello: []byte("HELLO")})
	wantStatus(t, h, place(hello), 502)
	tuftest.WriteFiles(t, dir, map[string][]byte{hello: []byte("hello")})
	w.advance(time.Minute)
	wantBody(t, h, place(hello), []byte("hello"))
}

// A file is read once for all who ask for it, and kept as long as there is room.
func TestMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	files := map[string][]byte{}
	for _, name := range []string{"a", "b", "c", "large"} {
		files[name] = []byte(strings.Repeat(name, 1000/len(name)))
	}
	files["large"] = make([]byte, 5000)
	paths := map[string]string{}
	for name, data := range files {
		w.AddTarget(name, data)
		paths[name] = "/targets/" + strings.TrimPrefix(tuftest.Digest(data), "sha256:") + "." + name
	}
	w.publish()
	h := w.handler(once, func(o *serve.Options) { o.Memory = 2500 })
	blobs := func(name string) int {
		n := 0
		for _, r := range w.registry.Requests() {
			if strings.HasSuffix(r.Path, tuftest.Digest(files[name])) {
				n++
			}
		}
		return n
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { wantBody(t, h, paths["a"], files["a"]) })
	}
	group.Wait()
	wantBody(t, h, paths["b"], files["b"])
	wantBody(t, h, paths["a"], files["a"])
	wantBody(t, h, paths["c"], files["c"]) // b has to go
	wantBody(t, h, paths["a"], files["a"])
	wantBody(t, h, paths["b"], files["b"]) // and c
	for name, want := range map[string]int{"a": 1, "b": 2, "c": 1} {
		if n := blobs(name); n != want {
			t.Errorf("%s was read %d times, want %d", name, n, want)
		}
	}
	wantStatus(t, h, paths["large"], 404)
}

// More requests than there are places are turned away, but for the question whether
// all is well.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	w.publish()
	h := w.handler(once, func(o *serve.Options) { o.Requests = 2 })
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.registry.Intercept(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
		once.Do(func() { close(entered) })
		<-leave
		next.ServeHTTP(out, r)
	})
	var group sync.WaitGroup
	team := "targets/team/" + strings.TrimPrefix(tuftest.Digest([]byte("team")), "sha256:") + ".sub file.txt"
	for title, data := range map[string]string{hello: "hello", team: "team"} {
		group.Go(func() { wantBody(t, h, place(title), []byte(data)) })
	}
	<-entered
	for ask(t, h, "GET", "/timestamp.json").StatusCode == 200 {
		time.Sleep(time.Millisecond) // the second has not come yet
	}
	if r := wantStatus(t, h, "/timestamp.json", 503); r.Header.Get("Retry-After") == "" {
		t.Error("not said when to come again")
	}
	wantStatus(t, h, "/healthz", 200)
	close(leave)
	group.Wait()
	wantStatus(t, h, "/timestamp.json", 200)
}
