package syncdir

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
)

func TestSync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Sync(dir); err != nil {
		t.Error(err)
	}
	if err := Sync(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
	// A file system on which directories cannot be synced says EINVAL.
	if err := Sync("/proc/self"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that cannot be synced: %v", err)
	}
}
