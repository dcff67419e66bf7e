package publish

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxFound is how many bundles of each place are looked into.
	maxFound = 16
	// maxShown is how many referrers are listed of each way to list them.
	maxShown = 128
	// maxTagsSeen is how many tags are gone through for copies of other lineages.
	maxTagsSeen = 10_000
)

// Pin is a root that somebody trusts.
type Pin struct {
	Name     string
	Root     []byte
	MaxStale time.Duration
	Limits   trust.Limits
}

// DiscoverOptions steer [Discover]. The zero value works.
type DiscoverOptions struct {
	// Pins to hold against what is found.
	Pins []Pin
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what could not be looked at; nil: nobody is.
	Warn func(string)
}

// Found is a bundle next to an image.
type Found struct {
	// Name is its tag, or the digest of one that is attached.
	Name   string
	Digest digest.Digest
	// Partial: it holds what one image needs.
	Partial bool
	// Lineage is the sha256 of root version 1 that it holds, "" for none.
	Lineage digest.Digest
	// Pins are the names of those that it holds. Whoever made it need not have the
	// keys: Verified says that one of them vouches for it, now.
	Pins     []string
	Verified bool
	// Versions of the top-level roles and the expiry of the timestamp: verified, or
	// what it says of itself.
	Versions Versions
	Expires  time.Time
	// Err is why it is no bundle, or does not verify.
	Err error
}

// Discovery is what stands beside and on an image.
type Discovery struct {
	Manifest         *ociremote.Manifest
	Beside, Attached []Found
	// Referrers are the others, in the order of the registry. All of it is unsigned.
	Referrers []ocispec.Descriptor
	// Truncated: there are more than are shown.
	Truncated bool
}

// Discover looks next to an image. What it finds is held against pins, and nothing is
// believed or stored. Everything that is read is bounded. [ErrNoImage]; of what
// cannot be read beside or on the image there is an Err, or a warning.
func Discover(ctx context.Context, repo ociremote.Repository, image ociremote.ImageReference, o DiscoverOptions) (*Discovery, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	m, err := fetchManifest(ctx, repo, image)
	if err != nil {
		return nil, err
	}
	d := &discoverer{repo: repo, o: o, found: &Discovery{Manifest: m}}
	d.beside(ctx)
	if err := d.attached(ctx); err != nil {
		return nil, err
	}
	return d.found, ctx.Err()
}

type discoverer struct {
	repo  ociremote.Repository
	o     DiscoverOptions
	found *Discovery
}

// beside looks under the channel tag and those of lineages.
func (d *discoverer) beside(ctx context.Context) {
	for _, tag := range append([]string{ociremote.DefaultChannel}, d.lineageTags(ctx)...) {
		if f, ok := d.look(ctx, tag); ok {
			d.found.Beside = append(d.found.Beside, f)
		}
	}
}

// errEnough ends a list of tags.
var errEnough = errors.New("enough tags")

var lineageTag = regexp.MustCompile(`^\.[0-9a-f]{8}$`)

// lineageTags lists the tags of copies of lineages: they follow the channel.
func (d *discoverer) lineageTags(ctx context.Context) []string {
	lister, ok := d.repo.(interface {
		Tags(ctx context.Context, last string, fn func([]string) error) error
	})
	if !ok {
		return nil
	}
	var all []string
	seen := 0
	err := lister.Tags(ctx, ociremote.DefaultChannel, func(tags []string) error {
		for _, tag := range tags {
			suffix, ours := strings.CutPrefix(tag, ociremote.DefaultChannel)
			switch {
			case seen == maxTagsSeen || len(all) == maxFound:
				d.found.Truncated = true
				return errEnough
			case ours && lineageTag.MatchString(suffix):
				all = append(all, tag)
			}
			seen++
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) && !isNotFound(err) {
		d.o.Warn(fmt.Sprintf("the tags cannot be listed, copies of other lineages may be left out: %v", err))
	}
	return all
}

// attached lists referrers, and looks into those that are bundles. Signatures and
// bundles are asked for by their types too: a registry can have a list of its own and
// beside it the tag of clients that knew of none.
func (d *discoverer) attached(ctx context.Context) error {
	seen := map[digest.Digest]bool{}
	for _, types := range [][]string{nil, {material.SignatureType}, {ociremote.MediaTypeBundle}} {
		list, err := ociremote.Referrers(ctx, d.repo, *bare(d.found.Manifest.Descriptor), ociremote.ReferrersOptions{ArtifactTypes: types, Max: maxShown})
		if err != nil {
			return fmt.Errorf("listing what refers to the image: %w", err)
		}
		d.found.Truncated = d.found.Truncated || list.Truncated
		for _, r := range list.Descriptors {
			if seen[r.Digest] {
				continue
			}
			seen[r.Digest] = true
			switch {
			case r.ArtifactType != ociremote.MediaTypeBundle:
				d.found.Referrers = append(d.found.Referrers, r)
			case len(d.found.Attached) == maxFound:
				d.found.Truncated = true
			default:
				if f, ok := d.look(ctx, r.Digest.String()); ok {
					d.found.Attached = append(d.found.Attached, f)
				}
			}
		}
	}
	return nil
}

// look reads one bundle; false if there is nothing under the name.
func (d *discoverer) look(ctx context.Context, name string) (Found, bool) {
	f := Found{Name: name}
	b, err := ociremote.FetchBundle(ctx, d.repo, name, ociremote.Known{})
	if isNotFound(err) {
		return f, false
	}
	if err != nil {
		f.Err = err
		return f, true
	}
	f.Digest, f.Partial = b.Descriptor.Digest, b.Partial
	if first, ok := b.File(metadata.Title("root", 1)); ok {
		f.Lineage = first.Descriptor.Digest
	}
	f.Versions, f.Expires = said(b)
	for _, pin := range d.o.Pins {
		if !holds(b, digest.FromBytes(pin.Root)) {
			continue
		}
		f.Pins = append(f.Pins, pin.Name)
		if !f.Verified {
			d.verify(ctx, &f, pin)
		}
	}
	return f, true
}

// holds reports whether a root of a bundle has a digest.
func holds(b *ociremote.Bundle, root digest.Digest) bool {
	return slices.ContainsFunc(b.Files, func(f ociremote.File) bool {
		role, _, ok := metadata.ParseTitle(f.Title)
		return ok && role == "root" && f.Descriptor.Digest == root
	})
}

// verify reads a bundle as a client does that has nothing but a pin.
func (d *discoverer) verify(ctx context.Context, f *Found, pin Pin) {
	client, err := trust.New(pin.Root, trust.Options{
		Source: trust.RepositorySource(d.repo, f.Digest.String()), Now: d.o.Now, MaxStale: pin.MaxStale, Limits: pin.Limits,
	})
	var view *trust.View
	if err == nil {
		view, err = client.Refresh(ctx)
	}
	if err != nil {
		f.Err = err
		return
	}
	st := view.Status()
	f.Verified, f.Err, f.Expires = true, nil, st.Timestamp.Expires
	f.Versions = Versions{Root: st.Root.Version, Timestamp: st.Timestamp.Version, Snapshot: st.Snapshot.Version, Targets: st.Targets.Version}
}

// said is what the annotations of a bundle say of it. Nobody has signed them.
func said(b *ociremote.Bundle) (Versions, time.Time) {
	expires, _ := time.Parse(time.RFC3339, b.Annotations[ociremote.AnnotationTimestampExpires])
	return Versions{
		Root:      saidVersion(b, ociremote.AnnotationRootVersion),
		Timestamp: saidVersion(b, ociremote.AnnotationTimestampVersion),
		Snapshot:  saidVersion(b, ociremote.AnnotationSnapshotVersion),
		Targets:   saidVersion(b, ociremote.AnnotationTargetsVersion),
	}, expires
}
