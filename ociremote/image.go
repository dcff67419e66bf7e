package ociremote

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImageReference names an image: in a registry, a layout directory or an archive.
// It has a tag, a digest or both.
type ImageReference struct {
	Kind Kind
	// Host (with its port if it has one) and Repository of a registry. Docker Hub
	// is docker.io, its official images library/NAME.
	Host, Repository string
	// Path of the layout directory or archive file, as it was given.
	Path   string
	Tag    string
	Digest digest.Digest
}

// ParseImage reads HOST/REPOSITORY with :TAG, @DIGEST or both,
// "oci-layout:PATH:TAG" and "oci-archive:FILE:TAG", also with @DIGEST. A name
// without a host is refused: nothing is searched for. So is one without tag and
// digest. docker.io, index.docker.io and registry-1.docker.io are one host.
// ErrInvalidReference.
func ParseImage(s string) (ImageReference, error) { panic("not built") }

// String is the canonical form, which ParseImage reads back.
func (r ImageReference) String() string { panic("not built") }

// Name is HOST/REPOSITORY; "" for a layout or archive.
func (r ImageReference) Name() string { panic("not built") }

// Reference is what Client.Repository opens: by digest if there is one.
func (r ImageReference) Reference() Reference { panic("not built") }

// Manifest is a manifest or index as it was read. Data has the digest and size of
// the descriptor.
type Manifest struct {
	Descriptor ocispec.Descriptor
	Data       []byte
	// Children are the manifests of an index, Subject is what an artifact refers
	// to.
	Children []ocispec.Descriptor
	Subject  *ocispec.Descriptor
}

// IsIndex reports whether it is an image index or a manifest list.
func (m *Manifest) IsIndex() bool { panic("not built") }

// FetchManifest reads the manifest under a tag or digest with one GET of at most
// MaxManifest bytes. ErrNotFound; ErrMalformed for bytes that are not JSON, have a
// media type that differs from the one served, or are both index and image.
func FetchManifest(ctx context.Context, repo Repository, name string) (*Manifest, error) {
	panic("not built")
}

// ReferrersOptions bound [Referrers].
type ReferrersOptions struct {
	// ArtifactTypes to return; empty: all. Registries that know no filter, and
	// those that report the config's media type, are filtered here.
	ArtifactTypes []string
	// Max is how many descriptors are returned at most; 0 is 256. MaxPages of a
	// list are read; 0 is 8. More than that is cut off, and the result says so.
	Max, MaxPages int
}

// ReferrerList is what refers to a manifest. It is unsigned: anybody who can push
// can add to it, and a registry can hide.
type ReferrerList struct {
	Descriptors []ocispec.Descriptor
	// Truncated: there are more.
	Truncated bool
}

// Referrers lists what refers to a manifest: by the referrers API (distribution
// specification 1.1), one GET; where the registry has none (404, or 405) by the
// referrers tag of its digest; in layouts and archives by the index and that tag. A
// list that breaks the rules is ErrMalformed; entries of it that do are left out.
func Referrers(ctx context.Context, repo Repository, subject ocispec.Descriptor, o ReferrersOptions) (*ReferrerList, error) {
	panic("not built")
}
