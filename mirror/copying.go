package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

const (
	defaultConcurrency = 5
	// slotsPerImage is how many blobs are under way for each image that is.
	slotsPerImage = 2
)

// copying is one run of Copy.
type copying struct {
	o Options
	// strict holds images to what the entry requires, lax to all of that but the
	// mapping.
	strict, lax *verify.Verifier
	sources     *opened[ociremote.Repository]
	places      *opened[*place]
	// slots are taken by blobs under way.
	slots chan struct{}
	blobs blobs
	// sentBlobs is how many were sent.
	sentBlobs atomic.Int64

	mu     sync.Mutex // of what follows, and of calls to the caller
	result Result
	moves  []move
}

func newCopying(ctx context.Context, o Options) (*copying, error) {
	o.Concurrency = cmp.Or(max(o.Concurrency, 0), defaultConcurrency)
	o.Destination.Tag = cmp.Or(o.Destination.Tag, ociremote.DefaultChannel)
	o.Source.Tag = cmp.Or(o.Source.Tag, ociremote.DefaultChannel)
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, image := range o.Images {
		if _, err := image.reference(); err != nil {
			return nil, err
		}
	}
	c := &copying{o: o, slots: make(chan struct{}, slotsPerImage*o.Concurrency)}
	c.sources = newOpened(c.openSource)
	c.places = newOpened(c.openPlace)
	c.result.Images = make([]ImageResult, len(o.Images))
	for i, image := range o.Images {
		c.result.Images[i].Image = image
	}
	if len(o.Images) == 0 {
		return c, nil
	}
	return c, c.newVerifiers(ctx)
}

// newVerifiers makes those for images. Names are canonical, so that no map applies.
func (c *copying) newVerifiers(ctx context.Context) error {
	client, err := frozen(ctx, &c.o)
	if err != nil {
		return err
	}
	entry := c.o.Source.Entry
	entry.Maps, entry.Fallback = nil, trust.FallbackNone
	open := func(ctx context.Context, _ ociremote.ImageReference) (ociremote.Repository, error) {
		return overlayOf(ctx), nil
	}
	if c.strict, err = verify.New(verify.Options{Trusts: []verify.Trust{{Entry: entry, Client: client}}, Open: open, Now: c.o.Now}); err != nil {
		return err
	}
	entry.Require = slices.DeleteFunc(slices.Clone(entry.Required()), func(r string) bool { return r == trust.RequireMapping })
	if len(entry.Require) == 0 {
		return nil // nothing is left to be asked
	}
	c.lax, err = verify.New(verify.Options{Trusts: []verify.Trust{{Entry: entry, Client: client}}, Open: open, Now: c.o.Now})
	return err
}

// openSource opens where images of a canonical repository lie.
func (c *copying) openSource(ctx context.Context, canonical string) (ociremote.Repository, error) {
	return c.o.Source.Open(ctx, c.located(canonical))
}

func (c *copying) located(canonical string) ociremote.ImageReference {
	if c.o.Source.Locate != nil {
		return c.o.Source.Locate(canonical)
	}
	host, repository, _ := ociremote.ParseImageName(canonical)
	return ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: host, Repository: repository}
}

// run does it all, in the order that Copy promises.
func (c *copying) run(ctx context.Context) (*Result, error) {
	// 1. Can the metadata be written? Nothing is, where it cannot.
	planned, err := c.mirror(ctx, true)
	if err != nil {
		return nil, err
	}
	history, err := c.olderBundles(ctx)
	if err != nil {
		return nil, err
	}
	// 2. Images, and their tags where these are new.
	c.copyImages(ctx)
	if err := ctx.Err(); err != nil {
		return &c.result, cmp.Or(c.gravest(), err)
	}
	if c.o.DryRun {
		c.result.Metadata = planned
		return &c.result, c.gravest()
	}
	if err := c.flush(ctx); err != nil {
		return &c.result, verify.Gravest(c.gravest(), err)
	}
	if c.o.BeforeTags != nil {
		if err := c.o.BeforeTags(&c.result); err != nil {
			return &c.result, err
		}
	}
	// 3. The trust repository, older bundles first.
	historyErr := c.copyHistory(ctx, history)
	if c.result.Metadata, err = c.mirror(ctx, false); err != nil {
		return &c.result, verify.Gravest(c.gravest(), err, historyErr)
	}
	// 4. Tags that move.
	c.moveTags(ctx)
	return &c.result, verify.Gravest(c.gravest(), c.flush(ctx), historyErr)
}

// mirror copies the metadata, or finds out whether that would work.
func (c *copying) mirror(ctx context.Context, dry bool) (*publish.MirrorResult, error) {
	warn := c.warn
	if dry {
		warn = nil // it is said when it is done
	}
	if dry && c.o.DryRun {
		warn = c.warn
	}
	return publish.Mirror(ctx, c.o.Source.View, c.o.Destination.Trust, publish.MirrorOptions{
		Tag: c.o.Destination.Tag, Layout: c.o.Layout, NoHistory: c.o.NoHistory, DryRun: dry,
		Concurrency: c.o.Concurrency, Now: c.o.Now, Progress: c.o.Sending, Warn: warn,
	})
}

// copyImages copies all images, several at the same time.
func (c *copying) copyImages(ctx context.Context) {
	if c.o.Progress != nil {
		c.o.Progress.Images(len(c.o.Images))
	}
	var group errgroup.Group
	group.SetLimit(c.o.Concurrency)
	for i := range c.result.Images {
		if ctx.Err() != nil {
			c.result.Images[i].Err = ctx.Err()
			continue
		}
		group.Go(func() error {
			r := &c.result.Images[i]
			r.Err = c.copyImage(ctx, r)
			c.finished(r)
			return nil
		})
	}
	_ = group.Wait() // the errors are in the results
	c.result.Blobs = int(c.sentBlobs.Load())
}

func (c *copying) finished(r *ImageResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Bytes += r.Bytes
	if c.o.Progress != nil {
		c.o.Progress.Image(r)
	}
}

// gravest is the error of the images.
func (c *copying) gravest() error {
	var errs []error
	failed := 0
	for _, r := range c.result.Images {
		if r.Err != nil {
			errs, failed = append(errs, fmt.Errorf("%s: %w", r.Image, r.Err)), failed+1
		}
	}
	err := verify.Gravest(errs...)
	if failed > 1 {
		return fmt.Errorf("%d of %d images were not copied: %w", failed, len(c.result.Images), err)
	}
	return err
}

// warn passes a warning on.
func (c *copying) warn(s string) {
	if c.o.Warn != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.o.Warn(s)
	}
}

// move is a tag that exists and is to name another image.
type move struct {
	result *ImageResult
	to     *place
}

// moveTags lets tags name what is there already.
func (c *copying) moveTags(ctx context.Context) {
	for _, m := range c.moves {
		m.result.Err = c.moveTag(ctx, m)
	}
}

func (c *copying) moveTag(ctx context.Context, m move) error {
	// It was sent by digest. Manifests are not kept: there may be many.
	manifest, err := ociremote.FetchManifest(ctx, m.to.repo, m.result.Digest.String())
	if err != nil {
		return fmt.Errorf("moving the tag: %w", err)
	}
	return m.to.name(ctx, m.result.Image, manifest)
}

// flush completes the index of a layout.
func (c *copying) flush(ctx context.Context) error {
	var errs []error
	for _, p := range c.places.all() {
		if p.named != nil {
			errs = append(errs, p.named.Flush(ctx))
		}
	}
	return errors.Join(errs...)
}
