package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// meter counts at the client's transport: requests, their answers, and the
// bytes of bodies that were read.
type meter struct {
	base http.RoundTripper

	mu   sync.Mutex
	seen []string // "GET 200 /v2/..."
	read int
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := m.base.RoundTrip(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.seen = append(m.seen, fmt.Sprintf("%s error %s", r.Method, r.URL.Path))
		return nil, err
	}
	m.seen = append(m.seen, fmt.Sprintf("%s %d %s", r.Method, answer.StatusCode, r.URL.Path))
	if answer.StatusCode == http.StatusOK {
		answer.Body = &meteredBody{answer.Body, m}
	}
	return answer, nil
}

type meteredBody struct {
	io.ReadCloser
	meter *meter
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.meter.mu.Lock()
	defer b.meter.mu.Unlock()
	b.meter.read += n
	return n, err
}

// take returns what was counted since the last time.
func (m *meter) take() (seen []string, read int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen, read, m.seen, m.read = m.seen, m.read, nil, 0
	return seen, read
}

// rotated is a repository with this many roots, a small and a large target.
func rotated(t testing.TB, roots int) *tuftest.Repo {
	t.Helper()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	for len(repo.Roots()) < roots {
		repo.RotateKey("root")
		repo.Publish()
	}
	repo.AddTarget("small.txt", []byte("inlined"))
	repo.AddTarget("large.bin", bytes.Repeat([]byte("not inlined "), 50_000))
	repo.Publish()
	return repo
}

const (
	manifestGet = "GET 200 /v2/acme/trust/manifests/tuf"
	unchanged   = "GET 304 /v2/acme/trust/manifests/tuf"
	challenge   = "GET 401 /v2/acme/trust/manifests/tuf"
	tokenGet    = "GET 200 /token"
)

// TestRequests holds the consumer to the number of requests of the design's
// section 8, and to one connection for all of them.
func TestRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		registry   tuftest.RegistryOptions
		cold       []string
		nothingNew string
	}{
		{"olareg", tuftest.RegistryOptions{}, []string{manifestGet}, manifestGet},
		{"ETag", tuftest.RegistryOptions{ETag: true}, []string{manifestGet}, unchanged},
		{"token", tuftest.RegistryOptions{Token: true}, []string{challenge, tokenGet, manifestGet}, manifestGet},
		{"token and ETag", tuftest.RegistryOptions{Token: true, ETag: true}, []string{challenge, tokenGet, manifestGet}, unchanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			repo := rotated(t, 15)
			registry := tuftest.NewRegistry(t, tt.registry)
			registry.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
			m := &meter{base: registry.Client().Transport}
			consumer := newConsumer(t, registry, m, repo.RootBytes())
			expect := func(what string, want ...string) int {
				t.Helper()
				seen, read := m.take()
				if fmt.Sprint(seen) != fmt.Sprint(want) {
					t.Errorf("%s: requests %q, want %q", what, seen, want)
				}
				return read
			}

			view := consumer.refresh()
			if got := view.Status().Root.Version; got != 15 {
				t.Fatalf("root version %d, want 15", got)
			}
			expect("cold start with 15 roots", tt.cold...)

			view = consumer.refresh()
			// A short body that nobody reads is drained: that costs less than a
			// new connection. TestUnreadBody has a longer one.
			if read := expect("nothing new", tt.nothingNew); tt.registry.ETag && read != 0 {
				t.Errorf("nothing new: %d bytes of a body were read", read)
			}
			if !view.Status().Unchanged {
				t.Error("nothing new: the view does not say so")
			}

			consumer.get(view, "small.txt", "inlined")
			expect("an inlined target")
			if data, _, err := view.Get(t.Context(), "large.bin"); err != nil || len(data) != 600_000 {
				t.Errorf("large.bin: %d bytes, error %v", len(data), err)
			}
			large := tuftest.Digest(bytes.Repeat([]byte("not inlined "), 50_000))
			expect("another target", "GET 200 /v2/acme/trust/blobs/"+large)
			if _, _, err := view.Get(t.Context(), "large.bin"); err != nil {
				t.Error(err)
			}
			expect("the same target again")

			repo.AddTarget("new.txt", []byte("new"))
			repo.Publish()
			registry.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
			consumer.get(consumer.refresh(), "new.txt", "new")
			expect("something new", manifestGet)

			if got := registry.Connections(); got != 1 {
				t.Errorf("%d connections, want 1", got)
			}
		})
	}
}

// TestUnreadBody leaves the body of an answer without ETag unread when its
// digest says that nothing is new.
func TestUnreadBody(t *testing.T) {
	t.Parallel()
	repo := rotated(t, 2)
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	padding := map[string]string{"padding": strings.Repeat("x", 40<<10)}
	registry.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{Annotations: padding}))
	m := &meter{base: registry.Client().Transport}
	consumer := newConsumer(t, registry, m, repo.RootBytes())
	consumer.refresh()
	m.take()
	if view := consumer.refresh(); !view.Status().Unchanged {
		t.Error("nothing new: the view does not say so")
	}
	if seen, read := m.take(); len(seen) != 1 || seen[0] != manifestGet || read != 0 {
		t.Errorf("nothing new: requests %q, %d bytes of the body were read", seen, read)
	}
}

// TestRequestsOfNewProcess counts what one command makes of a stored state.
func TestRequestsOfNewProcess(t *testing.T) {
	t.Parallel()
	repo := rotated(t, 15)
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true})
	registry.Push("acme/trust", "tuf", tuftest.Pack(t, repo.Files(), tuftest.PackOptions{}))
	p := newPerson(t).at(repo.Now())
	expect := func(what string, want ...int) {
		t.Helper()
		var got []int
		for _, request := range registry.Requests() {
			got = append(got, request.Status)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || registry.Connections() > 1 {
			t.Errorf("%s: answers %v on %d connections, want %v", what, got, registry.Connections(), want)
		}
		registry.CloseConnections()
		registry.Reset()
	}
	registry.Reset()
	p.must("trust", "add", "acme", registry.Host()+"/acme/trust", "--plain-http", "--root", p.file("root.json", repo.RootBytes()))
	expect("trust add", 200)
	p.must("trust", "update", "--plain-http")
	expect("trust update", 304)
	if got := p.must("get", "acme", "small.txt", "--plain-http"); got != "inlined" {
		t.Errorf("small.txt = %q", got)
	}
	expect("get of an inlined target", 304)
	p.must("get", "acme", "large.bin", "--plain-http", "-o", p.home+"/large.bin")
	expect("get of another target", 304, 200)
	p.must("get", "acme", "large.bin", "--plain-http", "-o", p.home+"/large.bin")
	expect("get of a cached target", 304)
}

// consumer reads one registry repository as a long-lived program does: one
// client, one state directory.
type consumer struct {
	t      testing.TB
	client *trust.Client
}

func newConsumer(t testing.TB, registry *tuftest.Registry, base http.RoundTripper, root []byte) *consumer {
	t.Helper()
	oci, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	source, err := trust.ParseSource(registry.Host() + "/acme/trust")
	if err != nil {
		t.Fatal(err)
	}
	client, err := trust.New(root, trust.Options{
		StateDir: t.TempDir(), CacheDir: t.TempDir(),
		Client: oci, Source: source, Now: func() time.Time { return tuftest.Epoch },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &consumer{t: t, client: client}
}

func (c *consumer) refresh() *trust.View {
	c.t.Helper()
	view, err := c.client.Refresh(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return view
}

func (c *consumer) get(view *trust.View, name, want string) {
	c.t.Helper()
	if data, _, err := view.Get(c.t.Context(), name); err != nil || string(data) != want {
		c.t.Errorf("%s = %q, %v; want %q", name, data, err, want)
	}
}
