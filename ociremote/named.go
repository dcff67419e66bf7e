package ociremote

import (
	"context"
	"fmt"
	"io"
	"maps"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// AnnotationRepository names, in the index of a layout or archive, the repository
// (without a host) of an image of which the full name is in its reference name.
const AnnotationRepository = "io.tufoci.repository"

// NamedWriter is a layout or archive, whose index can list manifests of many
// repositories under their full names.
//
// A tag stays one of the layout itself: what is written under the full name
// HOST/x:tuf is not found under "tuf".
type NamedWriter interface {
	WritableRepository
	// PushNamed stores a manifest and lists it in the index under a name,
	// HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST, with annotations beside it, and
	// with the artifact type of the descriptor. With the name "" it is listed without
	// one, as what refers to an image is. A name that is no canonical one of these is
	// ErrInvalidReference.
	PushNamed(ctx context.Context, desc ocispec.Descriptor, r io.Reader, name string, annotations map[string]string) error
	// Flush puts what PushNamed has listed into the index. PushNamed may gather
	// entries; PushReference writes them with its own. Who ends before that leaves
	// the older index.
	Flush(ctx context.Context) error
}

// newIndexName checks an entry of PushNamed.
func newIndexName(desc ocispec.Descriptor, name string, annotations map[string]string) (indexName, error) {
	e := indexName{desc: desc, name: name, annotations: maps.Clone(annotations)}
	if name == "" {
		return e, nil
	}
	image, err := ParseImage(name)
	switch {
	case err != nil:
		return e, err
	case image.Kind != KindRegistry || image.String() != name || (image.Tag == "") == (image.Digest == ""):
		return e, fmt.Errorf("%w %q: want HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST", ErrInvalidReference, shorten(name))
	case image.Digest != "" && image.Digest != desc.Digest:
		return e, fmt.Errorf("%w %q: the manifest is %s", ErrInvalidReference, shorten(name), desc.Digest)
	}
	if e.annotations == nil {
		e.annotations = map[string]string{}
	}
	e.annotations[AnnotationRepository] = image.Repository
	return e, nil
}

// IndexEntry is one manifest that the index of a layout or archive lists.
type IndexEntry struct {
	// Name as it stands there: a tag, a full reference, or "".
	Name       string
	Descriptor ocispec.Descriptor
}

// IndexEntries lists what the index of a layout or archive names, in its order.
// ErrForeign for any other repository.
func IndexEntries(_ context.Context, repo Repository) ([]IndexEntry, error) {
	var files layoutFiles
	switch r := repo.(type) {
	case *layoutReader:
		files = r.files
	case *layoutDirectory:
		files = r.files
	case *Archive:
		files = r.reader.files
	default:
		return nil, fmt.Errorf("%w: no layout or archive, which alone have an index", ErrForeign)
	}
	idx, err := files.index()
	if err != nil {
		return nil, err
	}
	var entries []IndexEntry
	for _, e := range idx.list() {
		if e.desc.Digest != "" {
			entries = append(entries, IndexEntry{Name: e.name(), Descriptor: e.desc})
		}
	}
	return entries, nil
}
