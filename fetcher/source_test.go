package fetcher_test

import (
	"errors"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		kind fetcher.Kind
		out  string // what String returns; empty: in
	}{
		"registry.example.com/acme/trust":     {fetcher.KindRegistry, "registry.example.com/acme/trust:tuf"},
		"localhost:5000/trust:prod":           {fetcher.KindRegistry, ""},
		"oci-layout:some/dir:tuf":             {fetcher.KindLayout, ""},
		"oci-archive:bundle.tar:tuf":          {fetcher.KindArchive, ""},
		"https://tuf-repo-cdn.sigstore.dev":   {fetcher.KindHTTP, "https://tuf-repo-cdn.sigstore.dev/"},
		"http://127.0.0.1:8080/tuf/metadata/": {fetcher.KindHTTP, ""},
		"https://example.com/a%2Fb":           {fetcher.KindHTTP, "https://example.com/a%2Fb/"},
		"file:///srv/tuf":                     {fetcher.KindDir, ""},
		"file://relative/dir":                 {fetcher.KindDir, ""},
		"file://100%/with space":              {fetcher.KindDir, ""},
	} {
		src, err := fetcher.ParseSource(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if want.out == "" {
			want.out = in
		}
		if src.Kind != want.kind || src.String() != want.out {
			t.Errorf("%q: kind %s, %q; want kind %s, %q", in, src.Kind, src, want.kind, want.out)
		}
		again, err := fetcher.ParseSource(src.String())
		if err != nil || again != src {
			t.Errorf("%q does not round-trip: %+v, %v", src, again, err)
		}
	}
}

func TestParseSourceRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "trust", "ftp://example.com/tuf", "oci://example.com/tuf", "https://", "https:///tuf",
		"https://user:secret@example.com/tuf", "https://example.com/tuf?sig=1", "https://example.com/tuf?", "https://example.com/tuf#x",
		"https://example.com/a/../b", "https://example.com/%2e%2e/b", "https://example.com/%zz",
		"file://", "file://a\x00b",
	} {
		src, err := fetcher.ParseSource(in)
		if !errors.Is(err, fetcher.ErrInvalidSource) {
			t.Errorf("%q: %+v, %v", in, src, err)
		}
	}
	if _, err := fetcher.ParseSource("NOT A REFERENCE"); !errors.Is(err, ociremote.ErrInvalidReference) {
		t.Errorf("a bad reference: %v", err)
	}
}

func TestFromRepositoryString(t *testing.T) {
	t.Parallel()
	if s := fetcher.FromRepository(nil, "tuf").String(); s != "memory:tuf" {
		t.Error(s)
	}
}
