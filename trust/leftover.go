package trust

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

const (
	// tempPrefix marks files that are being written. What a killed process left is
	// removed by the next one that has the exclusive lock.
	tempPrefix = ".tmp-"
	// sparePrefix marks directories of a refresh that found no other place.
	sparePrefix = ".refresh-"
	// namesAtOnce is how many names of a directory are held.
	namesAtOnce = 1024
)

// eachName calls fn with the names in a directory, however many there are.
func eachName(dir string, fn func(name string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(namesAtOnce)
		for _, name := range names {
			if err := fn(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// removeTemporary removes what killed processes left in a directory.
func removeTemporary(dir string) {
	_ = eachName(dir, func(name string) error {
		switch path := filepath.Join(dir, name); {
		case strings.HasPrefix(name, tempPrefix):
			os.Remove(path)
		case strings.HasPrefix(name, sparePrefix):
			removeSpare(path)
		}
		return nil
	})
}

// makeSpare makes a temporary directory in dir. A shared lock says that it is in use,
// until release removes it.
func makeSpare(dir string) (path string, release func(), err error) {
	for {
		if path, err = os.MkdirTemp(dir, sparePrefix); err != nil {
			return "", nil, err
		}
		lock := spareLock(path)
		held, err := lock.TryRLock()
		_, gone := os.Lstat(path)
		if gone == nil && (held || err != nil) { // an error: no such locks here, and nobody removes it
			return path, func() { os.RemoveAll(path); lock.Close() }, nil
		}
		lock.Close() // taken for a left one before it was locked
	}
}

// removeSpare removes such a directory unless it is in use.
func removeSpare(path string) {
	lock := spareLock(path)
	if ok, _ := lock.TryLock(); ok {
		os.RemoveAll(path)
		lock.Close()
	}
}

func spareLock(path string) *flock.Flock { return flock.New(path, flock.SetFlag(os.O_RDONLY)) }
