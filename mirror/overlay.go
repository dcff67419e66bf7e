package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// maxKept is how much of one image is remembered, in bytes: what it takes to
	// verify an ordinary one. What does not fit is read again.
	maxKept = 4 << 20
	// maxReferrers of one manifest are listed, on at most maxPages pages.
	maxReferrers = 1024
	maxPages     = 16
)

// overlay is the repository of one image, which remembers manifests and small blobs:
// what was read to verify the image is not asked for again to copy it.
type overlay struct {
	behind ociremote.Repository
	// find says what a tag is called behind.
	find func(ctx context.Context, tag string) (string, error)

	mu    sync.Mutex
	left  int64
	kept  map[string]*keeping[content]
	lists map[digest.Digest]*keeping[*ociremote.ReferrerList]
}

var _ ociremote.ReferrerLister = (*overlay)(nil)

// content is a manifest or blob as it was read.
type content struct {
	desc ocispec.Descriptor // of a manifest, as it was announced
	data []byte
}

// keeping is something that one reads while others wait for it.
type keeping[T any] struct {
	mu    sync.Mutex
	known bool
	value T
}

func newOverlay(behind ociremote.Repository, find func(context.Context, string) (string, error)) *overlay {
	return &overlay{
		behind: behind, find: find, left: maxKept,
		kept: map[string]*keeping[content]{}, lists: map[digest.Digest]*keeping[*ociremote.ReferrerList]{},
	}
}

type overlayKey struct{}

// withOverlay hands the repository of an image to the one verifier that all images
// share, which opens them by their references: places of one layout have one.
func withOverlay(ctx context.Context, o *overlay) context.Context {
	return context.WithValue(ctx, overlayKey{}, o)
}

func overlayOf(ctx context.Context) *overlay { return ctx.Value(overlayKey{}).(*overlay) }

// keep returns what is remembered under a key, or reads it.
func (o *overlay) keep(key string, read func() (content, error)) (content, error) {
	o.mu.Lock()
	k, ok := o.kept[key]
	if !ok {
		k = &keeping[content]{}
		o.kept[key] = k
	}
	o.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known {
		return k.value, nil
	}
	c, err := read()
	if err == nil && o.fits(len(c.data)) {
		k.value, k.known = c, true
	}
	return c, err
}

// fits takes room for what is remembered.
func (o *overlay) fits(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if int64(n) > o.left {
		return false
	}
	o.left -= int64(n)
	return true
}

// FetchReference implements [ociremote.Repository].
func (o *overlay) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	c, err := o.keep(name, func() (content, error) {
		behind := name
		if !ociremote.IsDigest(name) {
			var err error
			if behind, err = o.find(ctx, name); err != nil {
				return content{}, err
			}
		}
		return o.readManifest(ctx, behind)
	})
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if !ociremote.IsDigest(name) {
		o.alias(c)
	}
	return c.desc, io.NopCloser(bytes.NewReader(c.data)), nil
}

func (o *overlay) readManifest(ctx context.Context, name string) (content, error) {
	desc, rc, err := o.behind.FetchReference(ctx, name)
	if err != nil {
		return content{}, err
	}
	defer rc.Close()
	// One byte more than there may be: whoever reads it refuses it.
	data, err := io.ReadAll(io.LimitReader(rc, ociremote.MaxManifest+1))
	return content{desc, data}, err
}

// alias makes a manifest that was read by its tag known by its digest.
func (o *overlay) alias(c content) {
	dgst := digest.FromBytes(c.data)
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.kept[dgst.String()]; !ok && int64(len(c.data)) <= maxKept {
		o.kept[dgst.String()] = &keeping[content]{known: true, value: c}
	}
}

// Fetch implements [ociremote.Repository].
func (o *overlay) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if desc.Size > maxKept/4 {
		return o.behind.Fetch(ctx, desc)
	}
	c, err := o.keep("blob "+desc.Digest.String(), func() (content, error) {
		data, err := ociremote.FetchBlob(ctx, o.behind, desc, maxKept/4)
		return content{data: data}, err
	})
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(c.data)), nil
}

// Exists implements [ociremote.Repository].
func (o *overlay) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	return o.behind.Exists(ctx, desc)
}

// Resolve implements [ociremote.Repository].
func (o *overlay) Resolve(ctx context.Context, name string) (ocispec.Descriptor, error) {
	desc, rc, err := o.FetchReference(ctx, name)
	if err != nil {
		return desc, err
	}
	return desc, rc.Close()
}

// ListReferrers implements [ociremote.ReferrerLister]. One list, of all types, answers
// for each of them. Where it does not end, these are asked for by themselves; signatures
// also where it has none, but others: a registry may list these in one place, and
// signatures in another.
func (o *overlay) ListReferrers(ctx context.Context, subject ocispec.Descriptor, options ociremote.ReferrersOptions) (*ociremote.ReferrerList, error) {
	all, err := o.list(ctx, subject)
	if err != nil || len(options.ArtifactTypes) == 0 {
		return all, err
	}
	found := ofTypes(all, options.ArtifactTypes)
	typed := slices.ContainsFunc(found.Descriptors, func(d ocispec.Descriptor) bool { return slices.Contains(options.ArtifactTypes, d.ArtifactType) })
	unsigned := !typed && len(all.Descriptors) > 0 && slices.Contains(options.ArtifactTypes, material.SignatureType)
	if all.Truncated || unsigned {
		return ociremote.Referrers(ctx, o.behind, subject, options)
	}
	return found, nil
}

// list is what refers to a manifest, of all types.
func (o *overlay) list(ctx context.Context, subject ocispec.Descriptor) (*ociremote.ReferrerList, error) {
	o.mu.Lock()
	k, ok := o.lists[subject.Digest]
	if !ok {
		k = &keeping[*ociremote.ReferrerList]{}
		o.lists[subject.Digest] = k
	}
	o.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known {
		return k.value, nil
	}
	list, err := ociremote.Referrers(ctx, o.behind, subject, ociremote.ReferrersOptions{Max: maxReferrers, MaxPages: maxPages})
	if err == nil {
		for i, d := range list.Descriptors {
			list.Descriptors[i] = listed(d)
		}
		k.value, k.known = list, true
	}
	return list, err
}

// maxType is the length, in bytes, of an artifact type that is told from others: no
// media type has more (RFC 6838, section 4.2), and there can be very many.
const maxType = 255

// listed is what is remembered of a referrer: its type, and which of several copies of
// the trust it calls itself.
func listed(d ocispec.Descriptor) ocispec.Descriptor {
	list := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, ArtifactType: d.ArtifactType}
	if len(list.ArtifactType) > maxType {
		list.ArtifactType = "" // its manifest tells
	}
	if version := d.Annotations[ociremote.AnnotationTimestampVersion]; version != "" && len(version) <= maxType {
		list.Annotations = map[string]string{ociremote.AnnotationTimestampVersion: strings.Clone(version)}
	}
	return list
}

// ofTypes are those that have one of the types, and then those of which the list says
// none.
func ofTypes(all *ociremote.ReferrerList, types []string) *ociremote.ReferrerList {
	var typed, untyped []ocispec.Descriptor
	for _, d := range all.Descriptors {
		switch {
		case slices.Contains(types, d.ArtifactType):
			typed = append(typed, d)
		case d.ArtifactType == "" || d.ArtifactType == ocispec.MediaTypeEmptyJSON:
			untyped = append(untyped, d)
		}
	}
	return &ociremote.ReferrerList{Descriptors: append(typed, untyped...), Truncated: all.Truncated}
}

// isNotFound reports that a manifest or blob does not exist.
func isNotFound(err error) bool {
	return errors.Is(err, ociremote.ErrNotFound) || errors.Is(err, ociremote.ErrBlobNotFound)
}
