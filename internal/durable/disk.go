// Package durable changes files and directories so that each is, also after a kill or a
// power failure, as it was before a change or as it is after it, never in between.
package durable

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// private is the mode of temporary files.
const private fs.FileMode = 0o600

// Disk makes the changes.
type Disk struct {
	// Temp is the directory in which files are written before they get their names, of
	// the same file system; that of each file if it is "".
	Temp string
	// Pattern is that of the names there, as of [os.CreateTemp].
	Pattern string
	// Step is called before each step, with what it does and to which file or directory;
	// an error ends the change there, and leaves what a crash would leave if it ends
	// "clean" as well. Nil but for tests.
	Step func(step, path string) error
}

func (d Disk) at(step, path string) error {
	if d.Step == nil {
		return nil
	}
	return d.Step(step, path)
}

// Write replaces a file.
func (d Disk) Write(path string, data []byte, perm fs.FileMode) error {
	if err := d.Put(path, perm, Bytes(data)); err != nil {
		return err
	}
	return d.Sync(filepath.Dir(path))
}

// Bytes writes data, for Put.
func Bytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// Put replaces a file with what write writes, unless that fails. Until its directory is
// synced a power failure can undo it.
func (d Disk) Put(path string, perm fs.FileMode, write func(io.Writer) error) error {
	if err := d.at("create", path); err != nil {
		return err
	}
	f, err := os.CreateTemp(cmp.Or(d.Temp, filepath.Dir(path)), d.Pattern)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return of(path, e.Path, err)
	}
	if err != nil {
		return err
	}
	err = d.fill(f, path, perm, write)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = d.Rename(f.Name(), path)
	}
	if err != nil && d.at("clean", f.Name()) == nil {
		os.Remove(f.Name())
	}
	return of(path, f.Name(), err)
}

func (d Disk) fill(f *os.File, path string, perm fs.FileMode, write func(io.Writer) error) error {
	if err := d.at("write", path); err != nil {
		_ = write(half{f})
		return err
	}
	if err := write(f); err != nil {
		return err
	}
	if perm != private {
		if err := f.Chmod(perm); err != nil {
			return err
		}
	}
	return f.Sync()
}

// half leaves what a crash would: part of the content.
type half struct{ w io.Writer }

func (h half) Write(p []byte) (int, error) {
	_, err := h.w.Write(p[:len(p)/2])
	return len(p), err
}

// of says of a file what was said of the temporary one in its place; what was read for
// it keeps its own name.
func of(path, temp string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == temp {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok && e.Old == temp {
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	return err
}

// Rename gives a file or directory another name. Until both directories are synced a
// power failure can undo it.
func (d Disk) Rename(from, to string) error {
	if err := d.at("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Remove removes a file or an empty directory; one that does not exist is fine.
func (d Disk) Remove(path string) error {
	if err := d.Unlink(path); err != nil {
		return err
	}
	return d.Sync(filepath.Dir(path))
}

// Unlink is Remove that a power failure can undo until the directory is synced.
func (d Disk) Unlink(path string) error {
	if err := d.at("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Make makes a directory, and those above it, with mode 0700, so that they too
// survive a power failure. One that exists is fine.
func (d Disk) Make(dir string) error {
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return notDir(dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := d.Make(filepath.Dir(dir)); err != nil {
		return err
	}
	_, err := d.Mkdir(dir, 0o700)
	return err
}

// Mkdir makes a directory and reports whether it did: one that exists, which another
// process may have made meanwhile, is fine.
func (d Disk) Mkdir(dir string, perm fs.FileMode) (made bool, err error) {
	if err := d.at("make directory", dir); err != nil {
		return false, err
	}
	err = os.Mkdir(dir, perm)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = notDir(dir)
		}
		return false, err
	}
	if err != nil {
		return false, err
	}
	return true, d.Sync(filepath.Dir(dir))
}

func notDir(path string) error {
	return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
}

// RemoveAll removes a directory with what is in it, which nothing refers to any more.
func (d Disk) RemoveAll(dir string) error {
	if err := d.at("remove", dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Sync is [Sync] as a step.
func (d Disk) Sync(dir string) error {
	if err := d.at("sync directory", dir); err != nil {
		return err
	}
	return Sync(dir)
}
