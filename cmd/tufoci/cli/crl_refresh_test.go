package cli

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
)

func TestHTTPGetIsBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			http.Error(w, "gone", http.StatusGone)
			return
		}
		_, _ = w.Write([]byte(strings.Repeat("x", 10)))
	}))
	defer server.Close()
	if data, err := httpGet(t.Context(), server.Client(), server.URL, 10); err != nil || len(data) != 10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if data, err := httpGet(t.Context(), server.Client(), server.URL, 9); !errors.Is(err, material.ErrInvalid) || data != nil {
		t.Errorf("one byte too many: %d bytes, %v", len(data), err)
	}
	_, err := httpGet(t.Context(), server.Client(), server.URL+"/gone", 10)
	if e, ok := errors.AsType[*ociremote.TransportError](err); !ok || e.Status != http.StatusGone {
		t.Errorf("gone: %v", err)
	}
}
