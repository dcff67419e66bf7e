package ociremote

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Known is the manifest that was seen last under a name.
type Known struct {
	Digest digest.Digest
	ETag   string
	Size   int64
}

// FetchBundle reads the bundle under a tag or digest in one request.
func FetchBundle(ctx context.Context, repo Repository, name string, known Known) (*Bundle, error) {
	panic("not implemented")
}

// FetchBlob reads a blob of at most max bytes and checks its size and digest.
func FetchBlob(ctx context.Context, repo Repository, desc ocispec.Descriptor, max int64) ([]byte, error) {
	panic("not implemented")
}
