package durable

import (
	"errors"
	"io/fs"
	"os"
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

func TestMake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		if err := (Disk{}).Make(filepath.Join(dir, "a", "b")); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, error %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "file/below"} {
		if err := (Disk{}).Make(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is no directory", name)
		}
	}
}
