package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

const (
	// maxTags of a trust repository are listed: many times what a publisher keeps.
	maxTags = 100_000
	// timeTravels bounds how often an older bundle is looked at again at an earlier
	// time: once for each role that expired before.
	timeTravels = 64
)

// olderBundles are the versions of the newest bundles before the one of the view, as
// many as are asked for, newest first.
func (c *copying) olderBundles(ctx context.Context) ([]int64, error) {
	if c.o.History <= 0 {
		return nil, nil
	}
	lister, ok := c.o.Source.Trust.(interface {
		Tags(ctx context.Context, last string, fn func(tags []string) error) error
	})
	if !ok {
		return nil, fmt.Errorf("older bundles: %w: the source has no tags", ociremote.ErrForeign)
	}
	newest := c.o.Source.View.Status().Timestamp.Version
	var versions []int64
	listed := 0
	err := lister.Tags(ctx, "", func(tags []string) error {
		if listed += len(tags); listed > maxTags {
			return fmt.Errorf("more than %d tags: %w", maxTags, ErrEndless)
		}
		for _, tag := range tags {
			if v, ok := ociremote.ParseHistoryTag(c.o.Source.Tag, tag); ok && v < newest {
				versions = append(versions, v)
			}
		}
		slices.SortFunc(versions, func(a, b int64) int { return cmp.Compare(b, a) })
		versions = slices.Compact(versions)
		versions = versions[:min(len(versions), c.o.History)]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("older bundles: %w", err)
	}
	return versions, nil
}

// copyHistory copies older bundles. One that does not verify keeps no other from being
// copied.
func (c *copying) copyHistory(ctx context.Context, versions []int64) error {
	var errs []error
	for _, version := range versions {
		if err := c.copyOlder(ctx, version); err != nil {
			errs = append(errs, fmt.Errorf("bundle %s: %w", ociremote.HistoryTag(c.o.Source.Tag, version), err))
		}
	}
	return verify.Gravest(errs...)
}

// copyOlder copies one older bundle, unless its tag is there: history is written once.
func (c *copying) copyOlder(ctx context.Context, version int64) error {
	tag := ociremote.HistoryTag(c.o.Destination.Tag, version)
	switch _, err := c.o.Destination.Trust.Resolve(ctx, tag); {
	case err == nil:
		c.result.History = append(c.result.History, tag)
		return nil
	case !isNotFound(err):
		return err
	}
	view, err := c.seeOlder(ctx, version)
	if err != nil {
		return err
	}
	if got := view.Status().Timestamp.Version; got != version {
		return &trust.VerificationError{
			Kind: trust.ErrMismatch, Role: "timestamp", Version: got, Want: version, Detail: "the tag names another bundle",
		}
	}
	if _, err := publish.Mirror(ctx, view, c.o.Destination.Trust, publish.MirrorOptions{
		Tag: tag, Layout: c.o.Layout, NoHistory: true, Concurrency: c.o.Concurrency, Now: c.o.Now, Warn: c.warn,
	}); err != nil {
		return err
	}
	c.result.History = append(c.result.History, tag)
	return nil
}

// seeOlder verifies an older bundle from the pin, at the last moment at which nothing of
// it had expired.
func (c *copying) seeOlder(ctx context.Context, version int64) (*trust.View, error) {
	set, err := c.o.Source.View.Files(ctx)
	if err != nil {
		return nil, err
	}
	at := c.o.Now()
	for range timeTravels {
		view, err := c.seeAt(ctx, pinOf(set, c.o.Source.View.Status().RootSHA256), version, at)
		evidence, ok := errors.AsType[*trust.VerificationError](err)
		if err == nil || !ok || !errors.Is(err, trust.ErrExpired) || evidence.Expires.IsZero() || evidence.Expires.After(at) {
			return view, err
		}
		at = evidence.Expires.Add(-time.Second)
	}
	return nil, fmt.Errorf("more than %d roles have expired one after the other", timeTravels)
}

func (c *copying) seeAt(ctx context.Context, pin []byte, version int64, at time.Time) (*trust.View, error) {
	client, err := trust.New(pin, trust.Options{
		Source: trust.RepositorySource(c.o.Source.Trust, ociremote.HistoryTag(c.o.Source.Tag, version)),
		Now:    c.o.Now, AsOf: at, Limits: c.o.Source.View.Limits(),
	})
	if err != nil {
		return nil, err
	}
	view, err := client.Refresh(ctx)
	if err != nil {
		return nil, err
	}
	_, err = view.Files(ctx)
	return view, err
}
