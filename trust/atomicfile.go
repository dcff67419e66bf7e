package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tufoci/tufoci/internal/syncdir"
)

// tempPrefix marks files that are being written. What a killed process left is
// removed by the next one that has the exclusive lock.
const tempPrefix = ".tmp-"

// writer writes files so that a reader, also after a crash, finds the old content
// or the new one, never a part: temp file, fsync, rename, fsync of the directory.
type writer struct {
	// step is called before each step that changes the disk; an error ends the
	// write there, as a crash would. Nil but for tests.
	step func(step, file string) error
}

func (w writer) at(step, file string) error {
	if w.step == nil {
		return nil
	}
	return w.step(step, file)
}

// write replaces a file. The directory has to exist.
func (w writer) write(name string, data []byte) error {
	if err := w.at("create", name); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(name), tempPrefix)
	if err != nil {
		return err
	}
	err = w.fill(temp, name, data)
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = w.at("rename", name)
	}
	if err != nil {
		if w.step == nil {
			os.Remove(temp.Name())
		}
		return err
	}
	if err := os.Rename(temp.Name(), name); err != nil {
		os.Remove(temp.Name())
		return err
	}
	if err := w.at("sync directory", name); err != nil {
		return err
	}
	return syncdir.Sync(filepath.Dir(name))
}

func (w writer) fill(temp *os.File, name string, data []byte) error {
	if err := w.at("write", name); err != nil {
		// As a crash would: part of the content.
		temp.Write(data[:len(data)/2])
		return err
	}
	if _, err := temp.Write(data); err != nil {
		return err
	}
	return temp.Sync()
}

// remove removes a file; one that does not exist is fine.
func (w writer) remove(name string) error {
	if err := w.at("remove", name); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncdir.Sync(filepath.Dir(name))
}

// removeTemporary removes what killed writers left in a directory.
func removeTemporary(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// readFile reads a file of at most max bytes; nil if it does not exist.
func readFile(name string, max int64) ([]byte, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	if info.Size() > max {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), max)
	}
	return os.ReadFile(name)
}

// isReadOnly reports whether an error says that nothing can be written there.
func isReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}
