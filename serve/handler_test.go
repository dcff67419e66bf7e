package serve_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/serve"
)

// Every file is served under its title, metadata at the top too, with the headers
// that clients and caches need.
func TestFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	w.publish()
	h := w.handler(once)
	for title, data := range w.Files() {
		kind, cache := "application/json", "public, max-age=86400, immutable"
		switch {
		case title == "metadata/timestamp.json":
			cache = "no-cache"
		case strings.HasSuffix(title, ".root.json"):
			cache = "public, max-age=31536000, immutable"
		case strings.HasPrefix(title, "targets/"):
			kind, cache = "application/octet-stream", "public, max-age=31536000, immutable"
		}
		paths := []string{place(title)}
		if top, ok := strings.CutPrefix(place(title), "/metadata"); ok {
			paths = append(paths, top)
		}
		for _, path := range paths {
			r := wantBody(t, h, path, data)
			for name, want := range map[string]string{
				"ETag": `"` + tuftest.Digest(data) + `"`, "Content-Type": kind, "Cache-Control": cache,
				"X-Content-Type-Options": "nosniff", serve.VerifiedHeader: "",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %s %q, want %q", path, name, got, want)
				}
			}
			r = ask(t, h, "HEAD", path)
			if r.StatusCode != 200 || r.ContentLength != int64(len(data)) || body(t, r) != "" {
				t.Errorf("HEAD %s: %d, %d bytes", path, r.StatusCode, r.ContentLength)
			}
		}
	}
	r := ask(t, h, "GET", place(hello), "Range: bytes=1-3")
	if got := body(t, r); r.StatusCode != http.StatusPartialContent || got != "ell" {
		t.Errorf("range: %d %q", r.StatusCode, got)
	}
	if got := body(t, ask(t, h, "GET", "/healthz")); got != "ok\n" {
		t.Errorf("healthz: %q", got)
	}
}

var hello = "targets/dir/" + strings.TrimPrefix(tuftest.Digest([]byte("hello")), "sha256:") + ".hello.txt"

// What a client has already is not sent, and a target file not even read.
func TestConditional(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	w.publish()
	h := w.handler(once)
	w.registry.Reset()
	tag := `"` + tuftest.Digest([]byte("hello")) + `"`
	for value, status := range map[string]int{
		tag: 304, "W/" + tag: 304, `"a", ` + tag: 304, "*": 304, `"a"`: 200, "": 200, strings.Trim(tag, `"`): 200,
	} {
		if value != "" && status == 200 {
			continue // after the requests are counted
		}
		if r := ask(t, h, "GET", place(hello), "If-None-Match: "+value); status == 304 && (r.StatusCode != 304 || body(t, r) != "" || r.Header.Get("ETag") != tag) {
			t.Errorf("%s: %d, want 304", value, r.StatusCode)
		}
	}
	w.registry.Reset()
	ask(t, h, "HEAD", place(hello))
	ask(t, h, "GET", place(hello), "If-None-Match: "+tag)
	if n := len(w.registry.Requests()); n != 0 {
		t.Errorf("%d requests to the registry", n)
	}
	for _, value := range []string{`"a"`, strings.Trim(tag, `"`)} {
		if r := ask(t, h, "GET", place(hello), "If-None-Match: "+value); r.StatusCode != 200 {
			t.Errorf("%s: %d, want 200", value, r.StatusCode)
		}
	}
	timestamp := `"` + tuftest.Digest(w.Data("timestamp")) + `"`
	if r := ask(t, h, "GET", "/timestamp.json", "If-None-Match: "+timestamp); r.StatusCode != 304 {
		t.Errorf("timestamp: %d, want 304", r.StatusCode)
	}
}

// A path is decoded once, and leads nowhere but to a file of the repository.
func TestPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler(once)
	sum := strings.TrimPrefix(tuftest.Digest([]byte("hello")), "sha256:")
	for path, status := range map[string]int{
		"/metadata/1.a%2fteam.json":            200, // the same role, escaped in another way
		"/metadata/%31.a%2Fteam.json":          200,
		"/targets/dir%2F" + sum + ".hello.txt": 200,
		"/metadata/1.a/team.json":              404, // another path
		"/metadata/1.a%252Fteam.json":          404, // escaped twice
		"/":                                    404,
		"/metadata/":                           404,
		"/metadata":                            404,
		"/targets":                             404,
		"/targets/dir/hello.txt":               404, // consistent snapshots
		"/3.root.json":                         404,
		"/root.json":                           404,
		"/images/app:1":                        404,
		"/targets/images/" + strings.Repeat("ab", 32) + ".app:1": 404, // the file is an image
		"//metadata/1.targets.json":                              404,
		"/metadata/metadata/1.targets.json":                      404,
		"/metadata/healthz":                                      404,
		"/targets/":                                              400,
		"/targets//" + sum:                                       400,
		"/targets/../metadata/timestamp.json":                    400,
		"/targets/%2e%2e/metadata/timestamp.json":                400,
		"/targets/dir/%2e/" + sum + ".hello.txt":                 400,
		"/targets/..%2f..%2fetc%2fpasswd":                        400,
		"/targets/a%00b":                                         400,
		"/targets/a%0ab":                                         400,
		"/targets/%ff":                                           400,
		"/targets/dir%5c..%5cb":                                  400,
		"/metadata/%00.json":                                     400,
	} {
		wantStatus(t, h, path, status)
	}
	r := httptest.NewRequest("GET", "http://served.example/", nil)
	r.URL.Path = "timestamp.json" // no slash
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	if out.Code != 200 {
		t.Errorf("without a slash: %d", out.Code)
	}
}

func TestMethodsAndBodies(t *testing.T) {
	t.Parallel()
	h := newWorld(t).handler(once)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"} {
		if r := ask(t, h, method, "/timestamp.json"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	r := httptest.NewRequest("GET", "/timestamp.json", strings.NewReader("body"))
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	if out.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("with a body: %d", out.Code)
	}
}

// Clients that start below the pin find their roots, which are said not to be
// verified, and no cache keeps them.
func TestRootsBelowThePin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.handler(once, func(o *serve.Options) { o.Root = w.Roots()[1] })
	r := wantBody(t, h, "/1.root.json", w.Roots()[0])
	if r.Header.Get(serve.VerifiedHeader) != "false" || r.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("headers %v", r.Header)
	}
	if r := wantBody(t, h, "/2.root.json", w.Roots()[1]); r.Header.Get(serve.VerifiedHeader) != "" {
		t.Errorf("headers %v", r.Header)
	}
}

// Without consistent snapshots a name has one content after the other.
func TestWithoutConsistentSnapshots(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Repo = tuftest.NewRepo(t, tuftest.RepoOptions{NonConsistent: true})
	w.AddTarget("dir/hello.txt", []byte("hello"))
	w.publish()
	h := w.handler(once)
	for _, path := range []string{"/snapshot.json", "/targets/dir/hello.txt"} {
		if r := wantStatus(t, h, path, 200); r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", path, r.Header)
		}
	}
}
