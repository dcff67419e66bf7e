package ociremote

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/durable"
)

// Archive is an OCI archive that is being written: an OCI layout in a tar. It
// can be read back at any time.
type Archive struct {
	file string

	mu   sync.Mutex
	temp *os.File // nil after Commit or Close
	end  int64    // where the next entry goes
	// sealed: the file is finished, and only its name is missing.
	sealed bool
	// blobs that are written, and where.
	blobs map[digest.Digest]section
	idx   *layoutIndex
	// reader reads what was written so far.
	reader *layoutReader
}

// section is a part of a file.
type section struct{ offset, size int64 }

var (
	_ NamedWriter = (*Archive)(nil)
	_ layoutFiles = (*unfinished)(nil)
	// errClosed is for the use of an archive after its end.
	errClosed = errors.New("the archive is closed")
)

// CreateArchive starts an archive in a temporary file beside the given one, which
// appears, or is replaced, at Commit.
func CreateArchive(file string) (*Archive, error) {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "write", Path: file, Err: errors.New("not a regular file")}
	}
	temp, err := os.CreateTemp(filepath.Dir(file), tempPattern)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, &fs.PathError{Op: "write", Path: file, Err: e.Err} // no word of the temporary file
	}
	if err != nil {
		return nil, err
	}
	a := &Archive{file: file, temp: temp, blobs: map[digest.Digest]section{}, idx: emptyIndex()}
	a.reader = &layoutReader{files: (*unfinished)(a), where: file, own: true}
	if err := a.add(ocispec.ImageLayoutFile, layoutMarker); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// add writes one entry. The end moves only when it is whole.
func (a *Archive) add(name string, data []byte) error {
	_, err := a.addFrom(name, int64(len(data)), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return err
}

func (a *Archive) addFrom(name string, size int64, write func(io.Writer) error) (section, error) {
	if a.temp == nil || a.sealed {
		return section{}, errClosed
	}
	header, err := tarHeader(name, size)
	if err != nil {
		return section{}, err
	}
	w := io.NewOffsetWriter(a.temp, a.end)
	if _, err := w.Write(header); err != nil {
		return section{}, err
	}
	if err := write(w); err != nil {
		return section{}, err
	}
	// The rest of the last block may hold bytes of an entry that failed.
	if padding := tarSize(size) - tarBlock - size; padding > 0 {
		if _, err := w.Write(make([]byte, padding)); err != nil {
			return section{}, err
		}
	}
	s := section{a.end + int64(len(header)), size}
	a.end = s.offset + tarSize(size) - tarBlock
	return s, nil
}

// tarHeader is the header of a regular file. The names of a layout fit USTAR;
// sizes of 8 GiB and more take another block.
func tarHeader(name string, size int64) ([]byte, error) {
	var buf bytes.Buffer
	err := tar.NewWriter(&buf).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0),
	})
	return buf.Bytes(), err
}

// Push stores a blob after checking its size and digest.
func (a *Archive) Push(_ context.Context, desc ocispec.Descriptor, r io.Reader) error {
	if err := validateDigest(desc.Digest); err != nil {
		return &MalformedError{What: "blob", Err: err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.temp == nil || a.sealed {
		return errClosed
	}
	if _, ok := a.blobs[desc.Digest]; ok {
		return nil
	}
	s, err := a.addFrom(blobFile(desc.Digest), desc.Size, func(w io.Writer) error { return copyVerified(w, r, desc) })
	if err != nil {
		return err
	}
	a.blobs[desc.Digest] = s
	return nil
}

// PushReference stores a manifest and tags it.
func (a *Archive) PushReference(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string) error {
	if err := checkName(name, desc); err != nil {
		return err
	}
	if err := a.Push(ctx, desc, r); err != nil {
		return err
	}
	if name == desc.Digest.String() {
		return nil
	}
	return a.idx.set(indexName{desc: desc, name: name})
}

// PushNamed implements NamedWriter.
func (a *Archive) PushNamed(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string, annotations map[string]string) error {
	e, err := newIndexName(desc, name, annotations)
	if err != nil {
		return err
	}
	if err := a.Push(ctx, desc, r); err != nil {
		return err
	}
	return a.idx.set(e)
}

// Flush implements NamedWriter. Others see an archive once it is committed.
func (a *Archive) Flush(context.Context) error { return nil }

// unfinished are the files of an archive that is being written.
type unfinished Archive

func (u *unfinished) open(name string) (io.ReadCloser, int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.temp == nil {
		return nil, 0, errClosed
	}
	at, ok := u.blobs[digest.NewDigestFromEncoded(digest.SHA256, filepath.Base(name))]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return io.NopCloser(io.NewSectionReader(u.temp, at.offset, at.size)), at.size, nil
}

// index implements layoutFiles.
func (u *unfinished) index() (*layoutIndex, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.temp == nil {
		return nil, errClosed
	}
	return u.idx, nil
}

// Resolve finds a manifest by tag or digest.
func (a *Archive) Resolve(ctx context.Context, name string) (ocispec.Descriptor, error) {
	return a.reader.Resolve(ctx, name)
}

// Fetch opens a blob. It is to be read before the archive is closed.
func (a *Archive) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return a.reader.Fetch(ctx, desc)
}

// FetchReference opens a manifest by tag or digest.
func (a *Archive) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	return a.reader.FetchReference(ctx, name)
}

// Exists reports whether a blob is there.
func (a *Archive) Exists(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.blobs[desc.Digest]
	return ok, nil
}

// Tags lists the tags after last.
func (a *Archive) Tags(_ context.Context, last string, fn func([]string) error) error {
	return tagsAfter(a.idx.tags(), last, fn)
}

// Commit finishes the archive, syncs it and gives it its name. The archive is
// closed then, also after an error.
func (a *Archive) Commit() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.temp == nil {
		return errClosed
	}
	temp := a.temp
	defer os.Remove(temp.Name())
	err := a.seal()
	a.temp = nil
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), a.file); err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(a.file))
}

// finish writes the index and the end of the tar.
func (a *Archive) finish() error {
	a.idx.sort()
	index, err := a.idx.encode()
	if err != nil {
		return err
	}
	if err := a.add(ocispec.ImageIndexFile, index); err != nil {
		return err
	}
	if _, err := a.temp.WriteAt(make([]byte, 2*tarBlock), a.end); err != nil {
		return err
	}
	return errors.Join(a.temp.Truncate(a.end+2*tarBlock), a.temp.Chmod(0o644), a.temp.Sync())
}

// Close drops an archive that was not committed. After Commit it does nothing.
func (a *Archive) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.temp == nil {
		return nil
	}
	temp := a.temp
	a.temp = nil
	return errors.Join(temp.Close(), os.Remove(temp.Name()))
}
