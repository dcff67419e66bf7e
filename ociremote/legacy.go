package ociremote

import (
	"context"
	"fmt"
	"path"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The older layout, of docker/attest and go-tuf-mirror: the top-level metadata
// are the layers of one manifest, each delegated role is a manifest under a tag
// of its name, and target files are in a second repository: those of the
// top-level role each under a tag of their file name, those of a delegated role
// in an index under a tag of its name. Every layer, and every entry of such an
// index, has its file name in the annotation tuf.io/filename. There is no
// artifact type, nothing links the tags, and what TUF verifies is all that holds
// them together.

// FetchLegacyRole reads the manifest of one delegated role of the older layout:
// a [Bundle] with Legacy set that has one file, "metadata/[VERSION.]ROLE.json".
// A role that cannot be a tag, or that has none, is [ErrNotFound].
func FetchLegacyRole(ctx context.Context, repo Repository, role string) (*Bundle, error) {
	return fetchLegacy(ctx, repo, role)
}

// FetchLegacyTarget reads one target file of the older layout, of at most max
// bytes, from its targets repository. The name is that of the file as TUF asks
// for it under targets/, such as "dir/<sha256>.name". role is "targets" or the
// delegated role that lists the file. A file that is not there is [ErrNotFound].
func FetchLegacyTarget(ctx context.Context, repo Repository, role, name string, max int64) ([]byte, error) {
	if err := validateTitle(targetsPrefix + name); err != nil {
		return nil, notFound(cleanText(name))
	}
	tag := name
	if role != "targets" {
		var err error
		if tag, err = legacyEntry(ctx, repo, role, name); err != nil {
			return nil, err
		}
	}
	b, err := fetchLegacy(ctx, repo, tag)
	if err != nil {
		return nil, err
	}
	f, ok := b.File(targetsPrefix + path.Base(name))
	if !ok {
		return nil, notFound(cleanText(name))
	}
	return FetchBlob(ctx, repo, f.Descriptor, max)
}

// fetchLegacy reads a manifest of the older layout.
func fetchLegacy(ctx context.Context, repo Repository, name string) (*Bundle, error) {
	if !tagName.MatchString(name) && !IsDigest(name) {
		return nil, notFound(cleanText(name))
	}
	b, err := FetchBundle(ctx, repo, name, Known{})
	if err != nil {
		return nil, err
	}
	if !b.Legacy {
		return nil, fmt.Errorf("%w of the older layout: %s", ErrForeign, name)
	}
	return b, nil
}

// legacyEntry finds the manifest of a file in the index of a role.
func legacyEntry(ctx context.Context, repo Repository, role, name string) (string, error) {
	if !tagName.MatchString(role) {
		return "", notFound(cleanText(role))
	}
	desc, rc, err := repo.FetchReference(ctx, role)
	if err != nil {
		return "", asNotFound(err, role)
	}
	defer rc.Close()
	if desc.MediaType != ocispec.MediaTypeImageIndex {
		return "", fmt.Errorf("%w of the older layout: %s is no index", ErrForeign, role)
	}
	if desc.Size > MaxManifest {
		return "", &MalformedError{What: "index", Err: ErrTooLarge}
	}
	data, err := readVerified(rc, desc)
	if err != nil {
		return "", err
	}
	idx, err := parseIndex(data)
	if err != nil {
		return "", &MalformedError{What: "index", Err: err}
	}
	for _, e := range idx.entries {
		if e.desc.Annotations[annotationLegacyName] == name {
			return e.desc.Digest.String(), nil
		}
	}
	return "", notFound(cleanText(name))
}
