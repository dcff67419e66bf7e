package ociremote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	defaultMaxReferrers = 256
	defaultMaxPages     = 8
	// maxReferrerBytes of a list are read, all its pages and the tag together.
	maxReferrerBytes = 8 << 20
	// maxScanned manifests in memory, and maxScannedBytes of them, are looked at
	// for a subject.
	maxScanned      = 1024
	maxScannedBytes = 64 << 20
)

// ReferrerLister is a Repository that knows by itself what refers to a manifest. A
// repository that wraps another one passes [Referrers] on to that:
//
//	func (w wrapper) ListReferrers(ctx context.Context, subject ocispec.Descriptor, o ReferrersOptions) (*ReferrerList, error) {
//		return ociremote.Referrers(ctx, w.inner, subject, o)
//	}
type ReferrerLister interface {
	Repository
	// ListReferrers is Referrers.
	ListReferrers(ctx context.Context, subject ocispec.Descriptor, o ReferrersOptions) (*ReferrerList, error)
}

// ReferrersOptions bound [Referrers].
type ReferrersOptions struct {
	// ArtifactTypes to return, the one that matters most first; empty: all. Registries that know no filter, and
	// those that report the config's media type, are filtered here. What they
	// say no type of is returned too, behind the rest: its manifest tells.
	ArtifactTypes []string
	// Max is how many descriptors are returned at most; 0 is 256. MaxPages of a
	// list are read; 0 is 8; of 8 MiB at most. More than that is cut off, and the
	// result says so.
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
//
// Where the API lists nothing of the first of the types, the tag is looked at too:
// that is where notation puts signatures unless it is told otherwise, and not every
// registry adds to its own list what stands there.
//
// That a registry has no referrers API is remembered by the client that opened
// the repository. What answers in its place with something else than a list is a
// [TransportError].
func Referrers(ctx context.Context, repo Repository, subject ocispec.Descriptor, o ReferrersOptions) (*ReferrerList, error) {
	if err := validateDigest(subject.Digest); err != nil {
		return nil, fmt.Errorf("%w: subject: %v", ErrInvalidReference, err)
	}
	if l, ok := repo.(ReferrerLister); ok {
		return l.ListReferrers(ctx, subject, o)
	}
	o.Max, o.MaxPages = cmp.Or(o.Max, defaultMaxReferrers), cmp.Or(o.MaxPages, defaultMaxPages)
	c := &referrerCollector{o: o, seen: map[digest.Digest]bool{subject.Digest: true}}
	switch r := repo.(type) {
	case *registryRepository:
		switch found, err := r.listReferrers(ctx, subject.Digest, c); {
		case err != nil:
			return nil, err
		case found && c.hasFirst():
			return c.list(), nil
		}
	case grapher:
		if err := r.referrerGraph().collect(ctx, r, subject.Digest, c); err != nil {
			return nil, err
		}
	case *memory:
		if err := c.scan(ctx, r, subject.Digest); err != nil {
			return nil, err
		}
	}
	if err := c.addTag(ctx, repo, subject.Digest); err != nil {
		return nil, err
	}
	return c.list(), nil
}

// referrersTag is where referrers are listed without the API (distribution
// specification 1.1, "Referrers Tag Schema").
func referrersTag(subject digest.Digest) string {
	return subject.Algorithm().String() + "-" + subject.Encoded()
}

// referrerCollector gathers descriptors from all places of one list.
type referrerCollector struct {
	o ReferrersOptions
	// wanted have one of the types; untyped could have.
	wanted, untyped []ocispec.Descriptor
	seen            map[digest.Digest]bool
	bytes           int64 // of the lists that were read
	truncated       bool
}

// add takes a descriptor if it may be of one of the types.
func (c *referrerCollector) add(d ocispec.Descriptor) {
	if c.seen[d.Digest] {
		return
	}
	c.seen[d.Digest] = true
	if d.ArtifactType == ocispec.MediaTypeImageConfig && d.Annotations[AnnotationVersion] != "" {
		// The bundles of LayoutGitLab have no type of their own.
		d.ArtifactType = MediaTypeBundle
	}
	switch {
	case len(c.o.ArtifactTypes) == 0 || slices.Contains(c.o.ArtifactTypes, d.ArtifactType):
		c.wanted = c.keep(c.wanted, d)
	case d.ArtifactType == "" || d.ArtifactType == ocispec.MediaTypeEmptyJSON:
		// Not every index has types, and ggcr gives that of the config for it.
		c.untyped = c.keep(c.untyped, d)
	}
}

// keep adds a descriptor to those that could be returned.
func (c *referrerCollector) keep(all []ocispec.Descriptor, d ocispec.Descriptor) []ocispec.Descriptor {
	if len(all) >= c.o.Max {
		c.truncated = true
		return all
	}
	return append(all, d)
}

// hasFirst reports whether there is something of the first of the types.
func (c *referrerCollector) hasFirst() bool {
	if len(c.o.ArtifactTypes) == 0 {
		return len(c.wanted) > 0
	}
	return slices.ContainsFunc(c.wanted, func(d ocispec.Descriptor) bool { return d.ArtifactType == c.o.ArtifactTypes[0] })
}

// full reports whether no more need be read, or may be.
func (c *referrerCollector) full() bool {
	return len(c.wanted) >= c.o.Max || c.bytes > maxReferrerBytes-MaxManifest
}

func (c *referrerCollector) list() *ReferrerList {
	all := append(c.wanted, c.untyped...)
	if len(all) > c.o.Max {
		all, c.truncated = all[:c.o.Max], true
	}
	return &ReferrerList{Descriptors: all, Truncated: c.truncated}
}

// addIndex takes the entries of an index that are descriptors of manifests.
func (c *referrerCollector) addIndex(data []byte) error {
	malformed := func(err error) error { return &MalformedError{What: "list of referrers", Err: err} }
	c.bytes += int64(len(data))
	if err := checkManifest(data); err != nil {
		return malformed(err)
	}
	top, err := parseObject(data)
	if err != nil {
		return malformed(err)
	}
	mediaType := ocispec.MediaTypeImageIndex
	if err := top.read("mediaType", &mediaType); err != nil {
		return malformed(err)
	}
	if mediaType != ocispec.MediaTypeImageIndex {
		return malformed(fmt.Errorf("media type %q", shorten(mediaType)))
	}
	raws, err := top.manifests()
	if err != nil {
		return malformed(err)
	}
	for _, raw := range raws {
		d, err := readDescriptor(raw)
		if err != nil || d.Size > MaxManifest || !slices.Contains(manifestTypes, d.MediaType) {
			continue
		}
		d.Data = nil
		c.add(d)
	}
	return nil
}

// addTag takes what the referrers tag lists. Without that tag there is nothing.
func (c *referrerCollector) addTag(ctx context.Context, repo Repository, subject digest.Digest) error {
	m, err := fetchBytes(ctx, repo, referrersTag(subject))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case digest.FromBytes(m.data) == subject:
		// GitLab takes the tag for the digest.
		return nil
	case m.desc.MediaType != ocispec.MediaTypeImageIndex:
		return &MalformedError{What: "list of referrers", Err: fmt.Errorf("tag %s is of type %q", referrersTag(subject), shorten(m.desc.MediaType))}
	}
	return c.addIndex(m.data)
}

// scan looks for manifests with the subject. Those that cannot be read are not
// there.
func (c *referrerCollector) scan(ctx context.Context, s *memory, subject digest.Digest) error {
	var manifests, bytes int64
	for _, d := range s.manifests() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.seen[d.Digest] || d.Size > MaxManifest || !slices.Contains(manifestTypes, d.MediaType) {
			continue
		}
		manifests, bytes = manifests+1, bytes+d.Size
		if manifests > maxScanned || bytes > maxScannedBytes {
			c.truncated = true
			return nil
		}
		if found, ok := readReferrer(ctx, s, d, subject); ok {
			c.add(found)
		}
	}
	return nil
}

// readReferrer reads a manifest and describes it as the referrers API does: with
// its artifact type, else the type of its config, and its annotations.
func readReferrer(ctx context.Context, repo Repository, d ocispec.Descriptor, subject digest.Digest) (ocispec.Descriptor, bool) {
	data, err := FetchBlob(ctx, repo, d, MaxManifest)
	if err != nil {
		return d, false
	}
	m, err := parseManifest(d.MediaType, data)
	if err != nil || m.Subject == nil || m.Subject.Digest != subject {
		return d, false
	}
	top, err := parseObject(data)
	if err != nil {
		return d, false
	}
	found := m.Descriptor
	if found.Annotations, err = top.strings("annotations"); err != nil {
		return d, false
	}
	if err := top.read("artifactType", &found.ArtifactType); err != nil {
		return d, false
	}
	if config, err := readDescriptor(top["config"]); err == nil && found.ArtifactType == "" {
		found.ArtifactType = config.MediaType
	}
	return found, true
}

// manifests describes all that could be one, in the order of their digests.
func (m *memory) manifests() []ocispec.Descriptor {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var all []ocispec.Descriptor
	for dgst, b := range m.blobs {
		all = append(all, ocispec.Descriptor{MediaType: b.mediaType, Digest: dgst, Size: int64(len(b.data))})
	}
	slices.SortFunc(all, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return all
}
