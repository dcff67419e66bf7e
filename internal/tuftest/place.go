package tuftest

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kind is a kind of source that a client reads a repository from.
type Kind string

// The kinds. All but the last two hold bundles.
const (
	InRegistry Kind = "registry"
	InLayout   Kind = "layout"
	InArchive  Kind = "archive"
	OverHTTP   Kind = "http"
	InDir      Kind = "dir"
)

// Kinds are all of them, for loops.
var Kinds = []Kind{InRegistry, InLayout, InArchive, OverHTTP, InDir}

// BundleKinds hold bundles.
var BundleKinds = []Kind{InRegistry, InLayout, InArchive}

// NetworkKinds are asked over the network.
var NetworkKinds = []Kind{InRegistry, OverHTTP}

const (
	placeRepository = "acme/trust"
	placeTag        = "tuf"
)

// Place is where a repository is put out and read: one source of one kind. What is
// put replaces what was there.
type Place struct {
	t    testing.TB
	kind Kind

	registry *Registry        // of InRegistry
	server   *httptest.Server // of the network kinds
	wire     *listener        // the server's
	path     string           // of the others

	mu        sync.Mutex
	web       http.Handler // of OverHTTP: what it answers
	intercept func(w http.ResponseWriter, r *http.Request, next http.Handler)
	asked     []string // of OverHTTP
}

// NewPlace makes an empty place; it ends with the test.
func NewPlace(t testing.TB, kind Kind) *Place {
	t.Helper()
	return newPlace(t, kind, false)
}

// NewTLSPlace makes an empty place of a network kind that is asked over TLS with HTTP/2,
// by who trusts its CAFile.
func NewTLSPlace(t testing.TB, kind Kind) *Place {
	t.Helper()
	return newPlace(t, kind, true)
}

func newPlace(t testing.TB, kind Kind, secure bool) *Place {
	t.Helper()
	p := &Place{t: t, kind: kind, web: http.NotFoundHandler()}
	switch kind {
	case InRegistry:
		p.registry = NewRegistry(t, RegistryOptions{ETag: true, TLS: secure, HTTP2: secure})
		p.server, p.wire = p.registry.server, p.registry.wire
	case OverHTTP:
		p.startServer(secure)
	case InArchive:
		p.path = filepath.Join(t.TempDir(), "trust.tar")
	case InLayout, InDir:
		p.path = filepath.Join(t.TempDir(), "trust")
	default:
		t.Fatalf("kind of source %q", kind)
	}
	return p
}

func (p *Place) startServer(secure bool) {
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.wire = &listener{Listener: p.server.Listener}
	p.server.Listener, p.server.EnableHTTP2 = p.wire, secure
	if secure {
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	p.t.Cleanup(func() {
		p.wire.take(nil)
		p.server.CloseClientConnections()
		p.server.Close()
	})
}

// Kind is what kind of source the place is.
func (p *Place) Kind() Kind { return p.kind }

// Source is the form in which a command line names the place.
func (p *Place) Source() string {
	switch p.kind {
	case InRegistry:
		return p.registry.Host() + "/" + placeRepository + ":" + placeTag
	case InLayout:
		return "oci-layout:" + p.path + ":" + placeTag
	case InArchive:
		return "oci-archive:" + p.path + ":" + placeTag
	case OverHTTP:
		return p.server.URL + "/metadata/"
	default:
		return "file://" + p.path
	}
}

// Path is the directory or file of a place on disk, "" for the others.
func (p *Place) Path() string { return p.path }

// Registry is the registry of a place of that kind, nil for the others.
func (p *Place) Registry() *Registry { return p.registry }

// Repository is the name of the repository in the registry.
func (p *Place) Repository() string { return placeRepository }

// Tag is the tag of the bundle.
func (p *Place) Tag() string { return placeTag }

// Put puts out files by title, as a bundle where the place holds bundles.
func (p *Place) Put(files map[string][]byte, o PackOptions) {
	p.t.Helper()
	switch p.kind {
	case OverHTTP:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.web = Serve(maps.Clone(files))
	case InDir:
		p.clear()
		WriteFiles(p.t, p.path, files)
	default:
		p.PutBundle(Pack(p.t, files, o))
	}
}

// PutBundle puts out a bundle, right or wrong, where the place holds bundles.
func (p *Place) PutBundle(b *Bundle) {
	p.t.Helper()
	switch p.kind {
	case InRegistry:
		p.registry.Push(placeRepository, placeTag, b)
	case InLayout:
		p.clear()
		for name, data := range layoutFiles(p.t, b) {
			p.write(filepath.Join(p.path, filepath.FromSlash(name)), data)
		}
	case InArchive:
		p.PutArchive(layoutFiles(p.t, b))
	default:
		p.t.Fatalf("a place of kind %s holds no bundle", p.kind)
	}
}

// PutArchive writes the files of an OCI layout as a tar, right or wrong, to a place
// that is an archive.
func (p *Place) PutArchive(files map[string][]byte) {
	p.t.Helper()
	p.putTar(writeTar(p.t, tarEntries(files)))
}

// Intercept puts a handler before a place of a network kind, as Registry.Intercept
// does; nil takes it away, and what TakeOver has put there.
func (p *Place) Intercept(handler func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	p.t.Helper()
	if handler == nil && p.wire != nil {
		p.wire.take(nil)
	}
	switch p.kind {
	case InRegistry:
		p.registry.Intercept(handler)
	case OverHTTP:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.intercept = handler
	default:
		p.t.Fatalf("a place of kind %s is not asked over the network", p.kind)
	}
}

// CAFile is the certificate of a place over TLS, as Registry.CAFile.
func (p *Place) CAFile() string {
	p.t.Helper()
	return caFile(p.t, p.server)
}

// TakeOver closes the connections to a place over TLS, and lets a handler speak on those
// that follow, once their handshake has agreed on HTTP/2. Connections are held for
// holdTime at most.
func (p *Place) TakeOver(handler func(c *tls.Conn)) {
	p.t.Helper()
	if p.server.TLS == nil {
		p.t.Fatalf("a place of kind %s without TLS", p.kind)
	}
	config := &tls.Config{Certificates: p.server.TLS.Certificates, NextProtos: []string{"h2"}}
	p.wire.take(func(raw net.Conn) {
		_ = raw.SetDeadline(time.Now().Add(holdTime))
		c := tls.Server(raw, config)
		if c.Handshake() == nil {
			handler(c)
		}
	})
	p.server.CloseClientConnections()
}

// Asked are the paths that were asked for over the network, in order of arrival.
func (p *Place) Asked() []string {
	if p.registry != nil {
		var asked []string
		for _, r := range p.registry.Requests() {
			asked = append(asked, r.Path)
		}
		return asked
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *Place) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.URL.Path)
	web, intercept := p.web, p.intercept
	p.mu.Unlock()
	if intercept != nil {
		intercept(w, r, web)
		return
	}
	web.ServeHTTP(w, r)
}

func (p *Place) clear() {
	p.t.Helper()
	if err := os.RemoveAll(p.path); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Place) write(name string, data []byte) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// layoutFiles is a bundle as the files of an OCI layout, by name.
func layoutFiles(t testing.TB, b *Bundle) map[string][]byte {
	t.Helper()
	files := map[string][]byte{
		"oci-layout":            []byte(`{"imageLayoutVersion":"1.0.0"}`),
		"index.json":            layoutIndex(t, layoutEntry(manifestType, b.Digest, len(b.Manifest))),
		layoutBlob(t, b.Digest): b.Manifest,
	}
	for digest, data := range b.Blobs {
		files[layoutBlob(t, digest)] = data
	}
	return files
}

func layoutBlob(t testing.TB, digest string) string {
	t.Helper()
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		t.Fatalf("digest %q", digest)
	}
	return fmt.Sprintf("blobs/%s/%s", algorithm, hex)
}
