package fetcher_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// everything keeps all requests, and passes them on.
type everything struct {
	http.RoundTripper
	mu   sync.Mutex
	seen []*http.Request
}

// RoundTrip implements http.RoundTripper.
func (e *everything) RoundTrip(req *http.Request) (*http.Response, error) {
	e.mu.Lock()
	e.seen = append(e.seen, req.Clone(req.Context()))
	e.mu.Unlock()
	return e.RoundTripper.RoundTrip(req)
}

// A web server is shown nothing that was given for a registry, wherever it sends to, and
// it sends nobody to a place that only this machine reaches.
func TestHTTPGetsNoSecrets(t *testing.T) {
	t.Parallel()
	targets := map[string]string{
		"1": "https://cdn.example/r", "2": "http://cdn.example/r", "3": "https://user:pass@cdn.example/r", "4": "file:///r",
		"5": "https://localhost/r", "6": "https://169.254.169.254/r", "7": "https://[::1]/r",
	}
	server := &web{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		version := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/repo/"), ".root.json")
		if target, ok := targets[version]; ok {
			http.Redirect(w, r, target, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "file")
	}}
	all := &everything{RoundTripper: server}
	client, err := ociremote.NewClient(ociremote.Options{Base: all, Username: "user", Password: "hunter", Headers: []string{"X-Key: hunter"}})
	if err != nil {
		t.Fatal(err)
	}
	src := fetcher.Source{Kind: fetcher.KindHTTP, URL: webURL}
	v, err := fetcher.Open(t.Context(), src, fetcher.Options{Client: client, TargetsURL: "https://files.example/t/"})
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, v, "targets/x", "file")
	for version := range targets {
		_, err := v.File(t.Context(), "metadata/"+version+".root.json", plenty)
		if ok := version == "1"; ok != (err == nil) || !ok && !errors.Is(err, ociremote.ErrRedirect) {
			t.Errorf("%s: %v", targets[version], err)
		}
	}
	hosts := map[string]int{}
	for _, r := range all.seen {
		hosts[r.URL.Scheme+"://"+r.URL.Host]++
		for name := range r.Header {
			if name != "User-Agent" && name != "Accept-Encoding" {
				t.Errorf("%s was sent %s", r.URL, name)
			}
		}
	}
	if len(hosts) != 3 || hosts["https://tuf.example"] != len(targets) || hosts["https://cdn.example"] != 1 || hosts["https://files.example"] != 1 {
		t.Errorf("asked: %v", hosts)
	}
}

// Credentials that were given for the registry of a bundle in the older layout are not
// for that of its target files.
func TestLegacyTargetsElsewhere(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	repo.AddTarget("hello.txt", []byte("hello"))
	repo.Publish()
	home := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true, Username: "me", Password: "hunter"})
	home.PushLegacy(repository, "tuf", "acme/targets", repo)
	other := tuftest.NewRegistry(t, tuftest.RegistryOptions{Basic: true, Username: "me", Password: "hunter"})
	client, err := ociremote.NewClient(ociremote.Options{Username: "me", Password: "hunter", Headers: []string{"X-Key: hunter"}, RegistryConfig: emptyConfig(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.HTTP().CloseIdleConnections)
	title := "targets/" + tuftest.Digest([]byte("hello"))[7:] + ".hello.txt"
	for _, at := range []*tuftest.Registry{home, other} {
		v, err := fetcher.Open(t.Context(), source(t, home), fetcher.Options{Client: client, TargetsURL: at.Host() + "/acme/targets"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.File(t.Context(), title, plenty)
		if _, refused := errors.AsType[*ociremote.AuthError](err); (at == home) != (err == nil) || (at == other) != refused {
			t.Errorf("%v", err)
		}
	}
	for _, r := range other.Requests() {
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Key") != "" {
			t.Errorf("%s was told", r.Path)
		}
	}
	if len(other.Requests()) == 0 {
		t.Error("the other registry was not asked")
	}
}
