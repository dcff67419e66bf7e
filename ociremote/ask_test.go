package ociremote_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// Whatever a registry says is an answer, as long as it is not too long.
func TestAsk(t *testing.T) {
	t.Parallel()
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{Token: true, Username: "u", Password: "p"})
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/endless") {
			for range ociremote.MaxManifest>>10 + 2 {
				_, _ = w.Write(make([]byte, 1<<10))
			}
			return
		}
		next.ServeHTTP(w, r)
	})
	client := func(password string) ociremote.Repository {
		c, err := ociremote.NewClient(ociremote.Options{PlainHTTP: true, Base: g.Client().Transport, Username: "u", Password: password, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		repo, err := c.Repository(t.Context(), ociremote.Reference{Kind: ociremote.KindRegistry, Host: g.Host(), Repository: "a/b"}, true)
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
	repo := client("p")
	g.PutBlob("a/b", []byte("{}"))
	g.PutManifest("a/b", "tuf", []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}`))
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/tags/list", http.StatusOK},
		{http.MethodGet, "/manifests/none", http.StatusNotFound},
		{http.MethodDelete, "/manifests/tuf", http.StatusAccepted}, // with a token that covers it
	} {
		a, err := ociremote.Ask(t.Context(), repo, ociremote.Question{Method: c.method, Path: c.path})
		if err != nil || a.Status != c.status || (a.Refusal != nil) != (c.status >= 400) {
			t.Errorf("%s %s: %+v, %v", c.method, c.path, a, err)
		}
	}
	a, err := ociremote.Ask(t.Context(), client("wrong"), ociremote.Question{Method: http.MethodGet, Path: "/tags/list"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*ociremote.AuthError](a.Refusal); !ok {
		t.Errorf("%+v", a)
	}
	if _, err := ociremote.Ask(t.Context(), repo, ociremote.Question{Method: http.MethodGet, Path: "/endless"}); !errors.Is(err, ociremote.ErrTooLarge) {
		t.Errorf("an endless answer: %v", err)
	}
	if _, err := ociremote.Ask(t.Context(), ociremote.NewMemory(), ociremote.Question{Method: http.MethodGet, Path: "/tags/list"}); err == nil {
		t.Error("a repository in memory has no registry to ask")
	}
}
