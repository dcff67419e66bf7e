package fetcher

import (
	"context"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tufoci/tufoci/ociremote"
)

// pacedRepository holds what a repository sends to the least rate.
type pacedRepository struct {
	ociremote.Repository
	limits Limits
}

// Fetch implements content.Fetcher.
func (p *pacedRepository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	r, err := p.Repository.Fetch(ctx, desc)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return newPacedReader(ctx, r, p.limits, cancel), nil
}

// FetchReference implements registry.ReferenceFetcher.
func (p *pacedRepository) FetchReference(ctx context.Context, reference string) (ocispec.Descriptor, io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	desc, r, err := p.Repository.FetchReference(ctx, reference)
	if err != nil {
		cancel(nil)
		return ocispec.Descriptor{}, nil, err
	}
	return desc, newPacedReader(ctx, r, p.limits, cancel), nil
}
