package serve_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/serve"
	"github.com/tufoci/tufoci/trust"
)

const repository = "acme/trust"

// world is a repository in a registry, and what serves it.
type world struct {
	*tuftest.Repo
	t        *testing.T
	registry *tuftest.Registry
	source   trust.Source
	client   *ociremote.Client
	pack     tuftest.PackOptions

	mu        sync.Mutex
	now       time.Time
	refreshed []serve.Refreshed
	warned    []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, Repo: tuftest.NewRepo(t, tuftest.RepoOptions{}), registry: tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true})}
	w.now = tuftest.Epoch.Add(time.Hour)
	var err error
	if w.source, err = trust.ParseSource(w.registry.Host() + "/" + repository); err != nil {
		t.Fatal(err)
	}
	w.client, err = ociremote.NewClient(ociremote.Options{PlainHTTP: true, RegistryConfig: filepath.Join(t.TempDir(), "config.json"), Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.HTTP().CloseIdleConnections)
	w.Delegate("targets", "a/team", []string{"team/*"}, false)
	w.AddTargetTo("a/team", "team/sub file.txt", []byte("team"))
	w.AddTarget("dir/hello.txt", []byte("hello"))
	w.AddEntry("targets", "images/app:1", 99, strings.Repeat("ab", 32), nil)
	w.RotateKey("root")
	w.publish()
	return w
}

func (w *world) publish() {
	w.t.Helper()
	w.Publish()
	w.push(w.Files())
}

func (w *world) push(files map[string][]byte) {
	w.t.Helper()
	w.registry.Push(repository, "tuf", tuftest.Pack(w.t, files, w.pack))
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) options(edits ...func(*serve.Options)) serve.Options {
	o := serve.Options{
		Root:    w.RootBytes(),
		Trust:   trust.Options{Source: w.source, Client: w.client, Now: w.clock},
		Refresh: 10 * time.Millisecond,
		OnRefresh: func(r serve.Refreshed) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refreshed = append(w.refreshed, r)
		},
	}
	o.Trust.Warn = func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.warned = append(w.warned, text)
	}
	for _, edit := range edits {
		edit(&o)
	}
	return o
}

// once keeps a handler from refreshing by itself.
func once(o *serve.Options) { o.Refresh = time.Hour }

func unpinned(o *serve.Options) { o.Root = nil }

// handler starts one that ends with the test.
func (w *world) handler(edits ...func(*serve.Options)) *serve.Handler {
	w.t.Helper()
	ctx, end := context.WithCancel(w.t.Context())
	h, err := serve.New(ctx, w.options(edits...))
	if err != nil {
		end()
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		end()
		<-h.Done()
	})
	w.wait("the first refresh", changed)
	return h
}

// wait waits for an attempt to refresh as it is wanted, after those that were waited
// for before.
func (w *world) wait(what string, wanted func(serve.Refreshed) bool) {
	w.t.Helper()
	for range 1000 {
		if w.seen(wanted) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("%s: not within 10 seconds", what)
}

func (w *world) seen(wanted func(serve.Refreshed) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.refreshed, wanted)
	w.refreshed = w.refreshed[i+1:]
	return i >= 0
}

func changed(r serve.Refreshed) bool { return r.Changed }
func failed(r serve.Refreshed) bool  { return r.Err != nil }

// ask asks without a network. header is "Name: value".
func ask(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://served.example"+path, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	return out.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// wantBody fails the test unless the answer is 200 with these bytes.
func wantBody(t *testing.T, h http.Handler, path string, want []byte) *http.Response {
	t.Helper()
	r := ask(t, h, "GET", path)
	if got := body(t, r); r.StatusCode != 200 || got != string(want) {
		t.Errorf("%s: %d, %q; want %q", path, r.StatusCode, got, want)
	}
	return r
}

func wantStatus(t *testing.T, h http.Handler, path string, status int) *http.Response {
	t.Helper()
	r := ask(t, h, "GET", path)
	if r.StatusCode != status {
		t.Errorf("%s: %d, want %d: %s", path, r.StatusCode, status, body(t, r))
	}
	if status >= 400 && r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: Cache-Control %q", path, r.Header.Get("Cache-Control"))
	}
	return r
}

// place is the path of a title.
func place(title string) string {
	folder, name, _ := strings.Cut(title, "/")
	if folder == "targets" {
		name = strings.ReplaceAll(name, " ", "%20")
	}
	return "/" + folder + "/" + name
}
