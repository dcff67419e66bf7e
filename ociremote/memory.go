package ociremote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

// memory is a repository in memory.
type memory struct {
	mu    sync.RWMutex
	blobs map[digest.Digest]memoryBlob
	tags  map[string]digest.Digest
}

type memoryBlob struct {
	mediaType string
	data      []byte
}

var (
	_ WritableRepository = (*memory)(nil)
	_ content.Deleter    = (*memory)(nil)
	_ content.Untagger   = (*memory)(nil)
)

// NewMemory is an empty repository in memory, safe for concurrent use. It can
// delete.
func NewMemory() WritableRepository {
	return &memory{blobs: map[digest.Digest]memoryBlob{}, tags: map[string]digest.Digest{}}
}

// Push stores a blob after checking its size and digest.
func (m *memory) Push(_ context.Context, desc ocispec.Descriptor, r io.Reader) error {
	data, err := readVerified(r, desc)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blobs[desc.Digest]; !ok {
		m.blobs[desc.Digest] = memoryBlob{desc.MediaType, data}
	}
	return nil
}

// PushReference stores a manifest and tags it.
func (m *memory) PushReference(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string) error {
	if err := checkName(name, desc); err != nil {
		return err
	}
	if err := m.Push(ctx, desc, r); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if name != desc.Digest.String() {
		m.tags[name] = desc.Digest
	}
	return nil
}

// Resolve finds a manifest by tag or digest.
func (m *memory) Resolve(_ context.Context, name string) (ocispec.Descriptor, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	dgst, ok := m.tags[name]
	if !ok {
		dgst = digest.Digest(name)
	}
	b, ok := m.blobs[dgst]
	if !ok {
		return ocispec.Descriptor{}, notFound(name)
	}
	return ocispec.Descriptor{MediaType: b.mediaType, Digest: dgst, Size: int64(len(b.data))}, nil
}

// Fetch opens a blob.
func (m *memory) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	b, ok := m.blobs[desc.Digest]
	if !ok {
		return nil, blobNotFound(desc.Digest)
	}
	return io.NopCloser(bytes.NewReader(b.data)), nil
}

// FetchReference opens a manifest by tag or digest.
func (m *memory) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	desc, err := m.Resolve(ctx, name)
	if err != nil {
		return desc, nil, err
	}
	rc, err := m.Fetch(ctx, desc)
	return desc, rc, err
}

// Exists reports whether a blob is there.
func (m *memory) Exists(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.blobs[desc.Digest]
	return ok, nil
}

// Tags lists the tags after last.
func (m *memory) Tags(_ context.Context, last string, fn func([]string) error) error {
	m.mu.RLock()
	tags := slices.Sorted(maps.Keys(m.tags))
	m.mu.RUnlock()
	return tagsAfter(tags, last, fn)
}

// Delete removes a blob or manifest and the tags that point to it.
func (m *memory) Delete(_ context.Context, desc ocispec.Descriptor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blobs[desc.Digest]; !ok {
		return blobNotFound(desc.Digest)
	}
	delete(m.blobs, desc.Digest)
	maps.DeleteFunc(m.tags, func(_ string, d digest.Digest) bool { return d == desc.Digest })
	return nil
}

// Untag removes a tag and nothing that it names.
func (m *memory) Untag(_ context.Context, tag string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.tags[tag]; !ok {
		return notFound(tag)
	}
	delete(m.tags, tag)
	return nil
}

// tagsAfter calls fn once with the sorted tags behind last, if there are any.
func tagsAfter(sorted []string, last string, fn func([]string) error) error {
	if last != "" {
		i, found := slices.BinarySearch(sorted, last)
		if found {
			i++
		}
		sorted = sorted[i:]
	}
	if len(sorted) == 0 {
		return nil
	}
	return fn(sorted)
}

// checkName accepts a tag, or the digest of the manifest itself.
func checkName(name string, desc ocispec.Descriptor) error {
	if name == desc.Digest.String() || tagName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%w: tag %q", ErrInvalidReference, shorten(name))
}

// notFound is an ErrNotFound that oras knows too.
func notFound(what string) error {
	return fmt.Errorf("%s: %w%.0w", what, ErrNotFound, errdef.ErrNotFound)
}

// blobNotFound is an ErrBlobNotFound that oras knows too.
func blobNotFound(dgst digest.Digest) error {
	return fmt.Errorf("%s: %w%.0w", dgst, ErrBlobNotFound, errdef.ErrNotFound)
}
