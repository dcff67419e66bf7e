package ociremote

import (
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// MaxManifest is the hard limit for a manifest in bytes, read or written: what
	// the OCI distribution specification asks registries to accept.
	MaxManifest = 4 << 20
	// MaxFiles is the hard limit for the files of a bundle: nearly as many as a manifest
	// of that size has values for.
	MaxFiles = 10_000
)

// Layout is a variant of the manifest for registries that refuse the default.
type Layout string

// The layouts that [Pack] writes. Readers take all of them.
const (
	// LayoutDefault has the empty config and carries the inline layer as data.
	LayoutDefault Layout = "default"
	// LayoutNoData has no data in any descriptor. The inline layer is there as
	// a blob, so that reading costs a second request.
	LayoutNoData Layout = "nodata"
	// LayoutGitLab has the config type of an image and no artifactType.
	LayoutGitLab Layout = "gitlab"
)

// Media types of layout v1.
const (
	MediaTypeBundle   = "application/vnd.tufoci.bundle.v1"
	MediaTypeProposal = "application/vnd.tufoci.proposal.v1"
	MediaTypeInline   = "application/vnd.tufoci.inline.v1.tar+gzip"
	MediaTypeMetadata = "application/vnd.tuf.metadata+json"
	MediaTypeTarget   = "application/vnd.tuf.target"
)

// Annotations of a bundle. All but the format version and the mark of a partial
// bundle are conveniences for people, never trusted.
const (
	AnnotationVersion          = "io.tufoci.version"
	AnnotationPartial          = "io.tufoci.partial"
	AnnotationPrevious         = "io.tufoci.previous"
	AnnotationRootVersion      = "io.tufoci.root.version"
	AnnotationRootExpires      = "io.tufoci.root.expires"
	AnnotationTimestampVersion = "io.tufoci.timestamp.version"
	AnnotationTimestampExpires = "io.tufoci.timestamp.expires"
	AnnotationSnapshotVersion  = "io.tufoci.snapshot.version"
	AnnotationSnapshotExpires  = "io.tufoci.snapshot.expires"
	AnnotationTargetsVersion   = "io.tufoci.targets.version"
	AnnotationTargetsExpires   = "io.tufoci.targets.expires"
)

// FormatVersion is the value of [AnnotationVersion] that this code writes and
// the highest that it reads.
const FormatVersion = "1"

// emptyConfig is the content of every config blob.
var emptyConfig = []byte("{}")

// File is one file of a bundle.
type File struct {
	// Title is its name: "metadata/2.root.json", "targets/dir/<sha256>.name".
	Title string
	// Descriptor of its blob, without annotations.
	Descriptor ocispec.Descriptor
}

// Bundle is a manifest that was read, or made by [Pack]. It is not to be
// changed, and safe for concurrent reading.
type Bundle struct {
	// Manifest as it was received, byte for byte.
	Manifest []byte
	// Descriptor of the manifest.
	Descriptor ocispec.Descriptor
	// ETag that the registry gave with it, or "".
	ETag string
	// Files, sorted by title. The inline layer is none.
	Files []File
	// Annotations of the manifest. Not trusted.
	Annotations map[string]string
	// Subject is the image that the bundle is attached to, or nil.
	Subject *ocispec.Descriptor
	// Partial: it holds what one image needs, not the whole repository.
	Partial bool
	// Legacy: it has the older layout of docker/attest.
	Legacy bool
	// Layout is the variant, "" for Legacy.
	Layout Layout

	// inlineLayer is the descriptor of the inline layer, nil without one.
	inlineLayer *ocispec.Descriptor
	inline      map[string][]byte
	// layers are the files in the order of the manifest.
	layers []File
}

// File finds a file by its title.
func (b *Bundle) File(title string) (File, bool) {
	i, ok := slices.BinarySearchFunc(b.Files, title, func(f File, t string) int { return strings.Compare(f.Title, t) })
	if !ok {
		return File{}, false
	}
	return b.Files[i], true
}

// Inline is the content of a file that the inline layer carries. It has the
// size and digest of the file's descriptor. It is not to be changed.
func (b *Bundle) Inline(title string) ([]byte, bool) {
	data, ok := b.inline[title]
	return data, ok
}

// Held is how many bytes of it are in memory: its manifest, and what is inline unpacked.
func (b *Bundle) Held() int64 {
	held := int64(len(b.Manifest))
	for _, data := range b.inline {
		held += int64(len(data))
	}
	return held
}

// SameContent reports whether both have the same files: title, digest and size.
// The inline layer and the annotations do not count, since gzip output changes
// between Go releases.
func (b *Bundle) SameContent(o *Bundle) bool {
	return slices.EqualFunc(b.Files, o.Files, func(f, g File) bool {
		return f.Title == g.Title && f.Descriptor.Digest == g.Descriptor.Digest && f.Descriptor.Size == g.Descriptor.Size
	})
}

// descriptorOf describes bytes.
func descriptorOf(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}
