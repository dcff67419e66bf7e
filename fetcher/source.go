package fetcher

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/tufoci/tufoci/ociremote"
)

// Kind says how a source is read.
type Kind string

// The kinds of sources.
const (
	KindRegistry Kind = "registry" // a bundle in an OCI registry
	KindLayout   Kind = "layout"   // a bundle in an OCI layout directory
	KindArchive  Kind = "archive"  // a bundle in an OCI archive (tar)
	KindMemory   Kind = "memory"   // a bundle in a repository that the program has opened
	KindHTTP     Kind = "http"     // a classic TUF repository on a web server
	KindDir      Kind = "dir"      // a classic TUF repository in a directory
)

// Source is where a TUF repository is read. [ParseSource] and [FromRepository]
// make one.
type Source struct {
	Kind Kind
	// Reference is set for the kinds registry, layout and archive.
	Reference ociremote.Reference
	// URL is the metadata URL of the kind http. It ends in "/".
	URL string
	// Dir is the directory of the kind dir.
	Dir string

	repo  ociremote.Repository
	name  string
	label string // of the kind memory, for messages
}

// ParseSource reads the forms of a source on the command line:
//
//	HOST/REPO[:TAG|@DIGEST]    a bundle in a registry
//	oci-layout:PATH[:TAG]      a bundle in an OCI layout directory
//	oci-archive:FILE.tar[:TAG] a bundle in an OCI archive
//	https://HOST/PATH          the directory that holds timestamp.json on a web server (http:// too)
//	file://DIR                 a directory
//
// The URL of a web server is the metadata URL; target files are looked for in
// targets/ beside it if it ends in metadata/, otherwise in targets/ below it,
// unless [Options].TargetsURL says otherwise. DIR is taken as
// it stands, nothing in it is percent-decoded. If DIR has a directory metadata/,
// its metadata is there; otherwise it is in DIR itself. Target files are in
// DIR/targets/ both times.
func ParseSource(s string) (Source, error) {
	switch scheme, rest, ok := strings.Cut(s, "://"); {
	case !ok:
		ref, err := ociremote.ParseReference(s)
		if err != nil {
			return Source{}, fmt.Errorf("%w %q: %w", ErrInvalidSource, s, err)
		}
		return fromReference(ref), nil
	case scheme == "http" || scheme == "https":
		u, err := parseBaseURL(s)
		if err != nil {
			return Source{}, err
		}
		return Source{Kind: KindHTTP, URL: u.String()}, nil
	case scheme == "file":
		dir, err := parseDir(rest)
		if err != nil {
			return Source{}, err
		}
		return Source{Kind: KindDir, Dir: dir}, nil
	default:
		return Source{}, fmt.Errorf("%w %q: unknown scheme %q", ErrInvalidSource, s, scheme)
	}
}

// FromRepository returns the source that reads the bundle called name, a tag or
// a digest, from a repository that is open already.
func FromRepository(repo ociremote.Repository, name string) Source {
	return Source{Kind: KindMemory, repo: repo, name: name, label: "memory:" + name}
}

// Labelled returns a source of the kind memory that is called so in messages.
func (s Source) Labelled(label string) Source {
	s.label = label
	return s
}

// String returns the form that [ParseSource] reads. For the kind memory, which
// has none, it returns "memory:" and the name.
func (s Source) String() string {
	switch s.Kind {
	case KindHTTP:
		return s.URL
	case KindDir:
		return "file://" + filepath.ToSlash(s.Dir)
	case KindMemory:
		return s.label
	default:
		return s.Reference.String()
	}
}

func fromReference(ref ociremote.Reference) Source {
	s := Source{Kind: KindRegistry, Reference: ref}
	switch ref.Kind {
	case ociremote.KindLayout:
		s.Kind = KindLayout
	case ociremote.KindArchive:
		s.Kind = KindArchive
	}
	return s
}

// baseURL is the prefix that a Fetcher tells go-tuf to put in front of names. It
// has a scheme and a host, since url.JoinPath cuts off or refuses what has not.
func (s Source) baseURL() string {
	switch s.Kind {
	case KindRegistry:
		return "oci://" + s.Reference.Host + "/" + s.Reference.Repository
	case KindHTTP:
		return s.URL
	default:
		return "tufoci://" + string(s.Kind)
	}
}

// parseBaseURL reads the URL of a directory on a web server. What would show up
// in messages, or could not be put in front of a name, is refused.
func parseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalidSource, err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%w %q: not an http or https URL", ErrInvalidSource, s)
	case u.User != nil:
		return nil, fmt.Errorf("%w: a URL on %s must not hold credentials", ErrInvalidSource, u.Host)
	case u.Host == "":
		return nil, fmt.Errorf("%w %q: no host", ErrInvalidSource, s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%w %q: a query or fragment cannot be followed by file names", ErrInvalidSource, s)
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == ".." || part == "." {
			return nil, fmt.Errorf("%w %q: the path has . or .. in it", ErrInvalidSource, s)
		}
	}
	if !strings.HasSuffix(u.Path, "/") {
		if u.RawPath != "" {
			u.RawPath += "/"
		}
		u.Path += "/"
	}
	return u, nil
}

func parseDir(s string) (string, error) {
	if s == "" || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%w %q: no directory", ErrInvalidSource, "file://"+s)
	}
	return filepath.FromSlash(s), nil
}
