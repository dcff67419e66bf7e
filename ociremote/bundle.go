package ociremote

import (
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Layout is a variant of the manifest for registries that refuse the default.
type Layout string

// The layouts that [Pack] writes. Readers take all of them.
const (
	LayoutDefault Layout = "default" // empty config and inline layer with data
	LayoutNoData  Layout = "nodata"  // no data anywhere, no inline layer
	LayoutGitLab  Layout = "gitlab"  // image config type, no artifactType
)

// Media types of the layout.
const (
	MediaTypeBundle   = "application/vnd.tufoci.bundle.v1"
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

// FormatVersion is the value of AnnotationVersion that this code writes and the
// highest that it reads.
const FormatVersion = 1

// File is one file of a bundle.
type File struct {
	Title      string
	Descriptor ocispec.Descriptor
}

// Bundle is a manifest that was read, or made by [Pack]. Read only.
type Bundle struct {
	Manifest    []byte
	Descriptor  ocispec.Descriptor
	ETag        string
	Files       []File
	Annotations map[string]string
	Partial     bool
	Legacy      bool
	Layout      Layout

	inline map[string][]byte
}

// ParseBundle reads a manifest strictly.
func ParseBundle(manifest []byte) (*Bundle, error) { panic("not implemented") }

// File finds a file by its title.
func (b *Bundle) File(title string) (File, bool) { panic("not implemented") }

// Inline is the content of a file that the inline layer carries, checked
// against its descriptor.
func (b *Bundle) Inline(title string) ([]byte, bool) { panic("not implemented") }

// SameContent reports whether both have the same files: title, digest, size.
func (b *Bundle) SameContent(o *Bundle) bool { panic("not implemented") }

// Content is one file to pack.
type Content struct {
	Title  string
	Digest digest.Digest
	Size   int64
	// Data is nil if only the blob exists already.
	Data []byte
}

// PackOptions of [Pack].
type PackOptions struct {
	Layout      Layout
	MaxManifest int64
	Annotations map[string]string
	Partial     bool
	Subject     *ocispec.Descriptor
}

// Blob is one to push before the manifest. Nil Data must exist already.
type Blob struct {
	Descriptor ocispec.Descriptor
	Data       []byte
}

// Pack makes a bundle.
func Pack(files []Content, o PackOptions) (*Bundle, []Blob, error) { panic("not implemented") }
