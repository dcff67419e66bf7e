package ociremote

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is no regular file is not read: a pipe has no end, nor have some devices.
func TestIrregularFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := &directory{path: dir}
	if err := os.Symlink(os.DevNull, filepath.Join(dir, "device")); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{".", "device"} {
		if rc, _, err := files.open(name); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, rc, err)
		}
		if l, err := openArchive(t.Context(), filepath.Join(dir, name)); l != nil || !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("archive %s: %v", name, err)
		}
	}
}

// Entries of an archive that are no files do not count as such, but they do count.
func TestArchiveEntries(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, kind := range []byte{tar.TypeReg, tar.TypeSymlink, tar.TypeDir} {
		if err := w.WriteHeader(&tar.Header{Typeflag: kind, Name: "index.json", Linkname: "/etc/passwd"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "trust.tar")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openArchive(ended, file); !errors.Is(err, context.Canceled) || errors.Is(err, ErrMalformed) {
		t.Errorf("ended: %v", err)
	}
	if entries, err := scanArchive(t.Context(), bytes.NewReader(packed.Bytes()), 3); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if _, err := scanArchive(t.Context(), bytes.NewReader(packed.Bytes()), 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many: %v", err)
	}
}
