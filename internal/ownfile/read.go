package ownfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

var (
	// ErrOdd: what is there is no regular file, but a link, a directory, a pipe or a
	// device.
	ErrOdd = errors.New("not a regular file")
	// ErrTooLarge: the file is larger than it may be.
	ErrTooLarge = errors.New("file too large")
)

// Read reads a file of at most max bytes; nil if there is none. Errors: ErrOdd, also
// for a symbolic link, ErrTooLarge.
func Read(name string, max int64) ([]byte, error) { return read(name, max, os.Lstat, direct) }

// ReadLinked is Read for a file that a person may have put there by a symbolic link.
func ReadLinked(name string, max int64) ([]byte, error) { return read(name, max, os.Stat, 0) }

func read(name string, max int64, stat func(string) (fs.FileInfo, error), flag int) ([]byte, error) {
	info, err := stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := check(name, info, max); err != nil { // nothing else is opened: that alone can have effects
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|flag|unwaiting, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// It may have been replaced meanwhile.
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := check(name, info, max); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead)
	n, err := data.ReadFrom(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if n > max {
		return nil, tooLarge(name, n, max)
	}
	return data.Bytes(), nil
}

func check(name string, info fs.FileInfo, max int64) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w", name, ErrOdd)
	case info.Size() > max:
		return tooLarge(name, info.Size(), max)
	default:
		return nil
	}
}

func tooLarge(name string, size, max int64) error {
	return fmt.Errorf("%w: %s has %d bytes, more than %d", ErrTooLarge, name, size, max)
}
