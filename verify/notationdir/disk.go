package notationdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tufoci/tufoci/internal/durable"
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
// file or directory as it was or as it is to be, never a part. Its directory for what
// is not ready is on the file system of the trust stores: a stray file in a store would
// fail all of it.
type disk struct{ durable.Disk }

// inPlace writes in the directory of each file, which may be on a file system of its own.
func (d disk) inPlace() durable.Disk {
	d.Temp = ""
	return d.Disk
}

// addDir puts a directory of files in a place where none is.
func (d disk) addDir(dir string, files map[string][]byte) error {
	if err := d.Make(filepath.Dir(dir)); err != nil {
		return err
	}
	staged, err := os.MkdirTemp(d.Temp, stagingPrefix) // mode 0700
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(files) {
		if err := d.Put(filepath.Join(staged, name), 0o600, durable.Bytes(files[name])); err != nil {
			return err
		}
	}
	if err := d.Sync(staged); err != nil {
		return err
	}
	if err := d.Rename(staged, dir); err != nil {
		return err
	}
	return d.Sync(filepath.Dir(dir))
}

// removeDir takes a directory away in one step: no reader sees half of a store.
func (d disk) removeDir(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	gone, err := os.MkdirTemp(d.Temp, stagingPrefix)
	if err != nil {
		return err
	}
	if err := d.Rename(dir, filepath.Join(gone, "store")); err != nil {
		return err
	}
	if err := d.Sync(filepath.Dir(dir)); err != nil {
		return err
	}
	return d.RemoveAll(gone)
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
		if err := d.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
