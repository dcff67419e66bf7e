package ociremote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
)

// A connection that is no longer HTTP would be read for ever: no context ends that.
func TestSwitchedProtocols(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	repo := open(t, newClient(t, ociremote.Options{Retries: -1}), strings.TrimPrefix(server.URL, "http://"))
	_, err := ociremote.FetchBundle(ctx, repo, "tuf", ociremote.Known{})
	if te, ok := errors.AsType[*ociremote.TransportError](err); !ok || te.Status != 0 || !strings.Contains(err.Error(), "101") || ctx.Err() != nil {
		t.Errorf("%v", err)
	}
}

// An ETag that is no digest of its manifest is not kept: it could be that of the next
// one, and a registry that is honest again would say that nothing has changed.
func TestETagOfAnotherManifest(t *testing.T) {
	t.Parallel()
	reg := tuftest.NewRegistry(t, tuftest.RegistryOptions{ETag: true})
	b, blobs := pack(t, "1", ociremote.PackOptions{})
	next, nextBlobs := pack(t, "2", ociremote.PackOptions{})
	put(reg, b, blobs)
	repo := open(t, newClient(t, ociremote.Options{}), reg.Host())
	for _, etag := range []string{`"` + next.Descriptor.Digest.String() + `"`, next.Descriptor.Digest.String(), `W/"x"`, `"` + strings.Repeat("x", 100<<10) + `"`} {
		reg.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("ETag", etag)
			_, _ = w.Write(b.Manifest)
		})
		got, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
		if err != nil || got.ETag != "" {
			t.Errorf("%.80q is kept: %v", etag, err)
		}
	}
	reg.Intercept(nil)
	put(reg, next, nextBlobs)
	if got, err := ociremote.FetchBundle(t.Context(), repo, "tuf", known(b)); err != nil || !got.SameContent(next) {
		t.Errorf("%v", err)
	}
}

// A token that cannot be sent is asked for again by the next request.
func TestTokenThatIsNone(t *testing.T) {
	t.Parallel()
	token := ""
	server := httptest.NewServer(nil)
	defer server.Close()
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header.Get("Authorization")) > 64<<10 {
			t.Error("the long token was sent")
		}
		switch {
		case r.URL.Path == "/token":
			fmt.Fprintf(w, `{"token":%q}`, token)
		case r.Header.Get("Authorization") != "Bearer good":
			challenged(fmt.Sprintf(`Bearer realm="%s/token"`, server.URL))(w, r)
		default:
			http.NotFound(w, r)
		}
	})
	repo := open(t, newClient(t, ociremote.Options{}), strings.TrimPrefix(server.URL, "http://"))
	for _, token = range []string{"a\r\nX-Injected: 1", "a b", "ü", strings.Repeat("x", 65<<10), "bad"} {
		_, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
		if _, ok := errors.AsType[*ociremote.AuthError](err); !ok || len(err.Error()) > 2000 {
			t.Errorf("%.20q: %v", token, err)
		}
	}
	token = "good"
	if _, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{}); !errors.Is(err, ociremote.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// What a server sends in the head of its answer is bounded, and little of it is told.
func TestHeadOfAnAnswer(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(h http.Header){
		"a megabyte":       func(h http.Header) { h.Set("X-Padding", strings.Repeat("x", 1<<20)) },
		"a long location":  func(h http.Header) { h.Set("Location", "http://[::1/"+strings.Repeat("x", 100<<10)) },
		"a long challenge": func(h http.Header) { h.Set("WWW-Authenticate", `Bearer realm="x://`+strings.Repeat("x", 100<<10)+`"`) },
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			set(w.Header())
			status := http.StatusFound
			if w.Header().Get("WWW-Authenticate") != "" {
				status = http.StatusUnauthorized
			}
			w.WriteHeader(status)
		}))
		defer server.Close()
		repo := open(t, newClient(t, ociremote.Options{Retries: -1}), strings.TrimPrefix(server.URL, "http://"))
		_, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
		te, transport := errors.AsType[*ociremote.TransportError](err)
		if err == nil || len(err.Error()) > 2000 || transport && te.Status != 0 {
			t.Errorf("%s: %.2000v", name, err)
		}
	}
}
