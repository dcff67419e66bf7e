package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxAttachments of an image, and of the index that it is a platform of, are
	// looked at together.
	maxAttachments = 3
	// maxLineages are the tags of copies that are tried where nothing says which one
	// is that of the pin.
	maxLineages = 3
	// maxCopies is how much is read of all copies next to an image, in bytes.
	maxCopies = trust.MaxCopy
)

// copies finds the trust of a follower next to one image.
type copies struct {
	client *trust.Client
	a      *artifact
	repo   ociremote.Repository
	image  ociremote.ImageReference // where it lies
	tried  int                      // attachments

	first   *memo[*trust.View]
	foreign error // why a copy that is there is none of this trust
}

func newCopies(f *follower, a *artifact, image ociremote.ImageReference) *copies {
	return &copies{client: f.Client, a: a, repo: newMeter(a.repo, maxCopies), image: image, first: newMemo[*trust.View]()}
}

// take reads one copy.
func (c *copies) take(ctx context.Context, place, name string, subject digest.Digest) (*trust.View, error) {
	image := c.image
	image.Tag, image.Digest = name, ""
	if subject != "" {
		image.Tag, image.Digest = "", digest.Digest(name)
	}
	view, err := c.client.RefreshFrom(ctx, trust.Copy{
		Place: place, Repository: c.repo, Name: name, Reference: image.String(), Subject: subject,
	})
	if trust.IsAbsent(err) && errors.Is(err, trust.ErrWrongRoot) {
		c.foreign = err
	}
	return view, err
}

// beside reads the copy in the image's own repository, once: under the channel tag
// or, if that has none of this trust, under the tag of its lineage.
func (c *copies) beside(ctx context.Context) (*trust.View, error) {
	return c.first.get(ctx, func(ctx context.Context) (*trust.View, error) {
		view, err := c.take(ctx, trust.PlaceBeside, ociremote.DefaultChannel, "")
		if !trust.IsAbsent(err) {
			return view, err
		}
		for _, tag := range c.lineageTags(ctx) {
			if view, err = c.take(ctx, trust.PlaceBeside, tag, ""); !trust.IsAbsent(err) {
				return view, err
			}
		}
		return nil, err
	})
}

var lineageTag = regexp.MustCompile(`^` + ociremote.DefaultChannel + `\.[0-9a-f]{8}$`)

// lineageTags are where a copy may be if its channel tag has none of this trust: the
// tag that its first root says or, if that is not known, those of one page of tags.
func (c *copies) lineageTags(ctx context.Context) []string {
	if root := c.client.FirstRoot(ctx); root != "" {
		return []string{ociremote.LineageTag(ociremote.DefaultChannel, root)}
	}
	repo, ok := c.a.repo.(interface {
		Tags(ctx context.Context, last string, fn func(tags []string) error) error
	})
	if !ok {
		return nil
	}
	var found []string
	onePage := errors.New("one page is enough")
	// A registry that lists no tags has said nothing about the trust.
	_ = c.a.watch.Do(ctx, func(ctx context.Context) error {
		return repo.Tags(ctx, ociremote.DefaultChannel+".", func(tags []string) error {
			for _, tag := range tags {
				if lineageTag.MatchString(tag) && len(found) < maxLineages {
					found = append(found, tag)
				}
			}
			return onePage
		})
	})
	return found
}

// attachments are the bundles that refer to a manifest, those that call themselves
// the newest first.
func (c *copies) attachments(ctx context.Context, subject digest.Digest) ([]ocispec.Descriptor, error) {
	list, err := c.a.listAttachments(ctx, ocispec.Descriptor{Digest: subject})
	if err != nil {
		return nil, fmt.Errorf("copies attached to %s: %w", subject, err)
	}
	var found []ocispec.Descriptor
	for _, d := range list.Descriptors {
		if d.MediaType == ocispec.MediaTypeImageManifest && mayBeBundle(d) {
			found = append(found, d)
		}
	}
	version := func(d ocispec.Descriptor) int64 {
		v, _ := strconv.ParseInt(d.Annotations[ociremote.AnnotationTimestampVersion], 10, 64)
		return v
	}
	slices.SortStableFunc(found, func(a, b ocispec.Descriptor) int { return cmp.Compare(version(b), version(a)) })
	return found, nil
}

// mayBeBundle goes by what a list says; some do not say it.
func mayBeBundle(d ocispec.Descriptor) bool {
	return d.ArtifactType == ociremote.MediaTypeBundle || d.ArtifactType == "" || d.ArtifactType == ocispec.MediaTypeEmptyJSON
}

// each gives the copies in their order to judge, until that is done: beside, then
// those that are attached to the image and to its index, if it is known by then.
// Absent ones are passed over, any other error ends it.
func (c *copies) each(ctx context.Context, own digest.Digest, index func() digest.Digest, judge func(*trust.View, error) (done bool)) error {
	if view, err := c.beside(ctx); !trust.IsAbsent(err) && judge(view, err) {
		return nil
	}
	for _, subject := range []func() digest.Digest{func() digest.Digest { return own }, index} {
		of := subject()
		if of == "" {
			continue
		}
		found, err := c.attachments(ctx, of)
		if err != nil {
			return err
		}
		for _, d := range found {
			if c.tried == maxAttachments {
				return nil
			}
			c.tried++
			if view, err := c.take(ctx, trust.PlaceAttached, d.Digest.String(), of); !trust.IsAbsent(err) && judge(view, err) {
				return nil
			}
		}
	}
	return nil
}
