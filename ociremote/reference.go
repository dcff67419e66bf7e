package ociremote

import (
	"github.com/opencontainers/go-digest"
)

// DefaultChannel is the tag of a bundle where none is given.
const DefaultChannel = "tuf"

// Kind is where a [Reference] points to.
type Kind int

// The kinds of references.
const (
	KindRegistry Kind = iota // host/repository[:tag|@digest]
	KindLayout               // oci-layout:PATH[:tag|@digest], a directory
	KindArchive              // oci-archive:FILE.tar[:tag|@digest], a tar of such a directory
)

// Reference names one manifest in a registry, a layout directory or an archive.
type Reference struct {
	Kind Kind
	// Host (with its port if it has one) and Repository of a registry.
	Host, Repository string
	// Path of the layout directory or archive file.
	Path string
	// Tag is empty if and only if there is a Digest.
	Tag    string
	Digest digest.Digest
}

// ParseReference reads "host/repository[:tag|@digest]",
// "oci-layout:PATH[:tag|@digest]" and "oci-archive:FILE[:tag|@digest]".
func ParseReference(s string) (Reference, error) { panic("not implemented") }

// String is the canonical form, which [ParseReference] reads back.
func (r Reference) String() string { panic("not implemented") }

// Name is the tag, or the digest, as [FetchBundle] takes it.
func (r Reference) Name() string {
	if r.Digest != "" {
		return r.Digest.String()
	}
	return r.Tag
}

// ValidateChannel holds a channel to [a-z0-9][a-z0-9_-]{0,63}.
func ValidateChannel(s string) error { panic("not implemented") }

// HistoryTag is the tag of the bundle of a channel whose timestamp has this
// version, such as "tuf.v12".
func HistoryTag(channel string, version int64) string { panic("not implemented") }

// ParseHistoryTag is the inverse of [HistoryTag]: the version, and whether tag
// is a history tag of the channel.
func ParseHistoryTag(channel, tag string) (int64, bool) { panic("not implemented") }
