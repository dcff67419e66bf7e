package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file is written whole or not at all, and nothing lies beside it.
func TestWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	for _, content := range []string{"old and long", "new"} {
		if err := writeFile(file, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(taken, []byte("x"), 0o644); err == nil {
		t.Error("a directory was replaced")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(link, []byte("through"), 0o644); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("what is no file was replaced: %v, %v", info, err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "through" {
		t.Errorf("%q, %v", got, err)
	}
	missing := filepath.Join(dir, "missing", "out")
	if err := writeFile(missing, nil, 0o644); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("a file below a missing directory: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
}
