package ociremote_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// witness is a server that notes what it was sent.
type witness struct {
	*httptest.Server
	mu   sync.Mutex
	seen []http.Header
}

func newWitness(t *testing.T, handle http.HandlerFunc) *witness {
	t.Helper()
	w := &witness{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.seen = append(w.seen, r.Header.Clone())
		w.mu.Unlock()
		handle(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

// saw reports how many requests came, and in how many of them a header.
func (w *witness) saw(name string) (requests, with int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.seen {
		if h.Get(name) != "" {
			with++
		}
	}
	return len(w.seen), with
}

// Custom headers and credentials stay with the registry's own origin, whatever
// it redirects to and whoever gives its tokens.
func TestHeadersAndCredentialsStayWithTheRegistry(t *testing.T) {
	t.Parallel()
	data := []byte("blob")
	storage := newWitness(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	realm := newWitness(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"t"}`) })
	registry := newWitness(t, nil)
	registry.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		registry.mu.Lock()
		registry.seen = append(registry.seen, r.Header.Clone())
		registry.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer t":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, realm.URL))
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(r.URL.Path, "/blobs/"):
			http.Redirect(w, r, storage.URL+"/x", http.StatusTemporaryRedirect)
		}
	})
	c := newClient(t, ociremote.Options{Headers: []string{"X-Secret: 1"}, Username: "user", Password: "password"})
	repo := open(t, c, strings.TrimPrefix(registry.URL, "http://"))
	b, _, err := ociremote.Pack([]ociremote.Content{{Title: "targets/x", Data: data}}, ociremote.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := ociremote.FetchBlob(t.Context(), repo, b.Files[0].Descriptor, 100); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if n, with := registry.saw("X-Secret"); n != 3 || with != 3 {
		t.Errorf("registry: %d requests, %d with the header", n, with)
	}
	if n, with := storage.saw("X-Secret"); n != 2 || with != 0 {
		t.Errorf("storage: %d requests, %d with the header", n, with)
	}
	if _, with := storage.saw("Authorization"); with != 0 {
		t.Error("storage was sent the token")
	}
	if n, with := realm.saw("X-Secret"); n != 1 || with != 0 {
		t.Errorf("realm: %d requests, %d with the header", n, with)
	}
	if _, with := realm.saw("Authorization"); with != 1 {
		t.Error("the realm got no credentials")
	}
	// A source that is no registry gets neither.
	resp, err := c.HTTP().Get(storage.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, with := storage.saw("X-Secret"); with != 0 {
		t.Error("the header was sent to a web server")
	}
	if n, with := storage.saw("User-Agent"); n != with {
		t.Error("no user agent")
	}
}

// Storage that refuses is no registry that refuses.
func TestRedirectedBlobRefused(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{403: "transport", 404: "lost", 500: "transport", 200: "malformed"} {
		storage := newWitness(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		registry := newWitness(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, storage.URL, http.StatusFound) })
		repo := open(t, newClient(t, ociremote.Options{Retries: -1}), strings.TrimPrefix(registry.URL, "http://"))
		b, _ := pack(t, "1", ociremote.PackOptions{})
		_, err := ociremote.FetchBlob(t.Context(), repo, b.Files[0].Descriptor, 1000)
		_, isTransport := errors.AsType[*ociremote.TransportError](err)
		if isTransport != (want == "transport") || errors.Is(err, ociremote.ErrBlobNotFound) != (want == "lost") || errors.Is(err, ociremote.ErrMalformed) != (want == "malformed") {
			t.Errorf("%d: got %v (%T)", status, err, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	reg := stocked(t, tuftest.RegistryOptions{TLS: true})
	_, port, _ := strings.Cut(reg.Host(), ":")
	resolve := []string{"registry.example.com:" + port + ":" + reg.Host()}
	tests := []struct {
		name string
		host string
		o    ociremote.Options
		ok   bool
	}{
		{"no CA", "example.com", ociremote.Options{}, false},
		{"CA", "example.com", ociremote.Options{CAFile: reg.CAFile()}, true},
		{"insecure", "registry.example.com", ociremote.Options{Insecure: true}, true},
		{"plain", "example.com", ociremote.Options{PlainHTTP: true}, false},
		{"not resolved", "other.invalid", ociremote.Options{Insecure: true}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.o.Resolve = append(resolve, "example.com:"+port+":"+reg.Host())
			tt.o.Retries = -1
			_, err := ociremote.FetchBundle(t.Context(), open(t, newClient(t, tt.o), tt.host+":"+port), "tuf", ociremote.Known{})
			if _, isTransport := errors.AsType[*ociremote.TransportError](err); (err == nil) != tt.ok || (err != nil && !isTransport) {
				t.Errorf("got %v", err)
			}
		})
	}
	// A loopback host that is said to have TLS is not asked in the clear.
	for _, o := range []ociremote.Options{{CAFile: reg.CAFile()}, {Insecure: true}} {
		if _, err := ociremote.FetchBundle(t.Context(), open(t, newClient(t, o), reg.Host()), "tuf", ociremote.Known{}); err != nil {
			t.Error(err)
		}
	}
}

// HTTP/2 is spoken where the server does, whatever is set of TLS and of addresses. Hosts
// share no connection, be it that they are at one address and one certificate is for both
// (RFC 9113, 9.1.1): net/http has one for each name.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	reg := stocked(t, tuftest.RegistryOptions{TLS: true, HTTP2: true})
	var mu sync.Mutex
	spoken := map[string]bool{}
	reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		spoken[r.Proto] = true
		mu.Unlock()
		next.ServeHTTP(w, r)
	})
	_, port, _ := strings.Cut(reg.Host(), ":")
	certificate, key := clientCertificate(t)
	for name, o := range map[string]ociremote.Options{
		"CA": {CAFile: reg.CAFile()}, "insecure": {Insecure: true}, "certificate": {CAFile: reg.CAFile(), CertFile: certificate, KeyFile: key},
	} {
		reg.Reset()
		for _, host := range []string{"example.com", "www.example.com"} {
			o.Resolve = append(o.Resolve, host+":"+port+":"+reg.Host())
		}
		c := newClient(t, o)
		for _, host := range []string{"example.com", "www.example.com", "example.com"} {
			if _, err := ociremote.FetchBundle(t.Context(), open(t, c, host+":"+port), "tuf", ociremote.Known{}); err != nil {
				t.Errorf("%s, %s: %v", name, host, err)
			}
		}
		if n := reg.Connections(); n != 2 {
			t.Errorf("%s: %d connections", name, n)
		}
		c.HTTP().CloseIdleConnections()
	}
	mu.Lock()
	defer mu.Unlock()
	if len(spoken) != 1 || !spoken["HTTP/2.0"] {
		t.Errorf("spoken: %v", spoken)
	}
}

func TestRedirectFromHTTPSToHTTP(t *testing.T) {
	t.Parallel()
	plain := newWitness(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") })
	server := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer server.Close()
	c := newClient(t, ociremote.Options{Insecure: true})
	if resp, err := c.HTTP().Get(server.URL); err == nil {
		resp.Body.Close()
		t.Error("followed")
	}
	if n, _ := plain.saw("x"); n != 0 {
		t.Error("a request in the clear")
	}
	loop := httptest.NewServer(nil)
	defer loop.Close()
	loop.Config.Handler = http.RedirectHandler(loop.URL, http.StatusFound)
	if resp, err := c.HTTP().Get(loop.URL); err == nil {
		resp.Body.Close()
		t.Error("an endless redirect ended")
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	reg := stocked(t, tuftest.RegistryOptions{})
	reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Add("Warning", `299 - "this will `+"\u009b"+`1mend"`)
		w.Header().Add("Warning", `110 - "stale"`)
		next.ServeHTTP(w, r)
	})
	var got []string
	repo := open(t, newClient(t, ociremote.Options{Warn: func(s string) { got = append(got, s) }}), reg.Host())
	for range 2 {
		if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 1 || !strings.Contains(got[0], "this will") || strings.Contains(got[0], "\u009b") {
		t.Errorf("got %q", got)
	}
}

// A registry that always has something new to say is not heard for ever.
func TestWarningsAreBounded(t *testing.T) {
	t.Parallel()
	reg := stocked(t, tuftest.RegistryOptions{})
	reg.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		for i := range 150 {
			w.Header().Add("Warning", fmt.Sprintf(`299 - "number %d"`, i))
		}
		next.ServeHTTP(w, r)
	})
	told := 0
	repo := open(t, newClient(t, ociremote.Options{Warn: func(string) { told++ }}), reg.Host())
	if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{}); err != nil {
		t.Fatal(err)
	}
	if told != 100 {
		t.Errorf("told %d", told)
	}
}

// An ETag without a digest says nothing about what is known: nobody is told that it has
// not changed.
func TestETagWithoutADigest(t *testing.T) {
	t.Parallel()
	reg := stocked(t, tuftest.RegistryOptions{ETag: true})
	repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
	first, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
	if err != nil || first.ETag == "" {
		t.Fatalf("%v, ETag %q", err, first.ETag)
	}
	if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{ETag: first.ETag}); err != nil {
		t.Error(err)
	}
}

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]ociremote.Options{
		"password alone":   {Password: "p"},
		"username alone":   {Username: "u"},
		"two credentials":  {Username: "u", Password: "p", IdentityToken: "t"},
		"missing CA":       {CAFile: empty + "x"},
		"empty CA":         {CAFile: empty},
		"certificate only": {CertFile: empty},
		"key only":         {KeyFile: empty},
		"bad certificate":  {CertFile: empty, KeyFile: empty},
		"header":           {Headers: []string{"x"}},
		"resolve":          {Resolve: []string{"x"}},
		"base with TLS":    {Base: http.DefaultTransport, Insecure: true},
		"base with addr":   {Base: http.DefaultTransport, Resolve: []string{"a:1:127.0.0.1"}},
	} {
		if c, err := ociremote.NewClient(o); err == nil || c != nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, o := range []tuftest.RegistryOptions{{Basic: true}, {Token: true, Username: "user", Password: "password"}} {
		reg := tuftest.NewRegistry(t, o)
		config := filepath.Join(t.TempDir(), "docker", "config.json")
		b, blobs := pack(t, "1", ociremote.PackOptions{})
		put(reg, b, blobs)
		stored := func() string {
			data, err := os.ReadFile(config)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			return string(data)
		}
		fetch := func() error {
			_, err := ociremote.FetchBundle(t.Context(), open(t, newClient(t, ociremote.Options{RegistryConfig: config}), reg.Host()), "tuf", ociremote.Known{})
			return err
		}
		if _, ok := errors.AsType[*ociremote.AuthError](fetch()); !ok {
			t.Error("no credentials are needed")
		}
		wrong := newClient(t, ociremote.Options{RegistryConfig: config, Username: "user", Password: "wrong"})
		if _, ok := errors.AsType[*ociremote.AuthError](wrong.Login(t.Context(), reg.Host())); !ok || strings.Contains(stored(), reg.Host()) {
			t.Errorf("wrong password: %s", stored())
		}
		right := newClient(t, ociremote.Options{RegistryConfig: config, Username: "user", Password: "password"})
		if err := right.Login(t.Context(), reg.Host()); err != nil || !strings.Contains(stored(), reg.Host()) {
			t.Errorf("login: %v, %s", err, stored())
		}
		if err := fetch(); err != nil {
			t.Error(err)
		}
		if err := right.Logout(t.Context(), reg.Host()); err != nil || strings.Contains(stored(), reg.Host()) {
			t.Errorf("logout: %v, %s", err, stored())
		}
		if fetch() == nil {
			t.Error("the credentials are still there")
		}
		if err := newClient(t, ociremote.Options{RegistryConfig: config}).Login(t.Context(), reg.Host()); err == nil {
			t.Error("login without credentials")
		}
		for _, bad := range []string{"", "a/b", "https://x", "user@x"} {
			if !errors.Is(right.Login(t.Context(), bad), ociremote.ErrInvalidReference) || !errors.Is(right.Logout(t.Context(), bad), ociremote.ErrInvalidReference) {
				t.Errorf("host %q is taken", bad)
			}
		}
	}
}

// A docker configuration that cannot be read hurts only who needs it, and never
// looks like a registry without a repository.
func TestBrokenDockerConfiguration(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{Token: true})
	_, err := ociremote.FetchBundle(t.Context(), open(t, newClient(t, ociremote.Options{RegistryConfig: config}), reg.Host()), "tuf", ociremote.Known{})
	if err == nil || errors.Is(err, ociremote.ErrNotFound) || !strings.Contains(err.Error(), "docker configuration") {
		t.Errorf("got %v", err)
	}
}

func TestIdentityToken(t *testing.T) {
	t.Parallel()
	var form string
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form = string(body)
		_ = json.NewEncoder(w).Encode(map[string]string{"access_token": "t"})
	})
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, server.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.NotFound(w, r)
	})
	repo := openWritable(t, newClient(t, ociremote.Options{IdentityToken: "refresh"}), strings.TrimPrefix(server.URL, "http://"))
	if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{}); !errors.Is(err, ociremote.ErrNotFound) {
		t.Error(err)
	}
	if !strings.Contains(form, "refresh_token=refresh") || !strings.Contains(form, "pull%2Cpush") {
		t.Errorf("asked with %q", form)
	}
}

// Another registry gets nothing that was given for the first one.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	home := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true, Username: "me", Password: "secret"})
	other := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true, Username: "me", Password: "secret"})
	c := newClient(t, ociremote.Options{Username: "me", Password: "secret", Headers: []string{"X-Key: secret"}})
	elsewhere, err := c.Elsewhere()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		client *ociremote.Client
		at     *tuftest.Registry
		told   bool
	}{{c, home, true}, {elsewhere, other, false}} {
		repo := openRepository(t, tt.client, tt.at.Host()+"/acme/trust", false)
		_, _ = repo.Resolve(t.Context(), "tuf")
		told := false
		for _, r := range tt.at.Requests() {
			told = told || r.Header.Get("Authorization") != "" || r.Header.Get("X-Key") != ""
		}
		if told != tt.told {
			t.Errorf("told %v, want %v", told, tt.told)
		}
	}
}
