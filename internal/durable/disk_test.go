package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var errKilled = errors.New("killed")

// In each directory lie one file with old content, and a temporary one if ended says so.
func expect(t *testing.T, dir, content string, ended bool) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	temps := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tmp-") {
			temps++
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(data) != content || temps > 1 || (temps == 1) != ended {
		t.Errorf("content %q, %d temporary files, error %v; want %q", data, temps, err, content)
	}
}

func TestWriteKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{true, false} { // else the step fails, and those after it happen
		var steps []string
		for n := 0; ; n++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			disk := Disk{Pattern: ".tmp-*"}
			if err := disk.Write(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			steps = nil
			disk.Step = func(step, _ string) error {
				steps = append(steps, step)
				if len(steps) == n+1 || killed && len(steps) > n {
					return errKilled
				}
				return nil
			}
			err := disk.Write(path, []byte("new and longer"), 0o600)
			if err == nil {
				expect(t, dir, "new and longer", false)
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("mode %v, error %v", info.Mode(), err)
				}
				break
			}
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			want := "old"
			if slices.Contains(steps, "sync directory") {
				want = "new and longer"
			}
			expect(t, dir, want, killed && slices.Contains(steps, "clean"))
		}
		if want := []string{"create", "write", "rename", "sync directory"}; !slices.Equal(steps, want) {
			t.Errorf("steps %v", steps)
		}
	}
}

// What fails leaves the file as it was, and is said of the file, not of a temporary one.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	dir, temp := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "file")
	disk := Disk{Temp: temp, Pattern: ".tmp-*"}
	if err := disk.Put(path, 0o644, Bytes([]byte("old"))); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	source := &fs.PathError{Op: "read", Path: "elsewhere", Err: io.ErrUnexpectedEOF}
	if err := disk.Put(path, 0o644, func(w io.Writer) error {
		_, _ = w.Write([]byte("new"))
		return source
	}); !errors.Is(err, source) {
		t.Errorf("a source that fails: %v", err)
	}
	expect(t, dir, "old", false)
	if err := disk.Put(dir, 0o644, Bytes(nil)); pathOf(err) != dir {
		t.Errorf("a directory in its place: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
	missing := filepath.Join(dir, "missing", "file")
	if err := (Disk{}).Write(missing, nil, 0o600); pathOf(err) != missing || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// pathOf is what an error speaks of.
func pathOf(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Op == "write" {
		return e.Path
	}
	return ""
}

func TestRemove(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := (Disk{}).Write(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := (Disk{}).Remove(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
}
