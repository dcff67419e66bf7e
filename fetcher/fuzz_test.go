package fetcher

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/tufoci/tufoci/ociremote"
)

// A title names one file, below one of two folders, and is of one class.
func FuzzTitle(f *testing.F) {
	for _, s := range []string{
		"metadata/1.root.json", "metadata/a%2Fb.json", "metadata/timestamp.json", "metadata/9007199254740993.root.json", "targets/a/b", "targets/..", "metadata/",
		"targets/\x7f", `targets/a\b`, "metadata/99999999999999999999.root.json",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, title string) {
		class, root := classify(title)
		if (class == classRoot) != (root > 0) || root < 0 {
			t.Fatalf("%q: class %d, root %d", title, class, root)
		}
		if isTopLevelTargets(title) && class != classTargets {
			t.Fatalf("%q: class %d", title, class)
		}
		if err := checkTitle(title); err != nil {
			if !errors.Is(err, ErrInvalidName) {
				t.Fatal(err)
			}
			return
		}
		if len(title) > maxTitle || strings.ContainsFunc(title, unicode.IsControl) || !filepath.IsLocal(title) && !strings.HasSuffix(title, "/") {
			t.Fatalf("%q is taken", title)
		}
		if (class == classTargetFile) != strings.HasPrefix(title, targetsFolder) {
			t.Fatalf("%q: class %d", title, class)
		}
	})
}

// A source comes back as it is printed, and what is printed holds no credentials.
func FuzzParseSource(f *testing.F) {
	for _, s := range []string{
		"r.io/acme/trust:tuf", "oci-layout:/a:b", "https://t.example/tuf/metadata", "http://u:p@h/", "file:///a b/%2e", "file://", "https://h/?q", "ftp://h/",
		"https://h/a/../b", "https://h/%2e%2e/", "HTTPS://H/a", "https://[::1]:8/x%2Fy",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src, err := ParseSource(text)
		if err != nil {
			if src.Kind != "" || !errors.Is(err, ErrInvalidSource) {
				t.Fatalf("%+v, %v", src, err)
			}
			if u, e := url.Parse(text); e == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User != nil {
				if secret, _ := u.User.Password(); len(secret) > 8 && !strings.Contains(u.Redacted(), secret) && strings.Contains(err.Error(), secret) {
					t.Fatalf("%v", err)
				}
			}
			return
		}
		again, err := ParseSource(src.String())
		if err != nil || again.String() != src.String() || again.Kind != src.Kind || again.Dir != src.Dir || again.Reference != src.Reference {
			t.Fatalf("%q: %+v, then %+v, %v", text, src, again, err)
		}
		if src.Kind == KindHTTP {
			if u, err := url.Parse(src.URL); err != nil || u.User != nil || u.RawQuery != "" || !strings.HasSuffix(u.Path, "/") || u.Host == "" {
				t.Fatalf("%q: %q, %v", text, src.URL, err)
			}
		}
	})
}

// No name leads out of a directory, whether it is taken as it stands or unescaped.
func FuzzDirNames(f *testing.F) {
	for _, s := range []string{"secret", "../secret", "..%2Fsecret", "%2e%2e/secret", "a/../../secret", "/secret", "%2Fsecret", "link", "link/secret", "%00", "1.root.json"} {
		f.Add(s)
	}
	dir := f.TempDir()
	inside := filepath.Join(dir, "inside")
	for name, content := range map[string]string{"secret": "outside", "inside/1.root.json": "inside"} {
		if err := os.MkdirAll(inside, 0o700); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(inside, "link")); err != nil {
		f.Fatal(err)
	}
	place := &dirPlace{dir: inside}
	f.Fuzz(func(t *testing.T, name string) {
		for _, read := range []func() ([]byte, error){
			func() ([]byte, error) { return place.readMetadata(t.Context(), name, 100) },
			func() ([]byte, error) { return place.readTarget(t.Context(), name, 100) },
		} {
			if data, err := read(); err == nil && string(data) != "inside" {
				t.Fatalf("%q gives %q", name, data)
			}
		}
	})
}

// A name stays at the host and below the path of its web server, however it is escaped.
func FuzzWebNames(f *testing.F) {
	for _, s := range []string{"1.root.json", "a%2Fb.json", "..%2fx.json", "a?b#c", "//evil.example/x", "@evil.example", "%", "\u2028", `\\evil\x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		src, err := ParseSource("https://t.example/tuf/metadata/")
		if err != nil {
			t.Fatal(err)
		}
		place, err := openHTTP(src.URL, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var asked []string
		place.client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Scheme+"://"+r.Host+r.URL.RequestURI())
			return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
		})}
		if checkTitle(metadataFolder+name) == nil {
			if _, err = place.readMetadata(t.Context(), name, 1); !errors.Is(err, errAbsent) && !errors.Is(err, ErrInvalidName) {
				t.Fatal(err)
			}
		}
		if checkTitle(targetsFolder+name) == nil {
			if _, err = place.readTarget(t.Context(), name, 1); !errors.Is(err, errAbsent) && !errors.Is(err, ErrInvalidName) {
				t.Fatal(err)
			}
		}
		for _, raw := range asked {
			u, err := url.Parse(raw)
			if err != nil || u.Host != "t.example" || u.RawQuery != "" || u.Fragment != "" ||
				!strings.HasPrefix(u.EscapedPath(), "/tuf/metadata/") && !strings.HasPrefix(u.EscapedPath(), "/tuf/targets/") {
				t.Fatalf("%q is asked for at %q, %v", name, raw, err)
			}
		}
	})
}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The older layout's names of roles and targets make references that hold no more than they should.
func FuzzLegacyNames(f *testing.F) {
	for _, s := range []string{"1.apps.json", "a%2Fb.json", "dir/x", "..", ".json", "%zz.json", "1..json", "a%00b.json", "\u0093"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if lister := legacyLister(name); strings.Contains(lister, "/") {
			t.Fatalf("%q is listed by %q", name, lister)
		}
		title := metadataFolder + name
		if checkTitle(title) != nil {
			return
		}
		l := &legacyFiles{repo: ociremote.NewMemory()}
		class, _ := classify(title)
		_, err := l.role(t.Context(), request{title: title, class: class, max: 1})
		if err == nil || !errors.Is(err, ErrFileNotFound) && !errors.Is(err, ErrInvalidName) && !errors.Is(err, ociremote.ErrInvalidReference) {
			t.Fatalf("%q: %v", name, err)
		}
		if strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Fatalf("%q", err)
		}
	})
}
