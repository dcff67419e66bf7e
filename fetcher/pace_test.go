package fetcher

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// drip sends size bytes every interval, until ctx ends.
func drip(ctx context.Context, size, times int, interval time.Duration) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		for range times {
			select {
			case <-time.After(interval):
			case <-ctx.Done():
				w.CloseWithError(ctx.Err())
				return
			}
			if _, err := w.Write(make([]byte, size)); err != nil {
				return
			}
		}
		w.Close()
	}()
	return r
}

func TestPacedReader(t *testing.T) {
	limits := Limits{MinThroughput: 100, StallWindow: 10 * time.Second}
	for _, test := range []struct {
		name     string
		size     int // bytes a second
		times    int
		tooSlow  bool
		atLatest time.Duration
	}{
		{"fast", 1000, 60, false, 60 * time.Second},
		{"slow", 10, 60, true, 10 * time.Second},
		{"slow but over before anybody can tell", 10, 9, false, 9 * time.Second},
		{"stalled", 0, 60, true, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithCancelCause(t.Context())
				r := newPacedReader(ctx, drip(ctx, test.size, test.times, time.Second), limits, cancel)
				defer r.Close()
				data, err := io.ReadAll(r)
				if test.tooSlow != errors.Is(err, ErrTooSlow) || !test.tooSlow && err != nil {
					t.Errorf("%d bytes, %v", len(data), err)
				}
				if took := time.Since(start); took > test.atLatest {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// A reader that is closed early leaves nothing behind that could cancel.
func TestPacedReaderClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newPacedReader(ctx, drip(ctx, 1, 5, time.Second), Limits{MinThroughput: 100, StallWindow: time.Second}, cancel)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if errors.Is(context.Cause(ctx), ErrTooSlow) {
			t.Error("cancelled after Close")
		}
	})
}

// The clock counts the time under way, once for what runs at the same time, and
// not the time between.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{limit: 10 * time.Second}
		_, stop := c.start(t.Context())
		_, stop2 := c.start(t.Context())
		time.Sleep(4 * time.Second)
		stop()
		stop()
		stop2()
		time.Sleep(time.Hour)

		ctx, stop := c.start(t.Context())
		time.Sleep(5 * time.Second)
		if ctx.Err() != nil {
			t.Errorf("after 9 s: %v", context.Cause(ctx))
		}
		other, stop2 := c.start(t.Context())
		time.Sleep(time.Second + time.Millisecond)
		for _, ctx := range []context.Context{ctx, other} {
			if !errors.Is(context.Cause(ctx), ErrTimeout) {
				t.Errorf("after 10 s: %v", context.Cause(ctx))
			}
		}
		stop()
		stop2()
		if late, stop := c.start(t.Context()); late.Err() == nil {
			t.Error("started after the end")
		} else {
			stop()
		}
	})
}
