package ociremote

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
)

// DefaultChannel is the tag of a bundle where none is given.
const DefaultChannel = "tuf"

const (
	layoutPrefix  = "oci-layout:"
	archivePrefix = "oci-archive:"
	// maxReference in bytes: longer than any path or name that works, short
	// enough to print in an error.
	maxReference = 4096
	// maxRepository is what registries take for host and repository together.
	maxRepository = 255
	// maxVersion is the highest version number of TUF metadata that every JSON
	// implementation reads alike: 2^53-1.
	maxVersion = 1<<53 - 1
)

var (
	// repositoryName and tagName are those of the OCI distribution
	// specification 1.1, sections "Pulling manifests".
	repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	hostName       = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$`)
	// digestSuffix starts a digest behind a path; also one that is refused.
	digestSuffix = regexp.MustCompile(`@sha(?:256|384|512):[^/\\]*$`)
	channelName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
)

// Kind is where a [Reference] points to.
type Kind int

// The kinds of references.
const (
	KindRegistry Kind = iota // host/repository[:tag|@digest]
	KindLayout               // oci-layout:PATH[:tag|@digest], a directory
	KindArchive              // oci-archive:FILE[:tag|@digest], a tar of such a directory
)

// Reference names one manifest in a registry, a layout directory or an archive.
type Reference struct {
	Kind Kind
	// Host (with its port if it has one) and Repository of a registry.
	Host, Repository string
	// Path of the layout directory or archive file, as it was given.
	Path string
	// Tag is empty if and only if there is a Digest.
	Tag    string
	Digest digest.Digest
}

// ParseReference reads "host/repository[:tag|@digest]",
// "oci-layout:PATH[:tag|@digest]" and "oci-archive:FILE[:tag|@digest]".
// Without tag and digest the tag is [DefaultChannel]. Hosts are lower-cased, an
// IPv6 address stands in brackets, digests are sha256. In a path only a last
// part without a slash can be a tag: "oci-layout:a:b/c" is the path "a:b/c".
// Every error is an [ErrInvalidReference].
func ParseReference(s string) (Reference, error) {
	ref, err := parseReference(s)
	if err != nil {
		return Reference{}, fmt.Errorf("%w %q: %v", ErrInvalidReference, shorten(s), err)
	}
	return ref, nil
}

func parseReference(s string) (Reference, error) {
	ref, name, err := splitReference(s)
	if err != nil {
		return Reference{}, err
	}
	switch {
	case name.hasTag && name.hasDigest:
		return Reference{}, fmt.Errorf("want a tag or a digest, not both")
	case name.hasDigest:
		ref.Digest = digest.Digest(name.digest)
		return ref, validateDigest(ref.Digest)
	case name.hasTag && !tagName.MatchString(name.tag):
		return Reference{}, fmt.Errorf("invalid tag %q", shorten(name.tag))
	case name.hasTag:
		ref.Tag = name.tag
	default:
		ref.Tag = DefaultChannel
	}
	return ref, nil
}

// suffix is what stands behind a repository or path. It is not checked yet.
type suffix struct {
	tag, digest       string
	hasTag, hasDigest bool
}

// splitReference reads all of a reference but its tag and digest.
func splitReference(s string) (Reference, suffix, error) {
	fail := func(format string, args ...any) (Reference, suffix, error) {
		return Reference{}, suffix{}, fmt.Errorf(format, args...)
	}
	if len(s) > maxReference {
		return fail("longer than %d bytes", maxReference)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fail("control characters or invalid UTF-8")
	}
	if path, ok := strings.CutPrefix(s, layoutPrefix); ok {
		return splitPath(KindLayout, path)
	}
	if path, ok := strings.CutPrefix(s, archivePrefix); ok {
		return splitPath(KindArchive, path)
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return fail("a registry reference has no scheme, leave out %q", scheme+"://")
	}
	host, rest, ok := strings.Cut(s, "/")
	if !ok {
		return fail("want HOST/REPOSITORY[:TAG|@DIGEST]")
	}
	host, err := parseHost(host)
	if err != nil {
		return fail("%w", err)
	}
	var name suffix
	rest, name.digest, name.hasDigest = strings.Cut(rest, "@")
	rest, name.tag, name.hasTag = strings.Cut(rest, ":")
	if !repositoryName.MatchString(rest) || len(host)+1+len(rest) > maxRepository {
		return fail("invalid repository name %q", shorten(rest))
	}
	return Reference{Kind: KindRegistry, Host: host, Repository: rest}, name, nil
}

// splitPath splits PATH[:tag][@digest]. A path may hold ":" and "@".
func splitPath(kind Kind, s string) (Reference, suffix, error) {
	ref := Reference{Kind: kind, Path: s}
	var name suffix
	if at := digestSuffix.FindStringIndex(s); at != nil {
		ref.Path, name.digest, name.hasDigest = s[:at[0]], s[at[0]+1:], true
	}
	if i := strings.LastIndexByte(ref.Path, ':'); i >= 0 && !strings.ContainsAny(ref.Path[i:], `/\`) {
		ref.Path, name.tag, name.hasTag = ref.Path[:i], ref.Path[i+1:], true
	}
	switch {
	case ref.Path == "":
		return Reference{}, suffix{}, fmt.Errorf("the path is missing")
	case digestSuffix.MatchString(ref.Path + ":"):
		return Reference{}, suffix{}, fmt.Errorf("a path that ends like a digest, put a slash behind it")
	}
	return ref, name, nil
}

// parseHost checks HOST[:PORT] and returns its canonical form.
func parseHost(s string) (string, error) {
	invalid := fmt.Errorf("invalid registry host %q", shorten(s))
	if strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return "", invalid // the lower case of a few letters is another one, of which the reader knows nothing
	}
	host, port, hasPort := strings.ToLower(s), "", false
	if strings.HasPrefix(host, "[") {
		inner, rest, ok := strings.Cut(host[1:], "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", invalid
		}
		host = "[" + addr.String() + "]"
		if port, hasPort = strings.CutPrefix(rest, ":"); !hasPort && rest != "" {
			return "", invalid
		}
	} else {
		host, port, hasPort = strings.Cut(host, ":")
		if !hostName.MatchString(host) {
			return "", invalid
		}
	}
	if !hasPort {
		return host, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", invalid
	}
	return host + ":" + port, nil
}

// String is the canonical form, which [ParseReference] reads back. It always
// names the tag or the digest.
func (r Reference) String() string {
	name := ":" + r.Tag
	if r.Digest != "" {
		name = "@" + r.Digest.String()
	}
	switch r.Kind {
	case KindLayout:
		return layoutPrefix + r.Path + name
	case KindArchive:
		return archivePrefix + r.Path + name
	default:
		return r.Host + "/" + r.Repository + name
	}
}

// Name is the tag, or the digest, as [FetchBundle] takes it.
func (r Reference) Name() string {
	if r.Digest != "" {
		return r.Digest.String()
	}
	return r.Tag
}

// ValidateChannel holds a channel to [a-z0-9][a-z0-9_-]{0,63}: without a dot, so
// that it is never taken for a history tag.
func ValidateChannel(s string) error {
	if !channelName.MatchString(s) {
		return fmt.Errorf("invalid channel %q: want [a-z0-9][a-z0-9_-]{0,63}", shorten(s))
	}
	return nil
}

// HistoryTag is the write-once tag of the bundle of a channel whose timestamp
// has this version, such as "tuf.v12".
func HistoryTag(channel string, version int64) string {
	return channel + ".v" + strconv.FormatInt(version, 10)
}

// ParseHistoryTag is the inverse of [HistoryTag]: the version, 1 to 2^53-1, and
// whether tag is a history tag of the channel.
func ParseHistoryTag(channel, tag string) (int64, bool) {
	digits, ok := strings.CutPrefix(tag, channel+".v")
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 1 || v > maxVersion || HistoryTag(channel, v) != tag {
		return 0, false
	}
	return v, true
}

// validateDigest accepts sha256 only: some registries refuse other algorithms
// or answer for them with another digest.
func validateDigest(d digest.Digest) error {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("invalid digest %q: want sha256:<64 lower-case hex digits>", shorten(string(d)))
	}
	return nil
}

// shorten keeps foreign text in an error message readable.
func shorten(s string) string {
	const most = 128
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
