package fetcher_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// writeFiles writes a directory from slashed names.
func writeFiles(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func openDir(t *testing.T, dir string, o fetcher.Options) *fetcher.View {
	t.Helper()
	src, err := fetcher.ParseSource("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := fetcher.Open(t.Context(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantFile(t *testing.T, v *fetcher.View, title, want string) {
	t.Helper()
	data, err := v.File(t.Context(), title, 1000)
	if string(data) != want || err != nil {
		t.Errorf("%s: %q, %v; want %q", title, data, err, want)
	}
}

func wantError(t *testing.T, v *fetcher.View, title string, max int64, want error) {
	t.Helper()
	if data, err := v.File(t.Context(), title, max); !errors.Is(err, want) {
		t.Errorf("%s: %q, %v; want %v", title, data, err, want)
	}
}

// A directory from "oras pull" has metadata/ and targets/; one that a web server
// serves, as Sigstore's, has the metadata at the top.
func TestDirLayouts(t *testing.T) {
	t.Parallel()
	for _, layout := range []struct{ name, metadata string }{{"split", "metadata/"}, {"flat", ""}} {
		t.Run(layout.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFiles(t, dir, map[string][]byte{
				layout.metadata + "1.root.json":      []byte("root 1"),
				layout.metadata + "timestamp.json":   []byte("timestamp"),
				layout.metadata + "1.a%2Fb.json":     []byte("escaped"),
				layout.metadata + "1.c/d.json":       []byte("plain"),
				layout.metadata + "README":           []byte("other"),
				"targets/file":                       []byte("target"),
				"targets/dir/sub/f.json":             []byte("deep"),
				"targets/empty":                      nil,
				"targets/100%.json":                  []byte("percent"),
				layout.metadata + "unrelated/x.html": []byte("other"),
			})
			v := openDir(t, dir, fetcher.Options{})
			wantFile(t, v, "metadata/1.root.json", "root 1")
			wantFile(t, v, "metadata/timestamp.json", "timestamp")
			wantFile(t, v, "metadata/1.a%2Fb.json", "escaped")
			wantFile(t, v, "metadata/1.c%2Fd.json", "plain")
			wantFile(t, v, "targets/file", "target")
			wantFile(t, v, "targets/dir/sub/f.json", "deep")
			wantFile(t, v, "targets/empty", "")
			wantFile(t, v, "targets/100%.json", "percent")
			wantError(t, v, "metadata/2.root.json", 1000, fetcher.ErrFileNotFound)
			wantError(t, v, "metadata/1.e%2Ff.json", 1000, fetcher.ErrFileNotFound)
			wantError(t, v, "targets/file/below", 1000, fetcher.ErrFileNotFound)
			wantError(t, v, "targets/file", 5, fetcher.ErrLimit)
			wantError(t, v, "targets/file", 5, ociremote.ErrTooLarge)
			if data, err := v.File(t.Context(), "targets/empty", 0); err != nil || data == nil {
				t.Errorf("empty file: %v, %v", data, err)
			}
			want := []string{
				"metadata/1.a%2Fb.json", "metadata/1.c%2Fd.json", "metadata/1.root.json", "metadata/timestamp.json",
				"targets/100%.json", "targets/dir/sub/f.json", "targets/empty", "targets/file",
			}
			if got := v.Titles(); !slices.Equal(got, want) {
				t.Errorf("titles %q\nwant   %q", got, want)
			}
			if v.Bundle() != nil || v.Unchanged() {
				t.Error("a directory is no bundle")
			}
		})
	}
}

func TestDirWithoutRepository(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "missing"),
		"a file":  writeFile(t, "file"),
	} {
		if _, err := fetcher.Open(t.Context(), fetcher.Source{Kind: fetcher.KindDir, Dir: dir}, fetcher.Options{}); !errors.Is(err, fetcher.ErrNoRepository) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v := openDir(t, t.TempDir(), fetcher.Options{})
	wantError(t, v, "metadata/timestamp.json", 1000, fetcher.ErrNoRepository)
	wantError(t, v, "metadata/1.root.json", 1000, fetcher.ErrFileNotFound)
}

func writeFile(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// Role names and target paths are chosen by whoever writes metadata: no name and
// no link leads out of the directory.
func TestDirIsNotLeft(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "repository")
	writeFiles(t, parent, map[string][]byte{
		"secret.json":                     []byte("secret"),
		"repository/metadata/1.root.json": []byte("root"),
		"repository/targets/file":         []byte("target"),
	})
	if err := os.Symlink(filepath.Join(parent, "secret.json"), filepath.Join(dir, "targets", "link")); err != nil {
		t.Skip(err)
	}
	v := openDir(t, dir, fetcher.Options{})
	for _, title := range []string{
		"metadata/..%2F..%2Fsecret.json", "metadata/%2E%2E%2f%2E%2E%2fsecret.json", "metadata/1.root.json%2F..%2F..%2F..%2Fsecret.json",
		"targets/../../secret.json", "targets/link", "targets/..%2F..%2Fsecret.json", "metadata/..%2Ftargets%2Ffile",
	} {
		if data, err := v.File(t.Context(), title, 1000); err == nil {
			t.Errorf("%s: read %q", title, data)
		}
	}
}

func TestDirTargetsElsewhere(t *testing.T) {
	t.Parallel()
	dir, targets := t.TempDir(), t.TempDir()
	writeFiles(t, dir, map[string][]byte{"metadata/1.root.json": []byte("root"), "targets/file": []byte("here")})
	writeFiles(t, targets, map[string][]byte{"file": []byte("there")})
	v := openDir(t, dir, fetcher.Options{TargetsURL: "file://" + targets})
	wantFile(t, v, "targets/file", "there")
	wantFile(t, v, "metadata/1.root.json", "root")
	for _, bad := range []string{"file://", "ftp://host/x", "http://", "somewhere"} {
		_, err := fetcher.Open(t.Context(), v.Source(), fetcher.Options{TargetsURL: bad})
		if !errors.Is(err, fetcher.ErrInvalidSource) {
			t.Errorf("TargetsURL %q: %v", bad, err)
		}
	}
}

// All that one view reads has a limit, and a file is counted once.
func TestTotalLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{
		"metadata/1.root.json": make([]byte, 60), "metadata/2.root.json": make([]byte, 60), "targets/file": make([]byte, 30),
	})
	v := openDir(t, dir, fetcher.Options{Limits: fetcher.Limits{Total: 100}})
	for range 3 {
		if _, err := v.File(t.Context(), "metadata/1.root.json", 1000); err != nil {
			t.Error(err)
		}
	}
	wantError(t, v, "metadata/2.root.json", 1000, fetcher.ErrLimit)
	if _, err := v.File(t.Context(), "targets/file", 1000); err != nil {
		t.Errorf("what still fits: %v", err)
	}
}

// Of a file in a directory no more is read than it may have: a heap costs nothing but
// its name.
func TestDirLargeFile(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"metadata/timestamp.json": []byte("{}")})
	if err := os.Truncate(filepath.Join(dir, "metadata", "timestamp.json"), 256<<20); err != nil {
		t.Fatal(err)
	}
	v := openDir(t, dir, fetcher.Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wantError(t, v, "metadata/timestamp.json", plenty, fetcher.ErrLimit)
	runtime.ReadMemStats(&after)
	if read := after.TotalAlloc - before.TotalAlloc; read > 16<<20 {
		t.Errorf("%d bytes were allocated", read)
	}
}
