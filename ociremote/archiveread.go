package ociremote

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/tufoci/tufoci/internal/ownfile"
)

const (
	// maxEntries of an archive. Each costs memory.
	maxEntries = 200_000
	// maxEntryName is how long the name of one may be, in bytes, to be remembered: no
	// file of a layout has a longer one.
	maxEntryName = 128
)

// archiveFile is an archive to read. The file stays open, so that what was found
// in it stays there when another archive takes its name; it is closed when
// nothing refers to it any more.
type archiveFile struct {
	f       *os.File
	where   string
	entries map[string]section
	known   func() (*layoutIndex, error) // index.json, read once
}

// openArchive opens an OCI archive: a plain tar.
func openArchive(ctx context.Context, file string) (*layoutReader, error) {
	f, _, err := ownfile.OpenLinked(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, notFound(file)
	case errors.Is(err, ownfile.ErrOdd):
		return nil, &MalformedError{What: "OCI archive", Err: err}
	case err != nil:
		return nil, err
	}
	a := &archiveFile{f: f, where: file}
	a.known = sync.OnceValues(func() (*layoutIndex, error) { return readIndex(a, a.where) })
	l := &layoutReader{files: a, where: file}
	if a.entries, err = scanArchive(ctx, f, maxEntries); err == nil {
		err = l.check()
	}
	if err == nil {
		return l, nil
	}
	f.Close()
	var malformed *MalformedError
	if errors.As(err, &malformed) || ctx.Err() != nil {
		return nil, err
	}
	return nil, &MalformedError{What: "OCI archive", Err: fmt.Errorf("%s: %v", file, err)}
}

func (a *archiveFile) open(name string) (io.ReadCloser, int64, error) {
	s, ok := a.entries[name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	// The reader keeps a, and a the file.
	return archiveEntry{io.NewSectionReader(a.f, s.offset, s.size), a}, s.size, nil
}

// index implements layoutFiles.
func (a *archiveFile) index() (*layoutIndex, error) { return a.known() }

type archiveEntry struct {
	io.Reader
	_ *archiveFile
}

func (archiveEntry) Close() error { return nil }

// scanArchive finds the regular files of a tar of at most so many entries. The names alone
// of so many can be hundreds of gigabytes, most of them holes of a file: ctx ends it.
func scanArchive(ctx context.Context, f io.ReadSeeker, most int) (map[string]section, error) {
	if err := refuseCompressed(f); err != nil {
		return nil, err
	}
	entries := map[string]section{}
	tr := tar.NewReader(f)
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hdr, err := tr.Next()
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			return nil, notEOF(err)
		}
		if n >= most {
			return nil, fmt.Errorf("more than %d entries: %w", most, ErrTooLarge)
		}
		if hdr.Typeflag != tar.TypeReg || len(hdr.Name) > maxEntryName {
			continue
		}
		if isSparse(hdr) {
			return nil, fmt.Errorf("%q is a sparse file", shorten(hdr.Name))
		}
		// The reader has read the header and nothing behind it.
		offset, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		name := path.Clean(strings.TrimPrefix(hdr.Name, "/"))
		if _, twice := entries[name]; twice {
			return nil, fmt.Errorf("%q twice", shorten(name))
		}
		entries[name] = section{offset, hdr.Size}
	}
}

// isSparse reports whether the bytes of a file are not all in the archive, one behind the other. No tool writes layouts
// so, and programs that find files by their place would read others than those that unpack them.
func isSparse(hdr *tar.Header) bool {
	for record := range hdr.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// refuseCompressed names what a user can do about it.
func refuseCompressed(f io.ReadSeeker) error {
	head := make([]byte, 4)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return err
	}
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return errors.New("compressed with gzip; an OCI archive is a plain tar, unpack it with gunzip")
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return errors.New("compressed with zstd; an OCI archive is a plain tar, unpack it with unzstd")
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}
