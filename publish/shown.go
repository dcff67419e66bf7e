package publish

import (
	"bytes"
	"context"
	"io"
	"maps"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

var _ ociremote.Repository = (*shown)(nil)

// shown is a repository in which every name stands for one bundle at hand. A
// client that reads it sees that bundle and nothing that moves in the
// meantime. Blobs come from memory where they are there, else from the
// repository behind, and are kept: nothing is fetched twice.
type shown struct {
	behind ociremote.Repository

	mu     sync.Mutex
	bundle *ociremote.Bundle
	blobs  map[digest.Digest][]byte
}

// show puts a bundle in the place of the one before.
func (s *shown) show(b *ociremote.Bundle, blobs []ociremote.Blob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bundle = b
	if s.blobs == nil {
		s.blobs = map[digest.Digest][]byte{}
	}
	for _, blob := range blobs {
		if blob.Data != nil {
			s.blobs[blob.Descriptor.Digest] = blob.Data
		}
	}
}

func (s *shown) manifest() (ocispec.Descriptor, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	desc := s.bundle.Descriptor
	return ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}, s.bundle.Manifest
}

// Resolve implements [ociremote.Repository].
func (s *shown) Resolve(context.Context, string) (ocispec.Descriptor, error) {
	desc, _ := s.manifest()
	return desc, nil
}

// FetchReference implements [ociremote.Repository].
func (s *shown) FetchReference(context.Context, string) (ocispec.Descriptor, io.ReadCloser, error) {
	desc, manifest := s.manifest()
	return desc, io.NopCloser(bytes.NewReader(manifest)), nil
}

// Exists implements [ociremote.Repository].
func (s *shown) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	if s.held(desc.Digest) != nil {
		return true, nil
	}
	return s.behind.Exists(ctx, desc)
}

// Fetch implements [ociremote.Repository].
func (s *shown) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if data := s.held(desc.Digest); data != nil {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	data, err := ociremote.FetchBlob(ctx, s.behind, desc, desc.Size)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[desc.Digest] = data
	return io.NopCloser(bytes.NewReader(data)), nil
}

// keep holds these blobs and no others.
func (s *shown) keep(blobs map[digest.Digest][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs = blobs
}

// kept are the blobs that were read so far.
func (s *shown) kept() map[digest.Digest][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.blobs)
}

func (s *shown) held(d digest.Digest) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if desc := s.bundle.Descriptor; desc.Digest == d {
		return s.bundle.Manifest
	}
	return s.blobs[d]
}
