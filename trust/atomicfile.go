package trust

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tufoci/tufoci/internal/syncdir"
)

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

// isReadOnly reports whether an error says that nothing can be written there.
func isReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}
