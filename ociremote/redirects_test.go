package ociremote_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/ociremote"
)

// A context can ask for fewer redirects, and not for more than there are at most.
func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, fmt.Sprintf("/%d", asked), http.StatusFound)
	}))
	t.Cleanup(server.Close)
	client := newClient(t, ociremote.Options{}).HTTP()
	for most, want := range map[int]int{2: 3, ociremote.MaxRedirects: 11, 50: 11} {
		asked = 0
		req, err := http.NewRequestWithContext(ociremote.WithRedirects(t.Context(), most), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if !errors.Is(err, ociremote.ErrRedirect) || !errors.Is(err, ociremote.ErrLimit) || asked != want {
			t.Errorf("%d: %v after %d requests, want %d", most, err, asked, want)
		}
	}
}

// A registry that sends on too often is out of reach, as one that sends on to where
// nobody goes is. The error has no URL of its choice in full.
func TestTooManyRedirectsOfARegistry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/"+strings.Repeat("x", 100<<10), http.StatusFound)
	}))
	t.Cleanup(server.Close)
	repo := openRepository(t, newClient(t, ociremote.Options{}), strings.TrimPrefix(server.URL, "http://")+"/acme/trust", false)
	_, err := ociremote.FetchBundle(t.Context(), repo, "tuf", ociremote.Known{})
	_, transport := errors.AsType[*ociremote.TransportError](err)
	if !transport || !errors.Is(err, ociremote.ErrRedirect) || !errors.Is(err, ociremote.ErrLimit) {
		t.Errorf("%.200s (%T)", err, err)
	}
	if err != nil && len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}
