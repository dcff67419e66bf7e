package trust_test

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// get reads a target with a new client and its cache.
func (w *world) get(name string) (string, error) {
	w.t.Helper()
	data, _, err := w.mustRefresh().Get(w.t.Context(), name)
	return string(data), err
}

// wantFile fails the test unless a target has this content.
func (w *world) wantFile(name, want string) {
	w.t.Helper()
	if got, err := w.get(name); err != nil || got != want {
		w.t.Errorf("%s: %q, %v, want %q", name, got, err, want)
	}
}

// cached are the contents of the cache.
func (w *world) cached() map[string]string {
	w.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(w.cache, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		files[name] = string(data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

// A target is read under its hash, in its directory, and is what was signed; one that
// the source changes is refused and kept nowhere (TUF spec 5.7).
func TestSuiteDownload(t *testing.T) {
	t.Parallel()
	for _, kind := range suiteKinds(1) {
		for _, o := range []tuftest.RepoOptions{{}, {NonConsistent: true}} {
			t.Run(fmt.Sprint("consistent ", !o.NonConsistent, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, o)
				w.pack.NoInline = true
				const plain, deep = "file.txt", "path/to/a/file.txt"
				w.AddTarget(plain, []byte("plain"))
				w.AddTarget(deep, []byte("deep"))
				w.publish()
				w.wantFile(plain, "plain")

				// Both are replaced: the one that is cached is still right, the other is refused.
				w.edit = func(files map[string][]byte) {
					for title := range files {
						if strings.HasPrefix(title, "targets/") {
							files[title] = []byte("evil")
						}
					}
				}
				w.publish()
				w.wantFile(plain, "plain")
				before := w.cached()
				_, err := w.get(deep)
				refused(t, err, trust.ErrMismatch)
				if !maps.Equal(before, w.cached()) || slices.Contains(slices.Collect(maps.Values(w.cached())), "evil") {
					t.Errorf("cached %q", w.cached())
				}
				w.edit = nil
				w.publish()
				w.wantFile(deep, "deep")

				// It changes many times, of which the client sees some.
				for i := range 6 {
					text := fmt.Sprint("version ", i)
					w.AddTarget(plain, []byte(text))
					w.AddTarget(fmt.Sprint("new-", i), []byte(text))
					w.publish()
					if i%3 == 0 {
						w.wantFile(plain, text)
						w.wantFile(fmt.Sprint("new-", i), text)
					}
				}
			})
		}
	}
}

// One request for a file that is not cached, none for one that is; a cached file that
// has changed is asked for again.
func TestSuiteDownloadAsksOnce(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
	w.AddTarget("dir/file", []byte("hello"))
	w.publish()
	title := "targets/dir/" + tuftest.Digest([]byte("hello"))[len("sha256:"):] + ".file"
	view := w.mustRefresh()
	get := func() []string {
		return w.askedOf(func() {
			if data, _, err := view.Get(t.Context(), "dir/file"); err != nil || string(data) != "hello" {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
	for i, want := range []string{"[" + title + "]", "[]"} {
		if asked := get(); fmt.Sprint(asked) != want {
			t.Errorf("time %d: asked %v, want %s", i+1, asked, want)
		}
	}
	for name := range w.cached() {
		if err := os.WriteFile(name, []byte("hullo"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	view = w.mustRefresh()
	if asked := get(); fmt.Sprint(asked) != "["+title+"]" {
		t.Errorf("of a changed cache: asked %v", asked)
	}
}

// The hashes that are signed decide, all of them; without one that is known a file
// is refused.
func TestSuiteHashAlgorithms(t *testing.T) {
	t.Parallel()
	const text = "hello"
	long := sha512.Sum512([]byte(text))
	right := map[string]any{"sha256": tuftest.Digest([]byte(text))[len("sha256:"):], "sha512": hex.EncodeToString(long[:])}
	wrong := map[string]any{"sha256": hexHash, "sha512": strings.Repeat("ab", 64)}
	tests := map[string]struct {
		hashes map[string]any
		kind   error
	}{
		"sha256":                 {map[string]any{"sha256": right["sha256"]}, nil},
		"sha512":                 {map[string]any{"sha512": right["sha512"]}, nil},
		"both":                   {right, nil},
		"wrong sha256":           {map[string]any{"sha256": wrong["sha256"], "sha512": right["sha512"]}, trust.ErrMismatch},
		"wrong sha512":           {map[string]any{"sha256": right["sha256"], "sha512": wrong["sha512"]}, trust.ErrMismatch},
		"an unknown one":         {map[string]any{"blake7": "abcd"}, trust.ErrMismatch},
		"an unknown one, sha256": {map[string]any{"blake7": "abcd", "sha256": right["sha256"]}, trust.ErrMismatch},
	}
	for i, name := range slices.Sorted(maps.Keys(tests)) {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(name, " in ", kind), func(t *testing.T) {
				t.Parallel()
				tt := tests[name]
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				w.pack.NoInline = true // names of sha512 do not fit into a tar header
				w.AddTarget("file", []byte(text))
				w.Publish()
				w.Forge("targets", func(signed map[string]any) {
					signed["targets"].(map[string]any)["file"].(map[string]any)["hashes"] = tt.hashes
				})
				w.edit = func(files map[string][]byte) {
					for _, hash := range tt.hashes {
						files["targets/"+hash.(string)+".file"] = []byte(text)
					}
				}
				w.out()
				if tt.kind == nil {
					w.wantFile("file", text)
					return
				}
				_, err := w.get("file")
				if e := refused(t, err, tt.kind); e.Role != "targets" || e.Source != w.source().String() {
					t.Errorf("evidence %+v", e)
				}
				if len(w.cached()) > 0 {
					t.Error("what was refused is cached")
				}
				w.edit = nil
				w.Touch("targets")
				w.publish()
				w.wantFile("file", text)
			})
		}
	}
}
