package serve

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A path asks for one file of a repository, or for none: whatever is made of it stays inside, and asked for again by its
// title it is the same file.
func FuzzTitleOf(f *testing.F) {
	for _, s := range []string{
		"/metadata/1.root.json", "/1.a%2Fb.json", "/targets/a/b%20c", "/targets/%2e%2e/x", "/targets/..%2fx", "//metadata/x.json", "/metadata/%00.json", "/targets/a%5Cb",
		"/targets/%25.json", "/metadata/..json",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		title, err := titleOf(u)
		if err != nil {
			if title != "" || !errors.Is(err, errPath) {
				t.Fatalf("%q, %v", title, err)
			}
			return
		}
		if title == "" {
			return
		}
		name, metadata := strings.CutPrefix(title, metadataFolder)
		if !metadata {
			name, _ = strings.CutPrefix(title, targetsFolder)
		}
		if !fs.ValidPath(title) || metadata && strings.Contains(name, "/") || name == "" || strings.ContainsFunc(title, func(r rune) bool { return r < ' ' }) {
			t.Fatalf("%q asks for %q", raw, title)
		}
		again := &url.URL{Path: "/" + title}
		if metadata {
			plain, err := url.PathUnescape(name)
			if err != nil {
				t.Fatal(err)
			}
			again = &url.URL{Path: "/" + metadataFolder + plain, RawPath: "/" + title}
		}
		if got, err := titleOf(again); err != nil || got != title {
			t.Fatalf("%q asks for %q, and that for %q, %v", raw, title, got, err)
		}
	})
}

// The headers of a client decide no more than whether bytes are sent.
func FuzzNoneMatch(f *testing.F) {
	sum := "sha256:" + strings.Repeat("0a", 32)
	for _, s := range []string{"*", etag(sum), "W/" + etag(sum), `"x", ` + etag(sum), `"`, ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["If-None-Match"] = []string{header}
		if noneMatch(r, etag(sum)) && !strings.Contains(header, "*") && !strings.Contains(header, etag(sum)) {
			t.Fatalf("%q has it", header)
		}
	})
}
