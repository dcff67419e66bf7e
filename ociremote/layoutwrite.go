package ociremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/ownfile"
)

const (
	// lockFile guards index.json among processes of this program.
	lockFile = ".tufoci.lock"
	// tempPattern of files that are being written.
	tempPattern = ".tufoci-*.tmp"
	lockPoll    = 10 * time.Millisecond
)

// layoutMarker is the content of the file oci-layout.
var layoutMarker = []byte(`{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`)

// layoutDirectory is a layout directory to write to. Other processes may read
// and write it at the same time.
type layoutDirectory struct {
	layoutReader
	dir string

	// pending are entries that index.json does not have yet.
	mu      sync.Mutex
	pending []indexName
}

var (
	_ NamedWriter      = (*layoutDirectory)(nil)
	_ content.Deleter  = (*layoutDirectory)(nil)
	_ content.Untagger = (*layoutDirectory)(nil)
)

// CreateLayout opens the OCI layout directory for writing. One that does not
// exist is made by the first push; a directory that holds something else is
// refused. Blobs are written under another name, synced and renamed; index.json
// is replaced the same way, under a lock. What others wrote into it stays. It can
// delete.
func CreateLayout(dir string) (WritableRepository, error) {
	l := &layoutDirectory{dir: dir}
	l.layoutReader.files = &directory{path: dir, pending: l.addPending}
	l.where, l.own = dir, true
	err := l.check()
	if !errors.Is(err, ErrNotFound) {
		return l, err
	}
	others, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, o := range others {
		if ok, _ := filepath.Match(tempPattern, o.Name()); ok || o.Name() == lockFile || o.Name() == ocispec.ImageBlobsDir {
			continue
		}
		// A layout of which only the marker was written is finished by a push. One that
		// another process has begun meanwhile has its marker before all else.
		if _, err := os.Stat(filepath.Join(dir, ocispec.ImageLayoutFile)); err != nil {
			return nil, fmt.Errorf("%s is not empty and no OCI layout", dir)
		}
		break
	}
	return l, nil
}

// Push stores a blob after checking its size and digest. One that is there and
// whole stays as it is.
func (l *layoutDirectory) Push(ctx context.Context, desc ocispec.Descriptor, r io.Reader) error {
	if err := validateDigest(desc.Digest); err != nil {
		return &MalformedError{What: "blob", Err: err}
	}
	if l.whole(ctx, desc) {
		return nil
	}
	path := filepath.Join(l.dir, filepath.FromSlash(blobFile(desc.Digest)))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return l.writeFile(path, func(w io.Writer) error { return copyVerified(w, r, desc) })
}

// whole reads a blob that is there.
func (l *layoutDirectory) whole(ctx context.Context, desc ocispec.Descriptor) bool {
	rc, err := l.Fetch(ctx, desc)
	if err != nil {
		return false
	}
	defer rc.Close()
	return copyVerified(io.Discard, rc, desc) == nil
}

// PushReference stores a manifest and tags it.
func (l *layoutDirectory) PushReference(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string) error {
	if err := checkName(name, desc); err != nil {
		return err
	}
	if err := l.Push(ctx, desc, r); err != nil {
		return err
	}
	return l.update(ctx, func(idx *layoutIndex) error {
		if name == desc.Digest.String() {
			return nil
		}
		return idx.set(indexName{desc: desc, name: name})
	})
}

// maxPending is how many entries are gathered before index.json, which is written as
// a whole, is written.
const maxPending = 256

// PushNamed implements NamedWriter.
func (l *layoutDirectory) PushNamed(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string, annotations map[string]string) error {
	e, err := newIndexName(desc, name, annotations)
	if err != nil {
		return err
	}
	if err := l.Push(ctx, desc, r); err != nil {
		return err
	}
	l.mu.Lock()
	l.pending = append(l.pending, e)
	full := len(l.pending) >= maxPending
	l.mu.Unlock()
	idx, err := l.files.index()
	switch {
	case full, errors.Is(err, ErrNotFound):
		return l.Flush(ctx)
	case err != nil:
		return err
	}
	return idx.set(e)
}

// addPending makes an index that was read one of what is there and of what will be.
func (l *layoutDirectory) addPending(idx *layoutIndex) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.pending {
		if err := idx.set(e); err != nil {
			return err
		}
	}
	return nil
}

// Flush implements NamedWriter.
func (l *layoutDirectory) Flush(ctx context.Context) error {
	l.mu.Lock()
	waiting := len(l.pending)
	l.mu.Unlock()
	if waiting == 0 {
		return nil
	}
	return l.update(ctx, func(*layoutIndex) error { return nil })
}

// Delete removes a blob, or a manifest with all its tags.
func (l *layoutDirectory) Delete(ctx context.Context, desc ocispec.Descriptor) error {
	if ok, err := l.Exists(ctx, desc); err != nil || !ok {
		return errors.Join(err, blobNotFound(desc.Digest))
	}
	if err := l.update(ctx, func(idx *layoutIndex) error { idx.remove(desc.Digest); return nil }); err != nil {
		return err
	}
	return os.Remove(filepath.Join(l.dir, filepath.FromSlash(blobFile(desc.Digest))))
}

// Untag removes a tag and nothing that it names: blobs stay where they are.
func (l *layoutDirectory) Untag(ctx context.Context, tag string) error {
	return l.update(ctx, func(idx *layoutIndex) error {
		if !idx.untag(tag) {
			return notFound(tag)
		}
		return nil
	})
}

// update changes index.json under the lock, and puts into it what is pending.
func (l *layoutDirectory) update(ctx context.Context, change func(*layoutIndex) error) error {
	lock := ownfile.Lock(filepath.Join(l.dir, lockFile))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return fmt.Errorf("locking %s: %w", l.dir, err)
	}
	defer lock.Close()
	idx, err := readIndex(l.files, l.dir)
	if errors.Is(err, ErrNotFound) {
		idx, err = emptyIndex(), nil
	}
	if err != nil {
		return err
	}
	before, err := idx.encode()
	if err != nil {
		return err
	}
	l.mu.Lock()
	pending := slices.Clone(l.pending)
	l.mu.Unlock()
	for _, e := range pending {
		if err := idx.set(e); err != nil {
			return err
		}
	}
	if err := change(idx); err != nil {
		return err
	}
	after, err := idx.encode()
	if err != nil {
		return err
	}
	if err := l.mark(); err != nil {
		return err
	}
	index := filepath.Join(l.dir, ocispec.ImageIndexFile)
	if _, err := os.Stat(index); err != nil || string(before) != string(after) {
		if err := l.writeFile(index, durable.Bytes(after)); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Entries come at the end, and only an update, of which there is one at a time,
	// takes them away.
	l.pending = slices.Delete(l.pending, 0, len(pending))
	return nil
}

// mark writes the file that makes the directory a layout.
func (l *layoutDirectory) mark() error {
	path := filepath.Join(l.dir, ocispec.ImageLayoutFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return l.writeFile(path, durable.Bytes(layoutMarker))
}

// copyVerified copies exactly what desc describes. After an error w holds
// something else.
func copyVerified(w io.Writer, r io.Reader, desc ocispec.Descriptor) error {
	verifier := digest.SHA256.Digester()
	n, err := io.Copy(io.MultiWriter(w, verifier.Hash()), io.LimitReader(r, desc.Size+1))
	if err != nil {
		return err
	}
	if n != desc.Size || verifier.Digest() != desc.Digest {
		return &MalformedError{What: "blob", Err: fmt.Errorf("%s of %d bytes has other content", desc.Digest, desc.Size)}
	}
	return nil
}

// writeFile makes a file of the layout appear whole or not at all.
func (l *layoutDirectory) writeFile(path string, write func(io.Writer) error) error {
	disk := durable.Disk{Temp: l.dir, Pattern: tempPattern}
	if err := disk.Put(path, 0o644, write); err != nil {
		return err
	}
	return disk.Sync(filepath.Dir(path))
}
