package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tufoci/tufoci/internal/syncdir"
)

// tempPrefix starts the names of files that are being written. What a killed process left is removed when the
// workspace is opened to be changed.
const tempPrefix = ".tmp-"

// disk changes files so that a process killed at any moment leaves each of them as it was or as it should be.
// Every change to a workspace goes through it.
type disk struct {
	// before is called ahead of every single step with its name and path; an error stops the change there.
	before func(step, path string) error
}

func (d *disk) step(name, path string) error {
	if d.before == nil {
		return nil
	}
	return d.before(name, path)
}

// fileChange is a file to be written.
type fileChange struct {
	path string
	data []byte
}

// writeAll writes files of one directory, which is synced once, after all of them.
func (d *disk) writeAll(dir string, changes []fileChange) error {
	for _, c := range changes {
		if err := d.replace(c.path, c.data, 0o600); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return d.syncDir(dir)
}

// write replaces the file: temporary file, fsync, rename, fsync of the directory.
func (d *disk) write(path string, data []byte, perm fs.FileMode) error {
	if err := d.replace(path, data, perm); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

// replace is write without the fsync of the directory.
func (d *disk) replace(path string, data []byte, perm fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	if err := d.step("create", path); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err} // no word of the temporary file
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = d.removeTemp(f.Name())
		}
	}()
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := d.step("sync", path); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := d.step("rename", path); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (d *disk) removeTemp(path string) error {
	if err := d.step("clean", path); err != nil {
		return err
	}
	return os.Remove(path)
}

// remove deletes the file; one that does not exist is no error.
func (d *disk) remove(path string) error {
	if err := d.step("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mkdir makes the directory, which may exist, with the permissions given. It reports whether it made it.
func (d *disk) mkdir(path string, perm fs.FileMode) (made bool, err error) {
	if err := d.step("mkdir", path); err != nil {
		return false, err
	}
	if err := os.Mkdir(path, perm); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	return true, d.syncDir(filepath.Dir(path))
}

func (d *disk) syncDir(dir string) error {
	if err := d.step("syncdir", dir); err != nil {
		return err
	}
	return syncdir.Sync(dir)
}

// sweep removes what killed processes left half-written in the directory.
func (d *disk) sweep(dir string) error {
	entries, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, name := range entries {
		if strings.HasPrefix(name, tempPrefix) {
			if err := d.remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readDir lists the regular files of a directory by name; a missing directory is empty.
func readDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readBounded reads a regular file of at most max bytes.
func readBounded(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrDamaged, path)
	}
	if info.Size() > max {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrDamaged, path, info.Size(), max)
	}
	return os.ReadFile(path)
}
