package ociremote

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestParseResolve(t *testing.T) {
	t.Parallel()
	got, err := parseResolve([]string{
		"registry.example.com:443:127.0.0.1", "Registry.example.com:80:127.0.0.1:5000", "a:1:[::1]", "b:2:::1", "[2001:db8::1]:3:[::1]:4",
	})
	want := map[string]string{
		"registry.example.com:443": "127.0.0.1:443", "registry.example.com:80": "127.0.0.1:5000", "a:1": "[::1]:1", "b:2": "[::1]:2", "[2001:db8::1]:3": "[::1]:4",
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "a", "a:1", "a:1:", "a:1:host", ":1:127.0.0.1", "a:x:127.0.0.1", "a:0:127.0.0.1", "a:01:127.0.0.1", "[:1:127.0.0.1", "a b:1:127.0.0.1", "a:1:127.0.0.1:0", "a:1:127.0.0.1:x", "a:1:127.0.0.1:5:6"} {
		if got, err := parseResolve([]string{bad}); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	got, err := parseHeaders([]string{"x-one: 1", "X-One:2", "X-Two:  a: b "})
	if err != nil || strings.Join(got["X-One"], ",") != "1,2" || got.Get("X-Two") != "a: b" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "x", ": secret", "a b: secret", "x: secret\r\nY: 1", "x\n: secret", "Authorization: secret"} {
		if _, err := parseHeaders([]string{bad}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestOriginOf(t *testing.T) {
	t.Parallel()
	same := func(a, b string) bool {
		u, _ := url.Parse(a)
		v, _ := url.Parse(b)
		return originOf(u) == originOf(v)
	}
	for _, pair := range [][2]string{{"https://a/x", "https://A:443/y"}, {"http://a", "http://a:80/"}, {"http://[::1]:5/", "http://[::1]:5/x"}} {
		if !same(pair[0], pair[1]) {
			t.Errorf("%q are of two origins", pair)
		}
	}
	for _, pair := range [][2]string{{"https://a", "http://a"}, {"https://a", "https://a:444"}, {"https://a", "https://b.a"}, {"http://a:443", "https://a:443"}} {
		if same(pair[0], pair[1]) {
			t.Errorf("%q are of one origin", pair)
		}
	}
}

// The header of an answer is held whole before it can be judged, so that it has a
// bound.
func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	length := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Filler", strings.Repeat("a", length))
	}))
	defer server.Close()
	client, err := NewClient(Options{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		length  int
		refused bool
	}{{maxHeader / 2, false}, {maxHeader + 4096, true}} {
		length = test.length
		resp, err := client.HTTP().Get(server.URL)
		if (err != nil) != test.refused {
			t.Errorf("a header of %d bytes: %v", length, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
}
