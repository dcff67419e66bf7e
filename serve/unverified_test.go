package serve_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/serve"
	"github.com/tufoci/tufoci/trust"
)

// Without a pin bytes are passed on, from every kind of source, and each answer says
// that nobody has vouched for them; nothing is left in a cache.
func TestUnverified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	w.publish()
	dir := t.TempDir()
	tuftest.WriteFiles(t, dir, w.Files())
	web := httptest.NewServer(tuftest.Serve(w.Files()))
	t.Cleanup(web.Close)
	for _, text := range []string{w.source.String(), "file://" + dir, web.URL + "/metadata/"} {
		source, err := trust.ParseSource(text)
		if err != nil {
			t.Fatal(err)
		}
		h := w.handler(unpinned, once, func(o *serve.Options) { o.Trust.Source = source })
		for title, data := range w.Files() {
			r := wantBody(t, h, place(title), data)
			if r.Header.Get(serve.VerifiedHeader) != "false" || r.Header.Get("Cache-Control") != "no-cache" || r.Header.Get("ETag") != `"`+tuftest.Digest(data)+`"` {
				t.Errorf("%s: %v", title, r.Header)
			}
		}
		for path, status := range map[string]int{
			"/9.root.json": 404, "/targets/nothing": 404, "/healthz": 200, "/targets/../metadata/timestamp.json": 400, "/targets/%2e%2e/x": 400,
		} {
			if r := wantStatus(t, h, path, status); r.Header.Get(serve.VerifiedHeader) != "false" {
				t.Errorf("%s: %v", path, r.Header)
			}
		}
	}
}

// What the source has next is passed on next, and nothing of before is kept in
// memory under its name.
func TestUnverifiedFollows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler(unpinned)
	first := w.Files()
	w.publish()
	w.wait("the new state", changed)
	wantBody(t, h, "/timestamp.json", w.Data("timestamp"))
	for title, data := range first {
		if title != "metadata/timestamp.json" {
			wantBody(t, h, place(title), data)
		}
	}
	w.registry.Intercept(func(out http.ResponseWriter, _ *http.Request, _ http.Handler) { out.WriteHeader(500) })
	w.wait("a failure", failed)
	wantBody(t, h, "/timestamp.json", w.Data("timestamp"))

	files := w.Files()
	web := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { tuftest.Serve(files).ServeHTTP(out, r) }))
	t.Cleanup(web.Close)
	source, err := trust.ParseSource(web.URL + "/metadata/")
	if err != nil {
		t.Fatal(err)
	}
	h = w.handler(unpinned, once, func(o *serve.Options) { o.Trust.Source = source })
	wantBody(t, h, "/timestamp.json", w.Data("timestamp"))
	w.Publish()
	wantStatus(t, h, place(w.Title("snapshot")), 404)
	files = w.Files()
	wantBody(t, h, "/timestamp.json", w.Data("timestamp"))
	wantBody(t, h, place(w.Title("snapshot")), w.Data("snapshot"))
}

// The limits of the readers hold without a pin too.
func TestUnverifiedLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	w.AddTarget("large", []byte(strings.Repeat("x", 1001)))
	w.publish()
	limits := func(o *serve.Options) { o.Trust.Limits = fetcher.Limits{TargetFile: 1000} }
	h := w.handler(unpinned, once, limits)
	large := "/targets/" + strings.TrimPrefix(tuftest.Digest([]byte(strings.Repeat("x", 1001))), "sha256:") + ".large"
	wantStatus(t, h, large, 502)
	if r := ask(t, h, "HEAD", large); r.StatusCode != 502 {
		t.Errorf("HEAD: %d", r.StatusCode)
	}
	wantStatus(t, h, place(hello), 200)

	nowhere, err := trust.ParseSource(w.registry.Host() + "/acme/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	_, err = serve.New(t.Context(), w.options(unpinned, func(o *serve.Options) { o.Trust.Source = nowhere }))
	if !errors.Is(err, fetcher.ErrNoRepository) {
		t.Errorf("nothing there: %v", err)
	}
}
