//go:build unix

package ownfile

import (
	"errors"
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
