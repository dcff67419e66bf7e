package tuftest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// tellOtherManifest makes a place answer with other bytes than the digest that it says
// the manifest has.
func tellOtherManifest(t testing.TB, p *Place, repo *Repo) {
	t.Helper()
	b := Pack(t, repo.Files(), PackOptions{})
	other := append(slices.Clone(b.Manifest), ' ')
	if p.kind != InRegistry {
		files := layoutFiles(t, b)
		files[layoutBlob(t, b.Digest)] = other
		p.putLayout(files)
		return
	}
	p.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", b.Digest)
		_, _ = w.Write(other)
	})
}

func tellNoManifest(t testing.TB, p *Place, repo *Repo) {
	t.Helper()
	files := publishedLayout(t, repo)
	for name := range files {
		if bytes.Contains(files["index.json"], []byte(name[strings.LastIndexByte(name, '/')+1:])) {
			delete(files, name)
		}
	}
	p.putLayout(files)
}

func publishedLayout(t testing.TB, repo *Repo) map[string][]byte {
	t.Helper()
	return layoutFiles(t, Pack(t, repo.Files(), PackOptions{}))
}

// archiveLies are told in the tar around a layout.
func archiveLies() []Lie {
	edited := func(name string, edit func(entries []tarEntry) []tarEntry) Lie {
		return Lie{Name: "archive-" + name, Kinds: []Kind{InArchive}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			p.putTar(writeTar(t, edit(tarEntries(publishedLayout(t, repo)))))
		}}
	}
	around := func(name string, change func(t testing.TB, archive []byte) []byte) Lie {
		return Lie{Name: "archive-" + name, Kinds: []Kind{InArchive}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			p.putTar(change(t, writeTar(t, tarEntries(publishedLayout(t, repo)))))
		}}
	}
	each := func(change func(h *tar.Header)) func([]tarEntry) []tarEntry {
		return func(entries []tarEntry) []tarEntry {
			for i := range entries {
				change(entries[i].Header)
			}
			return entries
		}
	}
	link := func(kind byte, name, to string) func([]tarEntry) []tarEntry {
		return func(entries []tarEntry) []tarEntry {
			for i, e := range entries {
				if strings.HasPrefix(e.Name, name) {
					entries[i] = tarEntry{&tar.Header{Typeflag: kind, Name: e.Name, Linkname: to, Mode: 0o644}, nil}
				}
			}
			return entries
		}
	}
	again := func(name string, data []byte) func([]tarEntry) []tarEntry {
		return func(entries []tarEntry) []tarEntry { return append(entries, newTarEntry(name, data)) }
	}
	return []Lie{
		edited("of-absolute-paths", each(func(h *tar.Header) { h.Name = "/" + h.Name })),
		edited("of-paths-with-a-dot", each(func(h *tar.Header) { h.Name = "./" + h.Name })),
		edited("of-paths-upwards", each(func(h *tar.Header) { h.Name = "../" + h.Name })),
		edited("with-an-entry-upwards", again("../../../../tmp/x", []byte("x"))),
		edited("with-blobs-as-symlinks", link(tar.TypeSymlink, "blobs/", "/etc/passwd")),
		edited("with-blobs-as-hard-links", link(tar.TypeLink, "blobs/", "/etc/passwd")),
		edited("with-blobs-as-devices", link(tar.TypeChar, "blobs/", "")),
		edited("with-its-index-as-a-symlink", link(tar.TypeSymlink, "index.json", "/etc/passwd")),
		edited("with-blobs-as-directories", link(tar.TypeDir, "blobs/", "")),
		edited("with-its-index-twice", again("index.json", []byte("{}"))),
		edited("with-its-index-twice-by-a-dot", again("./index.json", []byte("{}"))),
		edited("with-its-index-twice-from-the-root", again("/index.json", []byte("{}"))),
		edited("with-a-blob-twice", func(entries []tarEntry) []tarEntry {
			return append(entries, newTarEntry(entries[0].Name, []byte("other")))
		}),
		edited("with-an-index-of-20-megabytes", func(entries []tarEntry) []tarEntry {
			for i, e := range entries {
				if e.Name == "index.json" {
					entries[i] = newTarEntry(e.Name, append(e.data, bytes.Repeat([]byte(" "), 20<<20)...))
				}
			}
			return entries
		}),
		edited("with-headers-of-a-megabyte", each(func(h *tar.Header) {
			h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"comment": strings.Repeat("x", 1000<<10)}
		})),
		edited("with-headers-of-a-kilobyte", each(func(h *tar.Header) {
			h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"comment": strings.Repeat("x", 1<<10)}
		})),
		edited("without-blobs", func(entries []tarEntry) []tarEntry {
			return slices.DeleteFunc(entries, func(e tarEntry) bool { return strings.HasPrefix(e.Name, "blobs/") })
		}),
		edited("without-its-index", func(entries []tarEntry) []tarEntry {
			return slices.DeleteFunc(entries, func(e tarEntry) bool { return e.Name == "index.json" })
		}),
		edited("without-its-marker", func(entries []tarEntry) []tarEntry {
			return slices.DeleteFunc(entries, func(e tarEntry) bool { return e.Name == "oci-layout" })
		}),
		around("with-a-sparse-file", func(_ testing.TB, archive []byte) []byte {
			return append(rawHeader("index.json", 'S', 1<<40), archive...)
		}),
		around("with-a-size-over", func(_ testing.TB, archive []byte) []byte { return append(rawHeader("x", '0', 1<<32), archive...) }),
		around("with-a-size-of-2-to-the-62", func(_ testing.TB, archive []byte) []byte { return append(rawHeader("x", '0', 1<<62), archive...) }),
		around("cut-off", func(_ testing.TB, archive []byte) []byte { return archive[:len(archive)/2] }),
		around("cut-off-in-a-header", func(_ testing.TB, archive []byte) []byte { return archive[:300] }),
		around("compressed", func(t testing.TB, archive []byte) []byte {
			t.Helper()
			return (&draft{t: t}).compressed(gzip.Header{}, archive)
		}),
		around("empty", func(testing.TB, []byte) []byte { return nil }),
		around("of-garbage", func(testing.TB, []byte) []byte { return bytes.Repeat([]byte("<html>"), 1000) }),
		around("with-data-after-it", func(_ testing.TB, archive []byte) []byte { return append(archive, "more"...) }),
	}
}

// tarEntry is one entry of an archive.
type tarEntry struct {
	*tar.Header
	data []byte
}

func newTarEntry(name string, data []byte) tarEntry {
	return tarEntry{&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644}, data}
}

func tarEntries(files map[string][]byte) []tarEntry {
	var entries []tarEntry
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, newTarEntry(name, files[name]))
	}
	return entries
}

func writeTar(t testing.TB, entries []tarEntry) []byte {
	t.Helper()
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, e := range entries {
		if err := archive.WriteHeader(e.Header); err != nil {
			t.Fatalf("%q: %v", e.Name, err)
		}
		if _, err := archive.Write(e.data); err != nil {
			t.Fatalf("%q: %v", e.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// putTar writes the bytes of a place that is an archive.
func (p *Place) putTar(archive []byte) {
	p.t.Helper()
	p.clear()
	if err := os.WriteFile(p.path, archive, 0o600); err != nil {
		p.t.Fatal(err)
	}
}
