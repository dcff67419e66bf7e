package notationdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tufoci/tufoci/internal/syncdir"
)

// What is read back from directories that others write to is bounded. The limits
// are far above what Notation's files have in practice.
const (
	maxPolicyFile      = 64 << 20  // bytes of a policy: eight trusts with as many repositories as a sync takes
	maxStateFile       = 128 << 20 // bytes of state.json, which repeats the policies
	maxCRLFile         = 96 << 20  // bytes of a CRL file: 32 MiB each of base and delta, in base64
	maxCertificateFile = 1 << 20   // bytes of a file in a store
	maxStoreFiles      = 10_000    // files in a store
)

// disk does every change to the file system. Readers, also after a crash, find a
// file or directory as it was or as it is to be, never a part.
type disk struct {
	// staging is the directory of what is not ready, on the file system of the
	// trust stores: a stray file in a store would fail all of it.
	staging string
	// step is called before each step that changes something; an error ends the
	// work there, as a crash would. Nil but for tests.
	step func(step, file string) error
}

func (d disk) at(step, file string) error {
	if d.step == nil {
		return nil
	}
	return d.step(step, file)
}

// makeDir makes a directory and those above it.
func (d disk) makeDir(dir string) error {
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s is not a directory", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := d.makeDir(parent); err != nil {
		return err
	}
	if err := d.at("make directory", dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncdir.Sync(parent)
}

// write replaces a file by way of a temporary one in temp, a directory of the same
// file system.
func (d disk) write(temp, name string, data []byte) error {
	if err := d.at("create", name); err != nil {
		return err
	}
	f, err := os.CreateTemp(temp, stagingPrefix) // mode 0600
	if err != nil {
		return err
	}
	if err = d.fill(f, name, data); err == nil {
		err = d.rename(f.Name(), name)
	}
	if err != nil && d.step == nil {
		os.Remove(f.Name())
	}
	return err
}

// fill writes all of a new file and closes it.
func (d disk) fill(f *os.File, name string, data []byte) error {
	err := d.at("write", name)
	if err != nil {
		data = data[:len(data)/2] // as a crash would: part of the content
	}
	if _, failed := f.Write(data); err == nil {
		err = failed
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func (d disk) rename(from, to string) error {
	if err := d.at("rename", to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := d.at("sync directory", to); err != nil {
		return err
	}
	return syncdir.Sync(filepath.Dir(to))
}

// addDir puts a directory of files in a place where none is.
func (d disk) addDir(dir string, files map[string][]byte) error {
	if err := d.makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := d.at("make directory", dir); err != nil {
		return err
	}
	staged, err := os.MkdirTemp(d.staging, stagingPrefix) // mode 0700
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(files) {
		f, err := os.OpenFile(filepath.Join(staged, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		if err := d.fill(f, filepath.Join(dir, name), files[name]); err != nil {
			return err
		}
	}
	if err := syncdir.Sync(staged); err != nil {
		return err
	}
	return d.rename(staged, dir)
}

// removeFile removes a file; one that does not exist is fine.
func (d disk) removeFile(name string) error {
	if err := d.at("remove", name); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncdir.Sync(filepath.Dir(name))
}

// removeDir takes a directory away in one step: no reader sees half of a store.
func (d disk) removeDir(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.at("make directory", dir); err != nil {
		return err
	}
	gone, err := os.MkdirTemp(d.staging, stagingPrefix)
	if err != nil {
		return err
	}
	if err := d.rename(dir, filepath.Join(gone, "store")); err != nil {
		return err
	}
	if err := syncdir.Sync(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := d.at("remove", dir); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// clean removes what killed syncs left in a directory.
func (d disk) clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if rest, ours := strings.CutPrefix(e.Name(), stagingPrefix); !ours || rest == "" {
			continue
		}
		if err := d.at("remove", e.Name()); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// errOdd is what Notation does not read either: a link, a directory, a device.
var errOdd = errors.New("not a regular file")

// readFile reads a file of at most max bytes; nil if there is none.
func readFile(name string, max int64) ([]byte, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", name, errOdd)
	}
	if info.Size() > max {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), max)
	}
	return os.ReadFile(name)
}
