package ociremote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxDrain is how much of an unread body is read at its end, in bytes, so
	// that its connection can be used again. That much is on its way already
	// when the head of the answer arrives (the first TCP window), so that
	// reading it costs less than a new connection. A longer rest is not read.
	maxDrain = 16 << 10
	// drainTime bounds that.
	drainTime = 200 * time.Millisecond
)

// drainer makes the closing of a short body read the rest of it.
type drainer struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d *drainer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, stop := context.WithCancelCause(req.Context())
	cancel := func() { stop(nil) }
	resp, err := d.base.RoundTrip(req.WithContext(boundConnections(ctx, stop)))
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errConnections) {
			err = instead(err, cause)
		}
		cancel()
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// No context ends the reading of such a connection.
		cancel()
		resp.Body.Close()
		return nil, errSwitched
	}
	resp.Request = req
	resp.Body = &drainedBody{ReadCloser: wrapBody(ctx, resp.Body), left: resp.ContentLength, cancel: cancel}
	return resp, nil
}

// CloseIdleConnections reaches the transport.
func (d *drainer) CloseIdleConnections() { closeIdle(d.base) }

type drainedBody struct {
	io.ReadCloser
	left   int64 // bytes to come, negative if unknown
	ended  bool
	cancel context.CancelFunc
}

func (b *drainedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if err != nil {
		b.ended = true
	}
	return n, err
}

func (b *drainedBody) Close() error {
	// Cancelling only after the end has been read keeps the connection.
	defer b.cancel()
	if !b.ended && b.left <= maxDrain {
		timer := time.AfterFunc(drainTime, b.cancel)
		defer timer.Stop()
		_, _ = io.CopyN(io.Discard, b.ReadCloser, maxDrain+1)
	}
	return b.ReadCloser.Close()
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
