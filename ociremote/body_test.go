package ociremote_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tufoci/tufoci/ociremote"
)

func TestWithBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "body") }))
	defer server.Close()
	client, err := ociremote.NewClient(ociremote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.HTTP().CloseIdleConnections()
	wrapped := 0
	ctx := ociremote.WithBody(t.Context(), func(body io.ReadCloser) io.ReadCloser {
		wrapped++
		return body
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); string(data) != "body" || err != nil || wrapped != 1 {
		t.Errorf("%q, %v, wrapped %d times", data, err, wrapped)
	}
}
