package fetcher

import "github.com/tufoci/tufoci/ociremote"

// Kind says how a source is read.
type Kind string

// The kinds of sources.
const (
	KindRegistry Kind = "registry"
	KindLayout   Kind = "layout"
	KindArchive  Kind = "archive"
	KindHTTP     Kind = "http"
	KindDir      Kind = "dir"
	KindMemory   Kind = "memory"
)

// Source is where a TUF repository is read.
type Source struct {
	Kind Kind
	// Reference is set for the kinds registry, layout and archive.
	Reference ociremote.Reference
	// URL is the metadata URL of a source of kind http, ending in "/".
	URL string
	// Dir is the directory of a source of kind dir.
	Dir string

	repo ociremote.Repository
	name string
}

// ParseSource reads the source forms of the command line.
func ParseSource(s string) (Source, error) { panic("not implemented") }

// FromRepository returns the source that reads the bundle called name, a tag or
// a digest, from repo.
func FromRepository(repo ociremote.Repository, name string) Source {
	return Source{Kind: KindMemory, repo: repo, name: name}
}

// String returns the form that [ParseSource] reads.
func (s Source) String() string { panic("not implemented") }
