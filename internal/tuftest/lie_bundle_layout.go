package tuftest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layoutLies are told in the directory of a layout.
func layoutLies() []Lie {
	lie := func(name string, tell func(t testing.TB, p *Place, b *Bundle)) Lie {
		return Lie{Name: "layout-" + name, Kinds: []Kind{InLayout}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			b := Pack(t, repo.Files(), PackOptions{})
			p.PutBundle(b)
			tell(t, p, b)
		}}
	}
	write := func(name, file string, data func(t testing.TB, b *Bundle) []byte) Lie {
		return lie(name, func(t testing.TB, p *Place, b *Bundle) { t.Helper(); p.write(filepath.Join(p.path, file), data(t, b)) })
	}
	text := func(s string) func(testing.TB, *Bundle) []byte {
		return func(testing.TB, *Bundle) []byte { return []byte(s) }
	}
	return []Lie{
		lie("manifest-as-a-symlink-out-of-it", func(t testing.TB, p *Place, b *Bundle) {
			t.Helper()
			outside := filepath.Join(t.TempDir(), "outside")
			p.write(outside, []byte("outside"))
			p.replace(layoutBlob(t, b.Digest), func(name string) error { return os.Symlink(outside, name) })
		}),
		lie("index-as-a-symlink-out-of-it", func(t testing.TB, p *Place, _ *Bundle) {
			t.Helper()
			p.replace("index.json", func(name string) error { return os.Symlink("/etc/passwd", name) })
		}),
		lie("manifest-as-a-symlink-to-a-device", func(t testing.TB, p *Place, b *Bundle) {
			t.Helper()
			p.replace(layoutBlob(t, b.Digest), func(name string) error { return os.Symlink(os.DevNull, name) })
		}),
		lie("manifest-as-a-symlink-to-itself", func(t testing.TB, p *Place, b *Bundle) {
			t.Helper()
			p.replace(layoutBlob(t, b.Digest), func(name string) error { return os.Symlink(filepath.Base(name), name) })
		}),
		lie("manifest-as-a-pipe", func(t testing.TB, p *Place, b *Bundle) { t.Helper(); p.replace(layoutBlob(t, b.Digest), makePipe) }),
		lie("index-as-a-pipe", func(t testing.TB, p *Place, _ *Bundle) { t.Helper(); p.replace("index.json", makePipe) }),
		lie("manifest-as-a-directory", func(t testing.TB, p *Place, b *Bundle) {
			t.Helper()
			p.replace(layoutBlob(t, b.Digest), func(name string) error { return os.Mkdir(name, 0o700) })
		}),
		lie("index-gone", func(t testing.TB, p *Place, _ *Bundle) { t.Helper(); p.replace("index.json", nil) }),
		lie("marker-gone", func(t testing.TB, p *Place, _ *Bundle) { t.Helper(); p.replace("oci-layout", nil) }),
		write("of-another-version", "oci-layout", text(`{"imageLayoutVersion":"2.0.0"}`)),
		write("marker-of-5-kilobytes", "oci-layout", text(`{"imageLayoutVersion":"1.0.0"}`+string(bytes.Repeat([]byte(" "), 5<<10)))),
		write("index-empty", "index.json", text("")),
		write("index-of-nothing", "index.json", text(`{"schemaVersion":2,"manifests":null}`)),
		write("index-with-a-member-twice", "index.json", text(`{"schemaVersion":2,"manifests":[],"manifests":[]}`)),
		write("index-with-data-after-it", "index.json", func(t testing.TB, b *Bundle) []byte {
			t.Helper()
			return append(layoutIndex(t, layoutEntry(manifestType, b.Digest, len(b.Manifest))), "{}"...)
		}),
		write("index-of-17-megabytes", "index.json", func(t testing.TB, b *Bundle) []byte {
			t.Helper()
			return append(layoutIndex(t, layoutEntry(manifestType, b.Digest, len(b.Manifest))), bytes.Repeat([]byte(" "), 17<<20)...)
		}),
		write("two-manifests-under-one-tag", "index.json", func(t testing.TB, b *Bundle) []byte {
			t.Helper()
			return layoutIndex(t, layoutEntry(manifestType, b.Digest, len(b.Manifest)), layoutEntry(manifestType, Digest([]byte("x")), 1))
		}),
		write("one-manifest-twice-under-one-tag", "index.json", func(t testing.TB, b *Bundle) []byte {
			t.Helper()
			entry := layoutEntry(manifestType, b.Digest, len(b.Manifest))
			return layoutIndex(t, entry, entry)
		}),
		write("entries-that-are-none", "index.json", func(t testing.TB, b *Bundle) []byte {
			t.Helper()
			entries := []any{layoutEntry(manifestType, b.Digest, len(b.Manifest)), layoutEntry(manifestType, "sha256:../../x", 1)}
			for _, odd := range OddValues() {
				if strings.HasPrefix(odd.Name, "deep-") {
					continue // what nests too deep makes the whole index malformed
				}
				entries = append(entries, json.RawMessage(odd.Text))
			}
			return layoutIndex(t, entries...)
		}),
		write("manifest-of-another-size", "index.json", func(t testing.TB, b *Bundle) []byte {
			t.Helper()
			return layoutIndex(t, layoutEntry(manifestType, b.Digest, len(b.Manifest)+1))
		}),
		write("manifest-of-a-digest-that-is-a-path", "index.json", func(t testing.TB, _ *Bundle) []byte {
			t.Helper()
			return layoutIndex(t, layoutEntry(manifestType, "sha256:../../index.json", 10))
		}),
	}
}

// replace puts something else in the place of a file.
func (p *Place) replace(name string, with func(name string) error) {
	p.t.Helper()
	name = filepath.Join(p.path, filepath.FromSlash(name))
	if err := os.RemoveAll(name); err != nil {
		p.t.Fatal(err)
	}
	if with == nil {
		return
	}
	if err := with(name); err != nil {
		p.t.Skipf("%v", err)
	}
}
