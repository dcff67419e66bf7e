package tuftest

import (
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
)

// RegistryOptions say how a registry behaves. The zero value is an open olareg
// over plain http: referrers API, deletes, no ETag on manifests.
type RegistryOptions struct {
	// Token asks for a bearer token of the registry's own token endpoint, with
	// the scope that the request needs. Anonymous unless Username is set.
	Token bool
	// Basic asks for HTTP basic authentication.
	Basic bool
	// Username and Password are what Token and Basic accept; Basic without
	// them takes "user" and "password".
	Username, Password string
	// ETag gives manifests an ETag and answers If-None-Match, quoted or bare,
	// with 304, as distribution does.
	ETag bool
	// NoReferrers switches the referrers API off.
	NoReferrers bool
	// Latency is added once to every new connection and to every request, as
	// a round trip to a registry far away.
	Latency time.Duration
	// TLS serves https with a certificate that only Client and CAFile know.
	TLS bool
	// HTTP2 speaks HTTP/2 over TLS, as registries do. Connections cannot be cut then,
	// only streams.
	HTTP2 bool
}

// Request is one request that reached the registry, also one that was not answered.
type Request struct {
	Method, Path, Query string
	// Status is 0 if the connection was cut.
	Status int
	// Bytes is the length of the body that was sent.
	Bytes int
	// Header is what the client sent.
	Header http.Header
}

// Registry is an olareg in this process, on a loopback port, that records what
// reaches it and can be made to fail. Methods that read or write its content
// go around the network: they are not recorded and never fail by a fault.
type Registry struct {
	t      testing.TB
	opts   RegistryOptions
	server *httptest.Server
	store  http.Handler
	wire   *listener

	mu        sync.Mutex
	requests  []*Request
	intercept func(w http.ResponseWriter, r *http.Request, next http.Handler)
	kill      kill
	tokens    map[string][]string // token → scopes
}

// NewRegistry starts a registry; it ends with the test.
func NewRegistry(t testing.TB, o RegistryOptions) *Registry {
	t.Helper()
	if o.Basic && o.Username == "" {
		o.Username, o.Password = "user", "password"
	}
	yes := true
	no := false
	referrers := !o.NoReferrers
	store := olareg.New(config.Config{
		Storage: config.ConfigStorage{StoreType: config.StoreMem, GC: config.ConfigGC{Frequency: -1, EmptyRepo: &no}},
		API: config.ConfigAPI{
			DeleteEnabled: &yes,
			Blob:          config.ConfigAPIBlob{DeleteEnabled: &yes},
			Referrer:      config.ConfigAPIReferrer{Enabled: &referrers},
		},
		Log: slog.New(slog.DiscardHandler),
	})
	g := &Registry{t: t, opts: o, store: store, tokens: map[string][]string{}}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(g.serve))
	g.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	g.wire = &listener{Listener: g.server.Listener, latency: o.Latency}
	g.server.Listener = g.wire
	g.server.EnableHTTP2 = o.HTTP2
	if o.TLS {
		g.server.StartTLS()
	} else {
		g.server.Start()
	}
	t.Cleanup(func() {
		g.wire.take(nil)
		g.server.CloseClientConnections()
		g.server.Close()
		if err := store.Close(); err != nil {
			t.Errorf("closing the registry: %v", err)
		}
	})
	return g
}

// Host is the registry's address, "127.0.0.1:PORT".
func (g *Registry) Host() string { return g.server.Listener.Addr().String() }

// URL is the registry's address with its scheme.
func (g *Registry) URL() string { return g.server.URL }

// Client returns an http client that trusts the registry.
func (g *Registry) Client() *http.Client { return g.server.Client() }

// CAFile writes the certificate of a TLS registry as a PEM file for the time
// of the test and returns its path.
func (g *Registry) CAFile() string {
	g.t.Helper()
	return caFile(g.t, g.server)
}

func caFile(t testing.TB, server *httptest.Server) string {
	t.Helper()
	certificate := server.Certificate()
	if certificate == nil {
		t.Fatal("the server has no certificate: it does not speak TLS")
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Requests returns what reached the registry since the last Reset, requests
// for tokens as well, in order of arrival.
func (g *Registry) Requests() []Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	requests := make([]Request, len(g.requests))
	for i, request := range g.requests {
		requests[i] = *request
	}
	return requests
}

// Reset forgets requests and counts. Connections stay open.
func (g *Registry) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests = nil
	g.wire.reset()
}

// Connections is the number of connections opened since the last Reset.
func (g *Registry) Connections() int { return int(g.wire.opened.Load()) }

// Traffic returns the bytes received and sent since the last Reset, headers
// (and TLS) included.
func (g *Registry) Traffic() (received, sent int64) {
	return g.wire.received.Load(), g.wire.sent.Load()
}

// CloseConnections closes all open connections, busy ones too.
func (g *Registry) CloseConnections() { g.server.CloseClientConnections() }

// SetLatency changes the latency.
func (g *Registry) SetLatency(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opts.Latency = d
	g.wire.setLatency(d)
}

// Intercept puts a handler before authentication and the registry itself; next
// goes on to them. nil takes it away. What it answers is recorded; a panic
// with http.ErrAbortHandler cuts the connection.
func (g *Registry) Intercept(handler func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.intercept = handler
}

// serve is the whole path of one request: record, latency, death, intercept,
// authentication, registry.
func (g *Registry) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	request := &Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone()}
	g.requests = append(g.requests, request)
	fate := g.kill.next()
	latency, intercept := g.opts.Latency, g.intercept
	g.mu.Unlock()

	time.Sleep(latency)
	if fate == dead {
		cut(w, nil)
		return
	}
	var inner http.Handler = http.HandlerFunc(g.answer)
	if intercept != nil {
		next := inner
		inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { intercept(w, r, next) })
	}
	recorded := &recorder{ResponseWriter: w, mu: &g.mu, request: request}
	if fate == alive {
		inner.ServeHTTP(recorded, r)
		return
	}
	buffered := httptest.NewRecorder()
	inner.ServeHTTP(buffered, r)
	if fate == cutAfter {
		cut(w, nil)
		return
	}
	answer := buffered.Result()
	if r.Method == http.MethodHead {
		answer.Body = http.NoBody
	}
	cut(w, half(answer))
}

// answer authenticates and serves, with the manifest conditions of ETag mode.
func (g *Registry) answer(w http.ResponseWriter, r *http.Request) {
	if g.opts.Token && r.URL.Path == tokenPath {
		g.issueToken(w, r)
		return
	}
	if !g.authorised(w, r) {
		return
	}
	if g.opts.NoReferrers && strings.Contains(r.URL.Path, "/referrers/") {
		http.NotFound(w, r) // text/plain, as distribution answers it
		return
	}
	if g.opts.ETag && strings.Contains(r.URL.Path, "/manifests/") && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		g.conditional(w, r)
		return
	}
	g.store.ServeHTTP(w, r)
}

// conditional answers a manifest request as distribution does: an ETag that is
// the quoted digest, 304 for an If-None-Match that names it, quoted or bare.
func (g *Registry) conditional(w http.ResponseWriter, r *http.Request) {
	known := r.Header.Get("If-None-Match")
	r.Header.Del("If-None-Match")
	buffered := httptest.NewRecorder()
	g.store.ServeHTTP(buffered, r)
	digest := buffered.Header().Get("Docker-Content-Digest")
	maps.Copy(w.Header(), buffered.Header())
	if buffered.Code == http.StatusOK && digest != "" {
		w.Header().Set("ETag", `"`+digest+`"`)
		if known == digest || known == `"`+digest+`"` {
			w.Header().Del("Content-Length")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(buffered.Code)
	_, _ = w.Write(buffered.Body.Bytes())
}
