package verify

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// meter bounds what is read of a repository, all together. It is safe for concurrent
// use.
type meter struct {
	ociremote.Repository
	max  int64 // bytes
	read atomic.Int64
}

func newMeter(repo ociremote.Repository, max int64) *meter { return &meter{Repository: repo, max: max} }

// Fetch implements ociremote.Repository.
func (m *meter) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := m.Repository.Fetch(ctx, d)
	return m.body(rc, err)
}

// FetchReference implements ociremote.Repository.
func (m *meter) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	d, rc, err := m.Repository.FetchReference(ctx, name)
	rc, err = m.body(rc, err)
	return d, rc, err
}

func (m *meter) body(rc io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return &metered{rc, m}, nil
}

type metered struct {
	io.ReadCloser
	m *meter
}

func (b *metered) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.m.read.Add(int64(n)) > b.m.max {
		return n, fmt.Errorf("copies of the trust next to one image: %w, the limit for all of them is %d bytes", ociremote.ErrTooLarge, b.m.max)
	}
	return n, err
}
