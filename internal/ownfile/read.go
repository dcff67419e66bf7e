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

// OpenLinked opens a regular file, whatever its size, also behind a symbolic link. Errors:
// ErrOdd, fs.ErrNotExist.
func OpenLinked(name string) (*os.File, fs.FileInfo, error) {
	return open(name, os.Stat, os.OpenFile, 0)
}

// OpenIn is OpenLinked for a file of root, which no link leads out of.
func OpenIn(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	return open(name, root.Stat, root.OpenFile, 0)
}

func read(name string, max int64, stat func(string) (fs.FileInfo, error), flag int) ([]byte, error) {
	f, info, err := open(name, stat, os.OpenFile, flag)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > max {
		return nil, tooLarge(name, info.Size(), max)
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

func open(name string, stat func(string) (fs.FileInfo, error), openFile func(string, int, fs.FileMode) (*os.File, error), flag int) (*os.File, fs.FileInfo, error) {
	info, err := stat(name)
	if err == nil {
		err = check(name, info) // nothing else is opened: that alone can have effects
	}
	if isLink(err) {
		err = fmt.Errorf("%w: %w", ErrOdd, err)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := openFile(name, os.O_RDONLY|flag|unwaiting, 0)
	if err != nil {
		return nil, nil, err
	}
	// It may have been replaced meanwhile.
	if info, err = f.Stat(); err == nil {
		err = check(name, info)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func check(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", name, ErrOdd)
	}
	return nil
}

func tooLarge(name string, size, max int64) error {
	return fmt.Errorf("%w: %s has %d bytes, more than %d", ErrTooLarge, name, size, max)
}
