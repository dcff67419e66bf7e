//go:build unix

package fetcher_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
)

// Opening a named pipe would block for ever.
func TestDirIrregularFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"metadata/1.root.json": []byte("root")})
	if err := syscall.Mkfifo(filepath.Join(dir, "metadata", "2.root.json"), 0o644); err != nil {
		t.Skip(err)
	}
	v := openDir(t, dir, fetcher.Options{})
	_, err := v.File(t.Context(), "metadata/2.root.json", 1000)
	if err == nil || errors.Is(err, fetcher.ErrFileNotFound) {
		t.Errorf("named pipe: %v", err)
	}
}
