//go:build unix

package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	make := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	make(os.WriteFile(at("file"), []byte("four"), 0o600))
	make(os.WriteFile(at("empty"), nil, 0o600))
	make(os.WriteFile(at("sparse"), nil, 0o600))
	make(os.Truncate(at("sparse"), 1<<40))
	make(os.Symlink("file", at("link")))
	make(os.Symlink("/dev/zero", at("endless")))
	make(os.Symlink("nowhere", at("dangling")))
	make(syscall.Mkfifo(at("pipe"), 0o600))
	for _, tt := range []struct {
		name         string
		want         string
		err          error // of Read
		ofLinkedToo  bool  // of ReadLinked
		noneOfLinked bool  // ReadLinked finds nothing
	}{
		{name: "file", want: "four"},
		{name: "empty"},
		{name: "link", want: "four", err: ErrOdd},
		{name: "endless", err: ErrOdd, ofLinkedToo: true},
		{name: "dangling", err: ErrOdd, noneOfLinked: true},
		{name: "pipe", err: ErrOdd, ofLinkedToo: true},
		{name: ".", err: ErrOdd, ofLinkedToo: true},
		{name: "sparse", err: ErrTooLarge, ofLinkedToo: true},
	} {
		data, err := Read(at(tt.name), 4)
		if !errors.Is(err, tt.err) || err == nil && (string(data) != tt.want || data == nil) {
			t.Errorf("%s: %q, error %v", tt.name, data, err)
		}
		data, err = ReadLinked(at(tt.name), 4)
		switch {
		case tt.ofLinkedToo:
			if !errors.Is(err, tt.err) {
				t.Errorf("%s, linked: error %v", tt.name, err)
			}
		case err != nil || string(data) != tt.want || (data == nil) != tt.noneOfLinked:
			t.Errorf("%s, linked: %q, error %v", tt.name, data, err)
		}
	}
	if data, err := Read(at("missing"), 4); data != nil || err != nil {
		t.Errorf("missing: %q, error %v", data, err)
	}
	// Files of /proc have no size: what is read counts.
	if _, err := Read("/proc/self/status", 4); err != nil && !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file without a size: %v", err)
	} else if _, missing := os.Stat("/proc/self/status"); err == nil && missing == nil {
		t.Error("more was read than was asked for")
	}
}

// What is put in the place of a file between the look at it and its opening is not
// waited for, nor taken for the file.
func TestReplacedBeforeItIsOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, put := range map[string]func(string) error{
		"pipe":      func(at string) error { return syscall.Mkfifo(at, 0o600) },
		"directory": func(at string) error { return os.Mkdir(at, 0o700) },
	} {
		at := filepath.Join(dir, name)
		regular := func(string) (fs.FileInfo, error) {
			if err := os.WriteFile(at, nil, 0o600); err != nil {
				return nil, err
			}
			info, err := os.Stat(at)
			return info, errors.Join(err, os.Remove(at), put(at))
		}
		if f, _, err := open(at, regular, os.OpenFile, 0); f != nil || !errors.Is(err, ErrOdd) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Links are followed by those who ask for it, within a root where there is one.
func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	root, err := os.OpenRoot(dir)
	err = errors.Join(err, os.WriteFile(outside, nil, 0o600), os.WriteFile(filepath.Join(dir, "file"), nil, 0o600),
		os.Symlink("file", filepath.Join(dir, "link")), os.Symlink(outside, filepath.Join(dir, "away")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Symlink("itself", filepath.Join(dir, "itself")))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opened := func(f *os.File, _ fs.FileInfo, err error) bool { return err == nil && f.Close() == nil }
	if _, _, err := OpenLinked(filepath.Join(dir, "itself")); !errors.Is(err, ErrOdd) {
		t.Errorf("a link to itself: %v", err)
	}
	for name, want := range map[string]struct{ linked, in bool }{
		"file": {true, true}, "link": {true, true}, "away": {true, false}, "pipe": {}, "missing": {},
	} {
		if got := opened(OpenLinked(filepath.Join(dir, name))); got != want.linked {
			t.Errorf("OpenLinked of %s: opened %t", name, got)
		}
		if got := opened(OpenIn(root, name)); got != want.in {
			t.Errorf("OpenIn of %s: opened %t", name, got)
		}
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock", "pipe"} {
		first, second := Lock(filepath.Join(dir, name)), Lock(filepath.Join(dir, name))
		if ok, err := first.TryLock(); !ok || err != nil {
			t.Errorf("%s: %v, error %v", name, ok, err)
		}
		if ok, err := second.TryLock(); ok || err != nil {
			t.Errorf("%s, taken: %v, error %v", name, ok, err)
		}
		first.Close()
	}
	for _, name := range []string{"link", "."} {
		if ok, err := Lock(filepath.Join(dir, name)).TryLock(); ok || err == nil {
			t.Errorf("%s was locked", name)
		}
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a link was followed")
	}
	if info, err := os.Stat(filepath.Join(dir, "lock")); err != nil || !strings.HasPrefix(info.Mode().String(), "-rw-------") {
		t.Errorf("the lock is %v, error %v", info, err)
	}
}
