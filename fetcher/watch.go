package fetcher

import "context"

// Watch bounds what is read beside a view as the view bounds its own reads: all of it
// together by Operation, each request by Redirects and MinThroughput. It is safe for
// concurrent use.
type Watch struct {
	clock  *clock
	limits Limits
}

// Watch starts no clock: that runs while something is read.
func (l Limits) Watch() (*Watch, error) {
	limits, err := l.Filled()
	return &Watch{&clock{limit: limits.Operation}, limits}, err
}

// Do reads. An error says ErrTimeout or ErrTooSlow if that is why it failed.
func (w *Watch) Do(ctx context.Context, read func(context.Context) error) error {
	ctx, stop := w.clock.start(ctx)
	defer stop()
	ctx = w.limits.guard(ctx)
	return explain(ctx, read(ctx))
}
