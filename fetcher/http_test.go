package fetcher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// web is an http server without a network, so that its tests can run on a clock
// of their own. It records what is asked.
type web struct {
	handler http.HandlerFunc

	mu       sync.Mutex
	requests []string
}

func (w *web) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.requests = append(w.requests, req.Method+" "+req.URL.String())
	w.mu.Unlock()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	w.handler(rec, req)
	resp := rec.Result()
	resp.Request = req
	if stream, ok := rec.Body.Bytes(), rec.Header().Get("X-Stream"); ok != "" {
		interval, _ := time.ParseDuration(ok)
		resp.ContentLength = -1
		resp.Body = &slowBody{ctx: req.Context(), data: stream, interval: interval}
	}
	return resp, nil
}

func (w *web) log() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// slowBody sends one byte in each interval, as long as its request lives.
type slowBody struct {
	ctx      context.Context
	data     []byte
	interval time.Duration
}

func (s *slowBody) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.interval):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	p[0], s.data = s.data[0], s.data[1:]
	return 1, nil
}

func (s *slowBody) Close() error { return nil }

const webURL = "https://tuf.example/repo/"

func (w *web) options(t *testing.T, o fetcher.Options) fetcher.Options {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{Base: w, RegistryConfig: emptyConfig(t)})
	if err != nil {
		t.Fatal(err)
	}
	o.Client = client
	return o
}

// emptyConfig keeps the tests away from the docker configuration of whoever
// runs them.
func emptyConfig(t *testing.T) string {
	t.Helper()
	file := t.TempDir() + "/config.json"
	writeFiles(t, "", map[string][]byte{file: []byte("{}")})
	return file
}

func (w *web) open(t *testing.T, o fetcher.Options) *fetcher.View {
	t.Helper()
	src, err := fetcher.ParseSource(webURL)
	if err != nil {
		t.Fatal(err)
	}
	v, err := fetcher.Open(t.Context(), src, w.options(t, o))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// serve answers with files by decoded path.
func serve(files map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = io.WriteString(w, body)
	}
}

// Every file is asked for once, under the URL that a TUF client uses, and
// opening asks nothing.
func TestHTTPRequests(t *testing.T) {
	t.Parallel()
	server := &web{handler: serve(map[string]string{
		"/repo/1.root.json":           "root",
		"/repo/timestamp.json":        "timestamp",
		"/repo/1.a/b.json":            "role a/b",
		"/repo/1.?.json":              "role ?",
		"/repo/targets/dir/x y?#%.tx": "odd target",
		"/repo/targets/empty":         "",
	})}
	v := server.open(t, fetcher.Options{})
	if log := server.log(); len(log) != 0 {
		t.Errorf("opening asked %q", log)
	}
	for range 2 {
		wantFile(t, v, "metadata/1.root.json", "root")
		wantError(t, v, "metadata/2.root.json", 1000, fetcher.ErrFileNotFound)
		wantFile(t, v, "metadata/timestamp.json", "timestamp")
		wantFile(t, v, "metadata/1.a%2Fb.json", "role a/b")
		wantFile(t, v, "metadata/1.%3F.json", "role ?")
		wantFile(t, v, "targets/dir/x y?#%.tx", "odd target")
		wantFile(t, v, "targets/empty", "")
		v.Prefetch(t.Context(), "metadata/1.snapshot.json")
	}
	want := []string{
		"GET https://tuf.example/repo/1.root.json",
		"GET https://tuf.example/repo/2.root.json",
		"GET https://tuf.example/repo/timestamp.json",
		"GET https://tuf.example/repo/1.a%2Fb.json",
		"GET https://tuf.example/repo/1.%3F.json",
		"GET https://tuf.example/repo/targets/dir/x%20y%3F%23%25.tx",
		"GET https://tuf.example/repo/targets/empty",
	}
	if log := server.log(); !slices.Equal(log, want) {
		t.Errorf("asked %q\nwant  %q", log, want)
	}
	if v.Titles() != nil || v.Bundle() != nil || v.Unchanged() {
		t.Error("a web server has no list and no bundle")
	}
}

func TestHTTPBadTitle(t *testing.T) {
	t.Parallel()
	server := &web{handler: serve(nil)}
	v := server.open(t, fetcher.Options{})
	for _, title := range []string{"", "1.root.json", "metadata/", "metadata/a/b.json", "metadata/%zz.json", "targets/../1.root.json", "targets/a\r\nb"} {
		wantError(t, v, title, 1000, fetcher.ErrInvalidName)
	}
	if log := server.log(); len(log) != 0 {
		t.Errorf("asked %q", log)
	}
}

// Escapes in the given URL stay as they are.
func TestHTTPEscapedBase(t *testing.T) {
	t.Parallel()
	server := &web{handler: serve(nil)}
	v, err := fetcher.Open(t.Context(), fetcher.Source{Kind: fetcher.KindHTTP, URL: "https://tuf.example/a%2Fb"}, server.options(t, fetcher.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, v, "metadata/1.c%2Fd.json", 1000, fetcher.ErrFileNotFound)
	wantError(t, v, "targets/x y%", 1000, fetcher.ErrFileNotFound)
	want := []string{"GET https://tuf.example/a%2Fb/1.c%2Fd.json", "GET https://tuf.example/a%2Fb/targets/x%20y%25"}
	if log := server.log(); !slices.Equal(log, want) {
		t.Errorf("asked %q\nwant  %q", log, want)
	}
}

func TestHTTPTargetsURL(t *testing.T) {
	t.Parallel()
	server := &web{handler: serve(map[string]string{"/files/dir/file": "target", "/repo/1.root.json": "root"})}
	v := server.open(t, fetcher.Options{TargetsURL: "https://cdn.example/files"})
	wantFile(t, v, "targets/dir/file", "target")
	wantFile(t, v, "metadata/1.root.json", "root")
	want := []string{"GET https://cdn.example/files/dir/file", "GET https://tuf.example/repo/1.root.json"}
	if log := server.log(); !slices.Equal(log, want) {
		t.Errorf("asked %q\nwant  %q", log, want)
	}
}

// Only the status 404 says that there is no such file, and go-tuf hears it for a
// root alone.
func TestHTTPStatus(t *testing.T) {
	for _, status := range []int{204, 206, 304, 400, 401, 403, 404, 407, 410, 418, 429, 451, 500, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &web{handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }}
				for _, title := range []string{"metadata/2.root.json", "metadata/timestamp.json", "metadata/3.snapshot.json", "targets/file"} {
					_, err := server.open(t, fetcher.Options{}).File(t.Context(), title, 1000)
					switch {
					case err == nil:
						t.Errorf("%s: no error", title)
					case status == 404 && title == "metadata/timestamp.json":
						wantIs(t, err, fetcher.ErrNoRepository)
					case status == 404:
						wantIs(t, err, fetcher.ErrFileNotFound)
					case status == 401 || status == 403:
						if auth, ok := errors.AsType[*ociremote.AuthError](err); !ok || auth.Status != status {
							t.Errorf("%s: %v, want an AuthError", title, err)
						}
					default:
						if transport, ok := errors.AsType[*ociremote.TransportError](err); !ok || transport.Status != status {
							t.Errorf("%s: %v, want a TransportError", title, err)
						}
					}
					if status != 404 && (errors.Is(err, fetcher.ErrFileNotFound) || errors.Is(err, fetcher.ErrNoRepository)) {
						t.Errorf("%s: status %d is %v", title, status, err)
					}
				}
			})
		})
	}
}

func wantIs(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestHTTPTooLong(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), 101)
	for name, handler := range map[string]http.HandlerFunc{
		"stated": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "101")
			_, _ = w.Write(body)
		},
		"not stated": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) },
	} {
		server := &web{handler: handler}
		v := server.open(t, fetcher.Options{Limits: fetcher.Limits{Root: 100, TargetFile: 200}})
		wantError(t, v, "targets/file", 100, fetcher.ErrLimit)
		wantError(t, v, "metadata/1.root.json", 500, fetcher.ErrLimit) // our own limit
		if _, err := v.File(t.Context(), "targets/file", 101); err != nil {
			t.Errorf("%s: just long enough: %v", name, err)
		}
		before := len(server.log())
		for _, max := range []int64{-1, 201, 10 << 30} {
			wantError(t, v, "targets/other", max, fetcher.ErrLimit)
		}
		if len(server.log()) != before {
			t.Error("a senseless length was asked for")
		}
	}
}

// A body that is stated too long is not read.
func TestHTTPTooLongUnread(t *testing.T) {
	t.Parallel()
	server := &web{handler: func(http.ResponseWriter, *http.Request) {}}
	unread := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := server.RoundTrip(req)
		resp.Body, resp.ContentLength = io.NopCloser(iotest.ErrReader(errors.New("read"))), 100_000
		return resp, err
	})
	client, err := ociremote.NewClient(ociremote.Options{Base: unread, RegistryConfig: emptyConfig(t)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := fetcher.Open(t.Context(), fetcher.Source{Kind: fetcher.KindHTTP, URL: webURL}, fetcher.Options{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, v, "metadata/timestamp.json", plenty, fetcher.ErrLimit)
}

// A body without end is cut off at the limit.
func TestHTTPEndless(t *testing.T) {
	t.Parallel()
	server := &web{handler: func(w http.ResponseWriter, _ *http.Request) {}}
	endless := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := server.RoundTrip(req)
		resp.Body, resp.ContentLength = io.NopCloser(endlessReader{}), -1
		return resp, err
	})
	client, err := ociremote.NewClient(ociremote.Options{Base: endless, RegistryConfig: emptyConfig(t)})
	if err != nil {
		t.Fatal(err)
	}
	v, err := fetcher.Open(t.Context(), fetcher.Source{Kind: fetcher.KindHTTP, URL: webURL}, fetcher.Options{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, v, "metadata/timestamp.json", 1<<40, fetcher.ErrLimit)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

func TestHTTPTruncated(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
	}))
	defer srv.Close()
	v, err := fetcher.Open(t.Context(), fetcher.Source{Kind: fetcher.KindHTTP, URL: srv.URL + "/"}, fetcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.File(t.Context(), "metadata/1.root.json", 1000)
	if _, ok := errors.AsType[*ociremote.TransportError](err); !ok {
		t.Errorf("%v, want a TransportError", err)
	}
}

// A server that drips fails after one window, not at the end of the operation.
func TestHTTPDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &web{handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Stream", "1s")
			_, _ = w.Write(make([]byte, 10_000))
		}}
		start := time.Now()
		v := server.open(t, fetcher.Options{})
		_, err := v.File(t.Context(), "metadata/2.root.json", 512_000)
		wantIs(t, err, fetcher.ErrTooSlow)
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// All metadata of a view has one deadline, each target file its own.
func TestHTTPDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &web{handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Stream", "500ms")
			_, _ = w.Write(make([]byte, 80))
		}}
		limits := fetcher.Limits{MinThroughput: 1, StallWindow: 10 * time.Second, Operation: 60 * time.Second}
		v := server.open(t, fetcher.Options{Limits: limits})
		if _, err := v.File(t.Context(), "metadata/timestamp.json", 1000); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		start := time.Now()
		wantError(t, v, "metadata/1.snapshot.json", 1000, fetcher.ErrTimeout)
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("the second file had %v, want what is left of the minute", took)
		}
		for range 3 {
			if _, err := v.File(t.Context(), fmt.Sprintf("targets/%v", time.Now()), 1000); err != nil {
				t.Errorf("a target later: %v", err)
			}
		}
	})
}

func TestHTTPCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &web{handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Stream", "1s")
			_, _ = w.Write(make([]byte, 1000))
		}}
		v := server.open(t, fetcher.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := v.File(ctx, "metadata/2.root.json", 512_000)
		wantIs(t, err, context.DeadlineExceeded)
		if errors.Is(err, fetcher.ErrTimeout) || errors.Is(err, fetcher.ErrTooSlow) {
			t.Errorf("the caller's own deadline became %v", err)
		}
	})
}

func TestHTTPRedirect(t *testing.T) {
	t.Parallel()
	server := &web{handler: func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/repo/1.root.json":
			http.Redirect(w, r, "https://cdn.example/r", http.StatusFound)
		case "/repo/2.root.json":
			http.Redirect(w, r, "http://cdn.example/r", http.StatusFound)
		case "/repo/3.root.json":
			http.Redirect(w, r, "/repo/3.root.json", http.StatusFound)
		case "/r":
			_, _ = io.WriteString(w, "root")
		}
	}}
	v := server.open(t, fetcher.Options{})
	wantFile(t, v, "metadata/1.root.json", "root")
	for _, title := range []string{"metadata/2.root.json", "metadata/3.root.json"} {
		_, err := v.File(t.Context(), title, 1000)
		if _, ok := errors.AsType[*ociremote.TransportError](err); !ok {
			t.Errorf("%s: %v, want a TransportError", title, err)
		}
	}
	if slices.Contains(server.log(), "GET http://cdn.example/r") {
		t.Error("went from https to http")
	}
	if n := len(server.log()); n > 10 {
		t.Errorf("%d requests", n)
	}
}

// The bytes are signed as they are: no compression is asked for.
func TestHTTPIdentity(t *testing.T) {
	t.Parallel()
	server := &web{handler: func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Accept-Encoding")+r.Header.Get("Authorization"))
	}}
	wantFile(t, server.open(t, fetcher.Options{}), "metadata/1.root.json", "identity")
}

// go-tuf's terms for the same.
func TestHTTPFetcherErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := 404
		server := &web{handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Repeat("x", 100))
		}}
		src := fetcher.Source{Kind: fetcher.KindHTTP, URL: webURL}
		download := func(name string, max int64) error {
			_, err := fetcher.New(t.Context(), src, server.options(t, fetcher.Options{})).DownloadFile(webURL+name, max, 0)
			return err
		}
		if !is404(download("2.root.json", 1000)) {
			t.Error("a missing root is not 404")
		}
		for _, name := range []string{"timestamp.json", "1.snapshot.json", "1.targets.json", "1.role.json", "targets/file"} {
			if err := download(name, 1000); is404(err) || !errors.Is(err, &tuf.ErrDownload{}) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, status = range []int{401, 403, 410, 429, 500, 503} {
			if err := download("2.root.json", 1000); is404(err) || !errors.Is(err, &tuf.ErrDownload{}) {
				t.Errorf("status %d: %v", status, err)
			}
		}
		status = 200
		if err := download("2.root.json", 99); is404(err) || !errors.Is(err, &tuf.ErrDownloadLengthMismatch{}) {
			t.Errorf("too long: %v", err)
		}
		for _, url := range []string{"", "2.root.json", "https://other.example/2.root.json", webURL, webURL + "a/b.json", webURL + "targets/../x"} {
			_, err := fetcher.New(t.Context(), src, server.options(t, fetcher.Options{})).DownloadFile(url, 1000, 0)
			if is404(err) || !errors.Is(err, fetcher.ErrInvalidName) {
				t.Errorf("%q: %v", url, err)
			}
		}
	})
}

// is404 asks as go-tuf does.
func is404(err error) bool {
	status, ok := errors.AsType[*tuf.ErrDownloadHTTP](err)
	return ok && status.StatusCode == http.StatusNotFound
}
