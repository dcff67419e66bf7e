package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Attachment is an image to which a bundle is attached.
type Attachment struct {
	// Image is where it lies; Repository, without a host, and Tag are what it is
	// signed as. Without a Tag its digest entry alone counts.
	Image           ociremote.ImageReference
	Repository, Tag string
	// Renew leaves the image alone if nothing of this lineage is attached to it, or if
	// nothing but timestamp and snapshot has changed since.
	Renew bool
}

// AttachOptions steer Attach. The zero value works.
type AttachOptions struct {
	// Layout of the bundle; default [ociremote.LayoutDefault].
	Layout ociremote.Layout
	// Concurrency is how many images are done at the same time; default 5.
	Concurrency int
	// DryRun says what would be done and writes nothing.
	DryRun bool
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what does not stop it but should be read, from several goroutines;
	// nil: nobody is.
	Warn func(string)
}

// AttachResult is what became of one image.
type AttachResult struct {
	Attachment
	// Subject is the digest of the image, Digest that of the attached bundle.
	Subject, Digest digest.Digest
	// Roles are the roles that it holds beside the top-level ones, Versions those of
	// all, by name.
	Roles    []string
	Versions map[string]int64
	// Targets are the paths of the targets whose files it holds.
	Targets []string
	// Expires is when the first of its roles does.
	Expires time.Time
	// Unchanged: what is attached already holds the same. Skipped: it was to be renewed
	// only, and there is nothing to renew.
	Unchanged, Skipped bool
	// Pruned are older attachments of this lineage that were deleted; Kept those
	// that the registry did not let go.
	Pruned, Kept []digest.Digest
	Err          error
}

// OpenWritable opens the repository of an image to push to.
type OpenWritable func(ctx context.Context, image ociremote.ImageReference) (ociremote.WritableRepository, error)

// Attach pushes, as a referrer of each image, a partial bundle with all that its
// verification needs: see [trust.View.FilesFor]. The image has to be there as it is
// signed: an Err is trust.ErrTargetNotFound for one that has no entry, ErrDiffers
// where the registry serves another one, ErrNoImage. What a superseded attachment of
// the same lineage holds for other names of the image is taken along.
//
// Superseded attachments are deleted once the new one can be read back, where the
// registry allows it. Those of others are left alone. One of this lineage that is
// newer than the view is a [trust.ErrRollback], one beside it an [ErrFork]. The
// results are in the order of the images; of several names of one image, which are
// done together, they are alike.
func Attach(ctx context.Context, view *trust.View, images []Attachment, open OpenWritable, o AttachOptions) []AttachResult {
	a := newAttacher(view, open, o)
	results := make([]AttachResult, len(images))
	for _, s := range a.subjects(ctx, images, results) {
		a.group.Go(func() error {
			result, err := a.attach(ctx, s)
			for _, n := range s.members {
				result.Attachment, result.Err = images[n], err
				results[n] = result
			}
			return nil
		})
	}
	_ = a.group.Wait()
	return results
}

// attacher attaches one view to images.
type attacher struct {
	view   *trust.View
	status trust.Status
	open   OpenWritable
	o      AttachOptions
	group  errgroup.Group
}

func newAttacher(view *trust.View, open OpenWritable, o AttachOptions) *attacher {
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	a := &attacher{view: view, status: view.Status(), open: open, o: o}
	a.group.SetLimit(o.Concurrency)
	return a
}

// attach brings the attachment of one image up to date.
func (a *attacher) attach(ctx context.Context, s *subject) (AttachResult, error) {
	// What is there, and what is to be there.
	result := AttachResult{Subject: s.manifest.Descriptor.Digest}
	from, err := a.files(ctx, s.names, nil)
	if err != nil {
		return result, err
	}
	old, roles, err := a.superseded(ctx, s, from)
	if err != nil {
		return result, err
	}
	if s.renew && len(old) == 0 {
		result.Skipped = true
		return result, nil
	}
	if len(roles) > 0 {
		if from, err = a.takeAlong(ctx, s, from, roles); err != nil {
			return result, err
		}
	}
	c, err := from.pack("", a.o.Now(), ociremote.PackOptions{Layout: a.o.Layout, Partial: true, Subject: bare(s.manifest.Descriptor)})
	if err != nil {
		return result, err
	}
	result.Digest = c.bundle.Descriptor.Digest
	result.Roles, result.Versions, result.Expires = from.delegated(), from.newest(), from.firstExpiry()
	if result.Targets, err = a.targets(ctx); err != nil {
		return result, err
	}
	if s.renew && slices.ContainsFunc(old, func(b *ociremote.Bundle) bool { return sameButOnline(b, c.bundle) }) {
		result.Skipped = true
		return result, nil
	}
	if n := slices.IndexFunc(old, c.bundle.SameContent); n >= 0 {
		result.Unchanged, result.Digest = true, old[n].Descriptor.Digest
		old = slices.Delete(old, n, n+1)
	}
	if a.o.DryRun {
		return result, nil
	}

	// Write it, then delete what it supersedes.
	if !result.Unchanged {
		if err := a.push(ctx, s, from, c, old); err != nil {
			return result, err
		}
	}
	return result, a.prune(ctx, s, old, &result)
}

// files are those for some names, and roles beside them.
func (a *attacher) files(ctx context.Context, names, roles []string) (*original, error) {
	set, err := a.view.FilesFor(ctx, names, roles)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	from := &original{view: a.view, status: a.status}
	return from, from.holds(set)
}

// takeAlong adds roles that are attached for other names of the image, unless clients
// would refuse the whole for its size.
func (a *attacher) takeAlong(ctx context.Context, s *subject, from *original, roles []string) (*original, error) {
	more, err := a.files(ctx, s.names, roles)
	if err != nil {
		return nil, err
	}
	if more.size() > maxAttached {
		a.o.Warn(fmt.Sprintf("%s: what is attached for other names is left out: with it there are more than %d bytes", s.manifest.Descriptor.Digest, int64(maxAttached)))
		return from, nil
	}
	return more, nil
}

// push verifies an attachment as a client does, and sends it.
func (a *attacher) push(ctx context.Context, s *subject, from *original, c candidate, old []*ociremote.Bundle) error {
	if n := from.size(); n > maxAttached {
		a.o.Warn(fmt.Sprintf("%s: what is attached has %d bytes; clients read at most %d", s.manifest.Descriptor.Digest, n, int64(maxAttached)))
	}
	if err := a.verify(ctx, s, from, c); err != nil {
		return fmt.Errorf("clients would refuse what is attached: %w", err)
	}
	dst := newDestination(s.repo, "", 0, nil, a.o.Warn)
	there := map[digest.Digest]bool{}
	for _, b := range old {
		blobs, err := named(b)
		if err != nil {
			return err
		}
		maps.Copy(there, blobs)
	}
	missing, err := dst.push.missing(c.blobs, there)
	if err != nil {
		return err
	}
	if err := dst.push.send(ctx, missing); err != nil {
		return err
	}
	if err := dst.putReferrer(ctx, c); err != nil {
		return fmt.Errorf("attaching to %s: %w", s.manifest.Descriptor.Digest, err)
	}
	return nil
}

// verify looks all names up in a candidate, as a client does that has nothing else.
func (a *attacher) verify(ctx context.Context, s *subject, from *original, c candidate) error {
	copied := &shown{behind: s.repo}
	copied.show(c.bundle, c.blobs)
	view, err := glanceOnce(ctx, from.pin, copied, c.bundle, a.o.Now())
	if err != nil {
		return err
	}
	for _, name := range s.names {
		if _, err := view.Lookup(ctx, name); err != nil {
			return err
		}
	}
	_, err = view.Revocations(ctx)
	return err
}

// bare is a descriptor without what is only for people.
func bare(d ocispec.Descriptor) *ocispec.Descriptor {
	return &ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}
