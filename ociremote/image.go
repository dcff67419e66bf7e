package ociremote

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	dockerHub = "docker.io"
	// dockerOfficial is where Docker Hub keeps images that are named without a
	// namespace.
	dockerOfficial = "library/"
)

// dockerHosts are the hosts that serve Docker Hub.
var dockerHosts = []string{"index.docker.io", "registry-1.docker.io"}

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
func ParseImage(s string) (ImageReference, error) {
	ref, err := parseImage(s)
	if err != nil {
		return ImageReference{}, fmt.Errorf("%w %q: %v", ErrInvalidReference, shorten(s), err)
	}
	return ref, nil
}

func parseImage(s string) (ImageReference, error) {
	ref, name, err := splitReference(s)
	if err != nil {
		return ImageReference{}, err
	}
	image := ImageReference{Kind: ref.Kind, Host: ref.Host, Repository: ref.Repository, Path: ref.Path}
	if ref.Kind == KindRegistry {
		if image.Host, image.Repository, err = imageName(ref); err != nil {
			return ImageReference{}, err
		}
	}
	switch {
	case !name.hasTag && !name.hasDigest:
		return ImageReference{}, errors.New("an image is named with its tag or digest")
	case name.hasTag && !tagName.MatchString(name.tag):
		return ImageReference{}, fmt.Errorf("invalid tag %q", shorten(name.tag))
	case name.hasDigest:
		if err := validateDigest(digest.Digest(name.digest)); err != nil {
			return ImageReference{}, err
		}
	}
	image.Tag, image.Digest = name.tag, digest.Digest(name.digest)
	return image, nil
}

// String is the canonical form, which ParseImage reads back.
func (r ImageReference) String() string {
	var prefix string
	switch r.Kind {
	case KindLayout:
		prefix = layoutPrefix + r.Path
	case KindArchive:
		prefix = archivePrefix + r.Path
	default:
		prefix = r.Name()
	}
	if r.Tag != "" {
		prefix += ":" + r.Tag
	}
	if r.Digest != "" {
		prefix += "@" + r.Digest.String()
	}
	return prefix
}

// Name is HOST/REPOSITORY; "" for a layout or archive.
func (r ImageReference) Name() string {
	if r.Kind != KindRegistry {
		return ""
	}
	return r.Host + "/" + r.Repository
}

// Reference is what Client.Repository opens: by digest if there is one.
func (r ImageReference) Reference() Reference {
	ref := Reference(r)
	if ref.Digest != "" {
		ref.Tag = ""
	}
	return ref
}

// ParseImageHost reads the HOST or HOST:PORT of an image and returns its
// canonical form: in lower case, docker.io for the hosts of Docker Hub. Like
// docker it takes a word for a host only if it has a dot or a port or is
// localhost. ErrInvalidReference.
func ParseImageHost(s string) (string, error) {
	host, err := parseHost(s)
	if err == nil {
		host, err = imageHost(host)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	return host, nil
}

// ParseImageName reads HOST/REPOSITORY, without tag and digest, in the canonical
// form of [ImageReference]. ErrInvalidReference.
func ParseImageName(s string) (host, repository string, err error) {
	ref, name, err := splitReference(s)
	switch {
	case err != nil:
	case ref.Kind != KindRegistry || name.hasTag || name.hasDigest:
		err = errors.New("want HOST/REPOSITORY")
	default:
		host, repository, err = imageName(ref)
	}
	if err != nil {
		return "", "", fmt.Errorf("%w %q: %v", ErrInvalidReference, shorten(s), err)
	}
	return host, repository, nil
}

// IsRepository reports whether s is the path of a repository, without a host.
func IsRepository(s string) bool { return len(s) <= maxRepository && repositoryName.MatchString(s) }

// IsTag reports whether s is a tag.
func IsTag(s string) bool { return tagName.MatchString(s) }

// IsDigest reports whether s is "sha256:" and 64 lower-case hex digits, the only
// algorithm that tufoci takes. No tag is.
func IsDigest(s string) bool { return validateDigest(digest.Digest(s)) == nil }

// imageHost returns the canonical form of a host that parseHost has read.
func imageHost(host string) (string, error) {
	if !strings.ContainsAny(host, ".:") && host != "localhost" {
		return "", fmt.Errorf("%q is no host: short names are not searched for", shorten(host))
	}
	if slices.Contains(dockerHosts, host) {
		return dockerHub, nil
	}
	return host, nil
}

// imageName returns the canonical host and repository of a reference to a
// registry.
func imageName(ref Reference) (host, repository string, err error) {
	if host, err = imageHost(ref.Host); err != nil {
		return "", "", err
	}
	repository = OfficialName(host, ref.Repository)
	if len(host)+1+len(repository) > maxRepository {
		return "", "", fmt.Errorf("host and repository together are longer than %d bytes", maxRepository)
	}
	return host, repository, nil
}

// OfficialName is the full path of a repository on a canonical host: Docker Hub
// has short names for library/NAME.
func OfficialName(host, repository string) string {
	if host == dockerHub && !strings.Contains(repository, "/") {
		return dockerOfficial + repository
	}
	return repository
}
