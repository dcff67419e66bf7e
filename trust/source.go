package trust

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	metadataDir = "metadata/"
	targetsDir  = "targets/"
)

// origin is the state of the source that a view reads from: one resolution of
// the tag, or a second one if the bundle was replaced while it was read. It is
// safe for concurrent use.
type origin struct {
	source   Source
	open     func(ctx context.Context, before *fetcher.View) (*fetcher.View, error)
	warnings *warnings // of reading, and of the view that reads from it
	// before is the view of the origin that this one takes the place of in one refresh,
	// whose limits hold for both; nil: there is none.
	before *fetcher.View

	mu       sync.Mutex
	view     *fetcher.View
	reopened bool
}

// file reads one file. That the bundle has moved on costs nothing as long as the
// new one still has the file: everything but the timestamp is verified against
// the snapshot at hand, wherever it comes from. One that it no longer has is both
// fetcher.ErrFileNotFound and fetcher.ErrMoved.
func (o *origin) file(ctx context.Context, title string, max int64) ([]byte, error) {
	view, err := o.current(ctx)
	if err != nil {
		return nil, err
	}
	data, err := view.File(ctx, title, max)
	if !errors.Is(err, fetcher.ErrMoved) {
		return data, err
	}
	moved := err
	if view, err = o.reopen(ctx, view, moved); err != nil {
		return nil, err
	}
	if data, err = view.File(ctx, title, max); errors.Is(err, fetcher.ErrFileNotFound) {
		return nil, fmt.Errorf("%w: %w", err, moved)
	}
	return data, err
}

// roleFile reads a snapshot or targets file of at most max bytes. One of which nothing
// states hash and length is held to Limits.Unhashed: whoever holds no key could send
// anything for it, and a parsed file takes many times its bytes.
func (o *origin) roleFile(ctx context.Context, title string, max int64, stated bool, limits Limits) ([]byte, error) {
	if stated || max < limits.Unhashed {
		return o.file(ctx, title, max)
	}
	data, err := o.file(ctx, title, limits.Unhashed)
	if over, ok := errors.AsType[*fetcher.LimitError](err); ok && over.Limit == "" {
		named := *over
		named.Limit = "unhashed"
		return nil, fmt.Errorf("nothing states its hash and length: %w: %w", &named, err)
	}
	return data, err
}

func (o *origin) current(ctx context.Context) (*fetcher.View, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.view == nil {
		view, err := o.open(ctx, o.before)
		if err != nil {
			return nil, err
		}
		o.view, o.before = view, nil
	}
	return o.view, nil
}

func (o *origin) reopen(ctx context.Context, old *fetcher.View, cause error) (*fetcher.View, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.view != old {
		return o.view, nil
	}
	if o.reopened {
		return nil, cause
	}
	view, err := o.open(ctx, old)
	if err != nil {
		return nil, err
	}
	o.view, o.reopened = view, true
	return view, nil
}

// prefetch starts reading files that will be needed. It has no result.
func (o *origin) prefetch(ctx context.Context, titles ...string) {
	if o == nil || len(titles) == 0 {
		return
	}
	if view, err := o.current(ctx); err == nil {
		view.Prefetch(ctx, titles...)
	}
}

// release lets go of a file that was read.
func (o *origin) release(title string) {
	if o == nil {
		return
	}
	o.mu.Lock()
	view := o.view
	o.mu.Unlock()
	if view != nil {
		view.Release(title)
	}
}

// newest is the view that was read last; nil if none was.
func (o *origin) newest() *fetcher.View {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.view == nil {
		return o.before
	}
	return o.view
}

func (o *origin) bundle() *ociremote.Bundle {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.view == nil {
		return nil
	}
	return o.view.Bundle()
}
