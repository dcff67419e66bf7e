package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tufoci/tufoci/ociremote"
)

// clock bounds the time that a view waits for its source. It counts only while
// something is under way: a view may be kept for hours between two files. The
// system's monotonic clock is meant here; no TUF time is.
type clock struct {
	limit time.Duration

	mu      sync.Mutex
	running int
	since   time.Time
	spent   time.Duration
}

// start returns a context that ends with ErrTimeout when the time is up.
func (c *clock) start(ctx context.Context) (context.Context, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	left := c.limit - c.spent
	if c.running > 0 {
		left -= now.Sub(c.since)
	} else {
		c.since = now
	}
	c.running++
	ctx, cancel := context.WithTimeoutCause(ctx, left, fmt.Errorf("%w: more than %v, the limit operation", ErrTimeout, c.limit))
	return ctx, sync.OnceFunc(func() {
		cancel()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.running--; c.running == 0 {
			c.spent += time.Since(c.since)
		}
	})
}

// pace returns a context that ends with ErrTooSlow when an answer to one of its
// requests arrives more slowly than the limits demand.
func pace(ctx context.Context, l Limits) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	return ociremote.WithBody(ctx, func(body io.ReadCloser) io.ReadCloser {
		return newPacedReader(ctx, body, l, cancel)
	})
}

// pacedReader watches the rate at which a response arrives. A registry that
// sends one byte a second would otherwise hold a client for as long as the
// operation may take.
type pacedReader struct {
	io.ReadCloser
	ctx   context.Context // of the read, to say why it failed
	read  atomic.Int64
	timer *time.Timer
	stop  func()
}

// newPacedReader watches r, which belongs to ctx. Fewer than l.MinThroughput
// bytes a second over one l.StallWindow cancel it.
func newPacedReader(ctx context.Context, r io.ReadCloser, l Limits, cancel context.CancelCauseFunc) *pacedReader {
	p := &pacedReader{ReadCloser: r, ctx: ctx}
	least := max(int64(float64(l.MinThroughput)*l.StallWindow.Seconds()), 1)
	var mu sync.Mutex
	var before int64
	stopped := false
	p.stop = func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			stopped = true
			p.timer.Stop()
		}
	}
	mu.Lock()
	defer mu.Unlock()
	p.timer = time.AfterFunc(l.StallWindow, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		now := p.read.Load()
		if now-before < least {
			cancel(fmt.Errorf("%w: %d bytes in %v, at least %d bytes a second are expected, the limit minThroughput",
				ErrTooSlow, now-before, l.StallWindow, l.MinThroughput))
			return
		}
		before = now
		p.timer.Reset(l.StallWindow)
	})
	return p
}

// Read implements io.Reader.
func (p *pacedReader) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.read.Add(int64(n))
	if err != nil {
		p.stop()
		if cause := context.Cause(p.ctx); err != io.EOF && errors.Is(cause, ErrTooSlow) {
			err = cause
		}
	}
	return n, err
}

// Close implements io.Closer.
func (p *pacedReader) Close() error {
	p.stop()
	return p.ReadCloser.Close()
}
