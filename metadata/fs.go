package metadata

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/ownfile"
)

// tempPrefix starts the names of files that are being written. What a killed process left is removed when the
// workspace is opened to be changed.
const tempPrefix = ".tmp-"

// disk makes every change to a workspace: a process killed at any moment leaves each file as it was or as it should be.
type disk struct{ durable.Disk }

func newDisk() *disk { return &disk{durable.Disk{Pattern: tempPrefix + "*"}} }

// fileChange is a file to be written.
type fileChange struct {
	path string
	data []byte
}

// writeAll writes files of one directory, which is synced once, after all of them.
func (d *disk) writeAll(dir string, changes []fileChange) error {
	for _, c := range changes {
		if err := d.Put(c.path, 0o600, durable.Bytes(c.data)); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return d.Sync(dir)
}

// sweep removes what killed processes left half-written in the directory.
func (d *disk) sweep(dir string) error {
	entries, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, name := range entries {
		if strings.HasPrefix(name, tempPrefix) {
			if err := d.Unlink(filepath.Join(dir, name)); err != nil {
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

// readBounded reads a regular file of at most max bytes. ErrDamaged, fs.ErrNotExist.
func readBounded(path string, max int64) ([]byte, error) {
	data, err := ownfile.ReadLinked(path, max)
	if errors.Is(err, ownfile.ErrOdd) || errors.Is(err, ownfile.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err == nil && data == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return data, err
}
