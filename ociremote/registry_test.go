package ociremote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
)

// newClient is a client that knows no credentials of its user and does not wait.
func newClient(t *testing.T, o ociremote.Options) *ociremote.Client {
	t.Helper()
	if o.RegistryConfig == "" {
		o.RegistryConfig = filepath.Join(t.TempDir(), "config.json")
	}
	if o.RetryWait == 0 {
		o.RetryWait = time.Millisecond
	}
	c, err := ociremote.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, c *ociremote.Client, host string) ociremote.Repository {
	t.Helper()
	return openRepository(t, c, host+"/acme/trust", false)
}

func openWritable(t *testing.T, c *ociremote.Client, host string) ociremote.WritableRepository {
	t.Helper()
	repo, ok := openRepository(t, c, host+"/acme/trust", true).(ociremote.WritableRepository)
	if !ok {
		t.Fatal("not writable")
	}
	return repo
}

func openRepository(t *testing.T, c *ociremote.Client, ref string, push bool) ociremote.Repository {
	t.Helper()
	parsed, err := ociremote.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := c.Repository(t.Context(), parsed, push)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// pack makes a small bundle; other seeds make other ones.
func pack(t *testing.T, seed string, o ociremote.PackOptions) (*ociremote.Bundle, []ociremote.Blob) {
	t.Helper()
	b, blobs, err := ociremote.Pack([]ociremote.Content{
		{Title: "metadata/timestamp.json", Data: []byte(`{"timestamp":"` + seed + `"}`)},
		{Title: "metadata/1.root.json", Data: []byte(`{"root":1}`)},
		{Title: "targets/ab.file", Data: bytes.Repeat([]byte("x"), 100)},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return b, blobs
}

// large makes a bundle with a manifest of more than 64 KiB.
func large(t *testing.T) (*ociremote.Bundle, []ociremote.Blob) {
	t.Helper()
	var files []ociremote.Content
	for i := range 400 {
		files = append(files, ociremote.Content{Title: fmt.Sprintf("targets/%d", i), Data: []byte("x")})
	}
	b, blobs, err := ociremote.Pack(files, ociremote.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Descriptor.Size < 64<<10 {
		t.Fatalf("%d bytes are not large", b.Descriptor.Size)
	}
	return b, blobs
}

// put stores a bundle around the network.
// stocked is a registry with a bundle.
func stocked(t *testing.T, o tuftest.RegistryOptions) *tuftest.Registry {
	t.Helper()
	reg := tuftest.NewRegistry(t, o)
	b, blobs := pack(t, "1", ociremote.PackOptions{})
	put(reg, b, blobs)
	return reg
}

func put(reg *tuftest.Registry, b *ociremote.Bundle, blobs []ociremote.Blob) {
	for _, blob := range blobs {
		reg.PutBlob("acme/trust", blob.Data)
	}
	reg.PutManifest("acme/trust", "tuf", b.Manifest)
}

func known(b *ociremote.Bundle) ociremote.Known {
	return ociremote.Known{Digest: b.Descriptor.Digest, ETag: b.ETag, Size: b.Descriptor.Size}
}

// requests are the methods and last parts of what came in.
func requests(reg *tuftest.Registry) []string {
	var out []string
	for _, r := range reg.Requests() {
		out = append(out, r.Method+" "+r.Path[strings.LastIndexByte(r.Path, '/')+1:])
	}
	return out
}

func TestRegistryRequests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		registry tuftest.RegistryOptions
		cold     []string
	}{
		{"open", tuftest.RegistryOptions{}, []string{"GET tuf"}},
		{"etag", tuftest.RegistryOptions{ETag: true}, []string{"GET tuf"}},
		{"token", tuftest.RegistryOptions{Token: true}, []string{"GET tuf", "GET token", "GET tuf"}},
		{"basic", tuftest.RegistryOptions{Basic: true}, []string{"GET tuf", "GET tuf"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			reg := tuftest.NewRegistry(t, tt.registry)
			b, blobs := pack(t, "1", ociremote.PackOptions{})
			put(reg, b, blobs)
			o := ociremote.Options{}
			if tt.registry.Basic {
				o.Username, o.Password = "user", "password"
			}
			repo := open(t, newClient(t, o), reg.Host())
			got, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
			if err != nil || !got.SameContent(b) || (got.ETag != "") != tt.registry.ETag {
				t.Fatalf("got %v", err)
			}
			if !slices.Equal(requests(reg), tt.cold) {
				t.Errorf("cold: %q, want %q", requests(reg), tt.cold)
			}
			for _, name := range []string{"tuf", b.Descriptor.Digest.String()} {
				reg.Reset()
				if _, err := ociremote.FetchBundle(t.Context(), repo, name, known(got)); !errors.Is(err, ociremote.ErrNotModified) {
					t.Errorf("%s again: got %v, want ErrNotModified", name, err)
				}
				if all := reg.Requests(); len(all) != 1 || (all[0].Status == http.StatusNotModified) != tt.registry.ETag {
					t.Errorf("%s again: %+v", name, all)
				}
			}
			changed, blobs := pack(t, "2", ociremote.PackOptions{})
			put(reg, changed, blobs)
			reg.Reset()
			if got, err = ociremote.FetchBundle(t.Context(), repo, "tuf", known(got)); err != nil || got.Descriptor.Digest != changed.Descriptor.Digest {
				t.Errorf("changed: %v", err)
			}
			file, _ := got.File("targets/ab.file")
			if data, err := ociremote.FetchBlob(t.Context(), repo, file.Descriptor, 100); err != nil || len(data) != 100 {
				t.Errorf("blob: %v", err)
			}
			if n := len(reg.Requests()); n != 2 {
				t.Errorf("changed, with a blob: %d requests", n)
			}
			if reg.Connections() != 0 {
				t.Errorf("%d connections beside the first", reg.Connections())
			}
		})
	}
}

// The connection survives refusals, unread short bodies and errors.
func TestRegistryOneConnection(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{Token: true})
	repo := openWritable(t, newClient(t, ociremote.Options{}), reg.Host())
	ctx := t.Context()
	if _, err := ociremote.FetchBundle(ctx, repo, "tuf", ociremote.Known{}); !errors.Is(err, ociremote.ErrNotFound) {
		t.Fatal(err)
	}
	b, blobs := pack(t, "1", ociremote.PackOptions{})
	for _, blob := range blobs {
		if ok, err := repo.Exists(ctx, blob.Descriptor); ok || err != nil {
			t.Errorf("exists: %v, %v", ok, err)
		}
		if err := repo.Push(ctx, blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.PushReference(ctx, b.Descriptor, bytes.NewReader(b.Manifest), "tuf"); err != nil {
		t.Fatal(err)
	}
	if _, err := ociremote.FetchBundle(ctx, repo, "tuf", known(b)); !errors.Is(err, ociremote.ErrNotModified) {
		t.Error(err)
	}
	if _, err := ociremote.FetchBundle(ctx, repo, "tuf", ociremote.Known{}); err != nil {
		t.Error(err)
	}
	tokens := 0
	for _, r := range reg.Requests() {
		if r.Path == "/token" {
			tokens++
		}
	}
	if tokens != 1 || reg.Connections() != 1 {
		t.Errorf("%d tokens, %d connections: %q", tokens, reg.Connections(), requests(reg))
	}
}

func TestRegistryHeadBeforeLargeManifest(t *testing.T) {
	t.Parallel()
	for _, etag := range []bool{false, true} {
		reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: etag})
		b, blobs := large(t)
		put(reg, b, blobs)
		repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
		got, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
		if err != nil {
			t.Fatal(err)
		}
		reg.Reset()
		if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", known(got)); !errors.Is(err, ociremote.ErrNotModified) {
			t.Errorf("got %v, want ErrNotModified", err)
		}
		want := []string{"HEAD tuf"}
		if etag {
			want[0] = "GET tuf"
		}
		if !slices.Equal(requests(reg), want) {
			t.Errorf("unchanged: %q, want %q", requests(reg), want)
		}
		other, blobs := pack(t, "2", ociremote.PackOptions{})
		put(reg, other, blobs)
		reg.Reset()
		if got, err = ociremote.FetchBundle(t.Context(), repo, "tuf", known(got)); err != nil || got.Descriptor.Digest != other.Descriptor.Digest {
			t.Errorf("changed: %v", err)
		}
		if !etag {
			want = append(want, "GET "+other.Descriptor.Digest.String())
		}
		if !slices.Equal(requests(reg), want) {
			t.Errorf("changed: %q, want %q", requests(reg), want)
		}
	}
}

func TestRegistryWithoutHead(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	b, blobs := large(t)
	put(reg, b, blobs)
	reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
	repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
	if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", known(b)); !errors.Is(err, ociremote.ErrNotModified) {
		t.Errorf("got %v, want ErrNotModified", err)
	}
}

// A list of tags has tags: what is none is left out, and so not remembered.
func TestTagsThatAreNone(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			next.ServeHTTP(w, r)
			return
		}
		tags, err := json.Marshal([]string{"v2", strings.Repeat("x", 129), strings.Repeat("x", 1<<20), "a b", "a\x1b[1m", "", ".v", "v1"})
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"name":"acme/trust","tags":%s}`, tags)
	})
	repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
	var got []string
	err := repo.(ociremote.WritableRepository).Tags(t.Context(), "", func(page []string) error { got = append(got, page...); return nil })
	if err != nil || !slices.Equal(got, []string{"v1", "v2"}) {
		t.Errorf("%.300q, error %v", got, err)
	}
}

// countingBody counts what is read of the bodies of manifests.
type countingBody struct{ read atomic.Int64 }

func (c *countingBody) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		resp.Body = countedBody{resp.Body, &c.read}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

func TestRegistryBodyUnread(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	b, blobs := large(t)
	put(reg, b, blobs)
	counter := &countingBody{}
	repo := open(t, newClient(t, ociremote.Options{Base: counter}), reg.Host())
	k := known(b)
	k.Size = 0 // no HEAD
	if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", k); !errors.Is(err, ociremote.ErrNotModified) {
		t.Errorf("got %v, want ErrNotModified", err)
	}
	if n := counter.read.Load(); n != 0 {
		t.Errorf("%d bytes of the body were read", n)
	}
}

func TestRegistryNoDataLayout(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	b, blobs := pack(t, "1", ociremote.PackOptions{Layout: ociremote.LayoutNoData})
	put(reg, b, blobs)
	repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
	got, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
	if err != nil || got.Layout != ociremote.LayoutNoData {
		t.Fatal(err)
	}
	if data, ok := got.Inline("metadata/1.root.json"); !ok || string(data) != `{"root":1}` {
		t.Errorf("inline %q, %v", data, ok)
	}
	if len(reg.Requests()) != 2 {
		t.Errorf("%q", requests(reg))
	}
	// A lost inline layer costs time, not the bundle.
	reg.DeleteBlob("acme/trust", blobs[1].Descriptor.Digest.String())
	if got, err = ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{}); err != nil {
		t.Fatal(err)
	}
	if _, ok := got.Inline("metadata/1.root.json"); ok {
		t.Error("inline content from nowhere")
	}
}

// What a registry may answer to the GET of a manifest, and what it means.
func TestFetchBundleErrors(t *testing.T) {
	t.Parallel()
	b, _ := pack(t, "1", ociremote.PackOptions{})
	other, _ := pack(t, "2", ociremote.PackOptions{})
	answer := func(status int, mediaType string, body []byte, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}
	}
	manifest, digestHeader := ocispec.MediaTypeImageManifest, "Docker-Content-Digest"
	denied := []byte(`{"errors":[{"code":"DENIED","message":"not\u001b[31m for you"}]}`)
	auth := func(status int) func(error) bool {
		return func(err error) bool {
			ae, ok := errors.AsType[*ociremote.AuthError](err)
			return ok && ae.Status == status && ae.Host != "" && !errors.Is(err, ociremote.ErrNotFound)
		}
	}
	transport := func(status int) func(error) bool {
		return func(err error) bool {
			te, ok := errors.AsType[*ociremote.TransportError](err)
			return ok && te.Status == status && te.Host != "" && !errors.Is(err, ociremote.ErrNotFound) && !errors.Is(err, ociremote.ErrNotModified)
		}
	}
	is := func(targets ...error) func(error) bool {
		return func(err error) bool {
			return !slices.ContainsFunc(targets, func(target error) bool { return !errors.Is(err, target) })
		}
	}
	tests := []struct {
		name   string
		name2  string // of the manifest, "" is the tag
		handle http.HandlerFunc
		ok     func(error) bool
		text   string
	}{
		{"not found", "", answer(404, "application/json", []byte(`{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`)), is(ociremote.ErrNotFound, errdef.ErrNotFound), "acme/trust"},
		{"not found in text", "", answer(404, "text/plain", []byte("404")), is(ociremote.ErrNotFound), ""},
		{"unauthorized", "", answer(401, "application/json", denied), auth(401), "not [31m for you"},
		{"unauthorized in an unknown scheme", "", answer(401, "", nil, "WWW-Authenticate", "Negotiate"), auth(401), ""},
		{"basic without credentials", "", answer(401, "", nil, "WWW-Authenticate", `Basic realm="x"`), auth(401), "no credentials"},
		{"realm that is refused", "", answer(401, "", nil, "WWW-Authenticate", `Bearer realm="file:///x"`), auth(401), ""},
		{"forbidden", "", answer(403, "application/json", denied), auth(403), "DENIED"},
		{"too many requests", "", answer(429, "application/json", nil), transport(429), "429"},
		{"internal error", "", answer(500, "text/html", []byte("<html>")), transport(500), "500"},
		{"unavailable", "", answer(503, "", nil), transport(503), ""},
		{"teapot", "", answer(418, "", nil), transport(418), ""},
		{"unasked 304", "", answer(304, "", nil), transport(304), "unasked"},
		{"redirect to nowhere", "", answer(302, "", nil), transport(302), ""},
		{"login page", "", answer(200, "text/html", []byte("<html>log in")), transport(200), "text/html"},
		{"no media type", "", answer(200, "", b.Manifest), transport(200), "not with a manifest"},
		{"invalid digest header", "", answer(200, manifest, b.Manifest, digestHeader, "sha512:x"), transport(200), "invalid digest"},
		{"wrong digest header", "", answer(200, manifest, b.Manifest, digestHeader, other.Descriptor.Digest.String()), is(ociremote.ErrMalformed), "announced"},
		{"other manifest for a digest", b.Descriptor.Digest.String(), answer(200, manifest, other.Manifest), is(ociremote.ErrMalformed), "asked for"},
		{"other manifest for a digest, announced", b.Descriptor.Digest.String(), answer(200, manifest, other.Manifest, digestHeader, other.Descriptor.Digest.String()), is(ociremote.ErrMalformed), "asked for"},
		{"index", "", answer(200, ocispec.MediaTypeImageIndex, []byte("{}")), is(ociremote.ErrForeign), "index"},
		{"docker list", "", answer(200, "application/vnd.docker.distribution.manifest.list.v2+json", []byte("{}")), is(ociremote.ErrForeign), "index"},
		{"docker image", "", answer(200, "application/vnd.docker.distribution.manifest.v2+json", []byte("{}")), is(ociremote.ErrForeign), "docker"},
		{"empty", "", answer(200, manifest, nil), is(ociremote.ErrMalformed), ""},
		{"cut off JSON", "", answer(200, manifest, b.Manifest[:100]), is(ociremote.ErrMalformed), ""},
		{"announced as too large", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", manifest)
			w.Header().Set("Content-Length", "999999999")
		}, is(ociremote.ErrTooLarge, ociremote.ErrMalformed), "999999999"},
		{"too large", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", manifest)
			for range 5 << 10 {
				_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<10))
			}
		}, is(ociremote.ErrTooLarge, ociremote.ErrMalformed), "limit"},
		{"body cut off", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", manifest)
			w.Header().Set("Content-Length", fmt.Sprint(len(b.Manifest)))
			_, _ = w.Write(b.Manifest[:100])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, func(err error) bool { return transport(0)(err) && errors.Is(err, io.ErrUnexpectedEOF) }, ""},
		{"connection cut off", "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, transport(0), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.handle)
			defer server.Close()
			repo := open(t, newClient(t, ociremote.Options{Retries: 1}), strings.TrimPrefix(server.URL, "http://"))
			name := tt.name2
			if name == "" {
				name = "tuf"
			}
			got, err := ociremote.FetchBundle(t.Context(), repo, name, ociremote.Known{})
			if got != nil || err == nil || !tt.ok(err) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v (%T)", err, err)
			}
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("control characters in %q", err)
			}
		})
	}
}

func TestFetchBundleNetworkErrors(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	host := strings.TrimPrefix(server.URL, "http://")
	server.Close()
	c := newClient(t, ociremote.Options{})
	_, err := ociremote.FetchBundle(t.Context(), open(t, c, host), "tuf", ociremote.Known{})
	if te, ok := errors.AsType[*ociremote.TransportError](err); !ok || te.Status != 0 || te.Host != host {
		t.Errorf("refused: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ociremote.FetchBundle(ctx, open(t, c, host), "tuf", ociremote.Known{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestFetchBundleTokenServer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		token http.HandlerFunc
		auth  int // 0: a TransportError
	}{
		{"denied", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, 403},
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, 401},
		{"no token", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, 401},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, 401},
		{"out of order", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, 0},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0},
		{"token that is not taken", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"x"}`) }, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			defer server.Close()
			mux.HandleFunc("/token", tt.token)
			mux.HandleFunc("/v2/", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, server.URL))
				w.WriteHeader(http.StatusUnauthorized)
			})
			repo := open(t, newClient(t, ociremote.Options{Retries: -1}), strings.TrimPrefix(server.URL, "http://"))
			_, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
			ae, isAuth := errors.AsType[*ociremote.AuthError](err)
			_, isTransport := errors.AsType[*ociremote.TransportError](err)
			if isAuth != (tt.auth != 0) || isTransport == isAuth || (isAuth && ae.Status != tt.auth) {
				t.Errorf("got %v (%T)", err, err)
			}
		})
	}
}

// A bundle is found again after every kind of push, and by what else the
// repository can do.
func TestRegistryRoundTrip(t *testing.T) {
	t.Parallel()
	for _, layout := range []ociremote.Layout{ociremote.LayoutDefault, ociremote.LayoutNoData, ociremote.LayoutGitLab} {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{Token: true})
			repo := openWritable(t, newClient(t, ociremote.Options{}), reg.Host())
			b, blobs := pack(t, "1", ociremote.PackOptions{Layout: layout})
			for _, blob := range blobs {
				// Not a type that net/http knows how to send again.
				if err := repo.Push(ctx, blob.Descriptor, io.LimitReader(bytes.NewReader(blob.Data), 1<<20)); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"tuf", "tuf.v1", b.Descriptor.Digest.String()} {
				if err := repo.PushReference(ctx, b.Descriptor, bytes.NewReader(b.Manifest), name); err != nil {
					t.Fatal(err)
				}
				desc, err := repo.Resolve(ctx, name)
				if err != nil || !content.Equal(desc, b.Descriptor) {
					t.Errorf("%s: resolved %v, %v", name, desc, err)
				}
				got, err := ociremote.FetchBundle(ctx, repo, name, ociremote.Known{})
				if err != nil || !bytes.Equal(got.Manifest, b.Manifest) {
					t.Errorf("%s: %v", name, err)
				}
			}
			var tags []string
			if err := repo.Tags(ctx, "", func(page []string) error { tags = append(tags, page...); return nil }); err != nil || !slices.Equal(tags, []string{"tuf", "tuf.v1"}) {
				t.Errorf("tags %q, %v", tags, err)
			}
			stop := errors.New("enough")
			if err := repo.Tags(ctx, "", func([]string) error { return stop }); err != stop {
				t.Errorf("tags: got %v", err)
			}
			if _, err := repo.Resolve(ctx, "none"); !errors.Is(err, ociremote.ErrNotFound) {
				t.Errorf("none: got %v", err)
			}
			missing := ocispec.Descriptor{MediaType: ociremote.MediaTypeTarget, Digest: digest.FromString("missing"), Size: 7}
			if _, err := ociremote.FetchBlob(ctx, repo, missing, 100); !errors.Is(err, ociremote.ErrBlobNotFound) {
				t.Errorf("missing blob: got %v", err)
			}
			if err := repo.Push(ctx, missing, strings.NewReader("another")); err == nil {
				t.Error("content of another digest was pushed")
			}
			// The same registry lends its blobs.
			other := openRepository(t, newClient(t, ociremote.Options{}), reg.Host()+"/acme/other", true)
			reg.Reset()
			if err := other.(registry.Mounter).Mount(ctx, blobs[0].Descriptor, "acme/trust", nil); err != nil {
				t.Error(err)
			}
			if ok, err := other.Exists(ctx, blobs[0].Descriptor); !ok || err != nil {
				t.Errorf("mounted: %v, %v", ok, err)
			}
			for _, r := range reg.Requests() {
				if r.Method == http.MethodPut || strings.HasPrefix(r.Path, "/v2/acme/trust/blobs/") {
					t.Errorf("mounted by %s %s", r.Method, r.Path)
				}
			}
			if err := repo.(content.Deleter).Delete(ctx, b.Descriptor); err != nil {
				t.Fatal(err)
			}
			if _, err := ociremote.FetchBundle(ctx, repo, "tuf.v1", ociremote.Known{}); !errors.Is(err, ociremote.ErrNotFound) {
				t.Errorf("deleted: got %v", err)
			}
		})
	}
}

func TestRegistryTagPages(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	b, blobs := pack(t, "1", ociremote.PackOptions{})
	put(reg, b, blobs)
	for v := int64(1); v <= 1100; v++ {
		reg.PutManifest("acme/trust", ociremote.HistoryTag("tuf", v), b.Manifest)
	}
	repo := openWritable(t, newClient(t, ociremote.Options{}), reg.Host())
	pages, tags := 0, 0
	if err := repo.Tags(t.Context(), "tuf", func(page []string) error { pages++; tags += len(page); return nil }); err != nil || tags != 1100 || pages != 3 {
		t.Errorf("%d tags on %d pages, %v", tags, pages, err)
	}
	gone := openRepository(t, newClient(t, ociremote.Options{}), reg.Host()+"/no/such", true).(ociremote.WritableRepository)
	if err := gone.Tags(t.Context(), "", func([]string) error { return nil }); err != nil && !errors.Is(err, ociremote.ErrNotFound) {
		t.Errorf("no repository: got %v", err)
	}
}

// What is pushed arrives although the registry loses an answer on the way.
func TestRegistryPushRetries(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		for _, acted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s acted %v", method, acted), func(t *testing.T) {
				t.Parallel()
				reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
				var failed atomic.Int64
				reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if r.Method != method || failed.Add(1)%2 == 0 {
						next.ServeHTTP(w, r)
						return
					}
					if acted {
						next.ServeHTTP(httptest.NewRecorder(), r)
					}
					panic(http.ErrAbortHandler)
				})
				repo := openWritable(t, newClient(t, ociremote.Options{}), reg.Host())
				b, blobs := pack(t, "1", ociremote.PackOptions{})
				for _, blob := range blobs {
					if err := repo.Push(t.Context(), blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
						t.Fatal(err)
					}
				}
				if err := repo.PushReference(t.Context(), b.Descriptor, bytes.NewReader(b.Manifest), "tuf"); err != nil {
					t.Fatal(err)
				}
				if reg.Digest("acme/trust", "tuf") != b.Descriptor.Digest.String() {
					t.Error("the tag does not point to the bundle")
				}
			})
		}
	}
}

func TestRegistryRefusesPush(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 405, 412, 413} {
		reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
		reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPut {
				w.WriteHeader(status)
				return
			}
			next.ServeHTTP(w, r)
		})
		repo := openWritable(t, newClient(t, ociremote.Options{}), reg.Host())
		b, blobs := pack(t, "1", ociremote.PackOptions{})
		for _, err := range []error{
			repo.Push(t.Context(), blobs[0].Descriptor, bytes.NewReader(blobs[0].Data)),
			repo.PushReference(t.Context(), b.Descriptor, bytes.NewReader(b.Manifest), "tuf"),
		} {
			ae, isAuth := errors.AsType[*ociremote.AuthError](err)
			te, isTransport := errors.AsType[*ociremote.TransportError](err)
			if isAuth != (status == 401 || status == 403) || isAuth == isTransport || (isAuth && ae.Status != status) || (isTransport && te.Status != status) {
				t.Errorf("%d: got %v (%T)", status, err, err)
			}
		}
	}
}

func TestRepositoryKinds(t *testing.T) {
	t.Parallel()
	c := newClient(t, ociremote.Options{})
	dir := t.TempDir()
	for ref, push := range map[string]bool{
		"oci-layout:" + filepath.Join(dir, "none"):       false,
		"oci-archive:" + filepath.Join(dir, "none.tar"):  false,
		"oci-archive:" + filepath.Join(dir, "none2.tar"): true,
	} {
		parsed, err := ociremote.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Repository(t.Context(), parsed, push); err == nil || errors.Is(err, ociremote.ErrNotFound) == push {
			t.Errorf("%s: got %v", ref, err)
		}
	}
	if _, ok := openRepository(t, c, "oci-layout:"+filepath.Join(dir, "new"), true).(ociremote.WritableRepository); !ok {
		t.Error("a layout to push to is not writable")
	}
}

// Docker Hub counts the GETs of manifests: it is asked by HEAD first.
func TestDockerHubIsAskedByHead(t *testing.T) {
	t.Parallel()
	reg := stocked(t, tuftest.RegistryOptions{TLS: true, ETag: true})
	c := newClient(t, ociremote.Options{Insecure: true, Resolve: []string{"registry-1.docker.io:443:" + reg.Host()}})
	repo := open(t, c, "docker.io")
	got, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", known(got)); !errors.Is(err, ociremote.ErrNotModified) {
		t.Errorf("got %v, want ErrNotModified", err)
	}
	if want := []string{"GET tuf", "HEAD tuf"}; !slices.Equal(requests(reg), want) {
		t.Errorf("%q, want %q", requests(reg), want)
	}
}

// A registry that leaves the digest out of its answers.
func TestRegistryWithoutDigestHeader(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	b, blobs := large(t)
	put(reg, b, blobs)
	reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
	ctx := t.Context()
	repo := openWritable(t, newClient(t, ociremote.Options{}), reg.Host())
	if desc, err := repo.Resolve(ctx, "tuf"); err != nil || !content.Equal(desc, b.Descriptor) {
		t.Errorf("resolved %v, %v", desc, err)
	}
	desc, rc, err := repo.FetchReference(ctx, "tuf")
	if err != nil || !content.Equal(desc, b.Descriptor) {
		t.Fatalf("fetched %v, %v", desc, err)
	}
	defer rc.Close()
	if data, err := content.ReadAll(rc, desc); err != nil || !bytes.Equal(data, b.Manifest) {
		t.Error(err)
	}
	if _, err := ociremote.FetchBundle(ctx, repo, "tuf", known(b)); !errors.Is(err, ociremote.ErrNotModified) {
		t.Errorf("known: got %v, want ErrNotModified", err)
	}
	if got, err := ociremote.FetchBundle(ctx, repo, b.Descriptor.Digest.String(), ociremote.Known{}); err != nil || !got.SameContent(b) {
		t.Error(err)
	}
}

// What lies in its header is refused before anything is read.
func TestRegistryHeadersThatLie(t *testing.T) {
	t.Parallel()
	b, _ := pack(t, "1", ociremote.PackOptions{})
	other, _ := pack(t, "2", ociremote.PackOptions{})
	length, digestHeader := "3", ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		if digestHeader != "" {
			w.Header().Set("Docker-Content-Digest", digestHeader)
		}
		body := []byte("{}")
		if length == "" {
			body = make([]byte, ociremote.MaxManifest+1)
		} else {
			w.Header().Set("Content-Length", length)
		}
		_, _ = w.Write(body)
	}))
	defer server.Close()
	repo := open(t, newClient(t, ociremote.Options{}), strings.TrimPrefix(server.URL, "http://"))
	if rc, err := repo.Fetch(t.Context(), b.Files[0].Descriptor); !errors.Is(err, ociremote.ErrMalformed) {
		t.Errorf("blob of another length: got %v, %v", rc, err)
	}
	length = fmt.Sprint(ociremote.MaxManifest + 1)
	if _, rc, err := repo.FetchReference(t.Context(), "tuf"); !errors.Is(err, ociremote.ErrTooLarge) {
		t.Errorf("manifest without a digest that is too large: got %v, %v", rc, err)
	}
	length = ""
	if _, rc, err := repo.FetchReference(t.Context(), "tuf"); !errors.Is(err, ociremote.ErrTooLarge) {
		t.Errorf("manifest without digest and length that is too large: got %v, %v", rc, err)
	}
	length, digestHeader = "2", other.Descriptor.Digest.String()
	if _, err := repo.Resolve(t.Context(), b.Descriptor.Digest.String()); !errors.Is(err, ociremote.ErrMalformed) {
		t.Errorf("another digest than asked for: got %v", err)
	}
}

// The repository of Sigstore, with all its roots, is one small manifest.
func TestSigstoreFits(t *testing.T) {
	t.Parallel()
	dir := tuftest.SharedFixture(t, "sigstore")
	var files []ociremote.Content
	for _, folder := range []string{"metadata", "targets"} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			files = append(files, ociremote.Content{Title: filepath.ToSlash(rel), Data: data})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b, _, err := ociremote.Pack(files, ociremote.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Files {
		if _, ok := b.Inline(f.Title); !ok {
			t.Errorf("%s is not inline", f.Title)
		}
	}
	if b.Descriptor.Size >= 40<<10 {
		t.Errorf("%d files take %d bytes", len(b.Files), b.Descriptor.Size)
	}
}
