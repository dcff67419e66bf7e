package ociremote

import (
	"context"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// AnnotationRepository names, in the index of a layout or archive, the repository
// (without a host) of an image of which the full name is in its reference name.
const AnnotationRepository = "io.tufoci.repository"

// NamedWriter is a layout or archive, whose index can list manifests of many
// repositories under their full names.
type NamedWriter interface {
	WritableRepository
	// PushNamed stores a manifest and lists it in the index under a name,
	// HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST, with annotations beside it. With
	// the name "" it is listed without one, as what refers to an image is.
	PushNamed(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string, annotations map[string]string) error
}

// IndexEntry is one manifest that the index of a layout or archive lists.
type IndexEntry struct {
	// Name as it stands there: a tag, a full reference, or "".
	Name       string
	Descriptor ocispec.Descriptor
}

// IndexEntries lists what the index of a layout or archive names, in its order.
// ErrForeign for any other repository.
func IndexEntries(ctx context.Context, repo Repository) ([]IndexEntry, error) {
	panic("not built")
}
