package ociremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// errNotConnected ends a request that got no connection in time.
var errNotConnected = errors.New("no connection in time")

// connector bounds how long a request waits for connections, all its tries
// together.
type connector struct {
	base   http.RoundTripper
	within time.Duration
}

// newConnector returns base itself if there is nothing to bound.
func newConnector(base http.RoundTripper, within time.Duration) http.RoundTripper {
	if within <= 0 {
		return base
	}
	return &connector{base, within}
}

// RoundTrip implements http.RoundTripper.
func (c *connector) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	wait := &connectWait{left: c.within, over: func() { cancel(errNotConnected) }}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { wait.begin() },
		GotConn: func(httptrace.GotConnInfo) { wait.end() },
	})
	resp, err := c.base.RoundTrip(req.WithContext(traced))
	wait.end()
	if err != nil {
		if errors.Is(context.Cause(ctx), errNotConnected) {
			err = fmt.Errorf("no connection within %v", c.within)
		}
		cancel(nil)
		return nil, err
	}
	resp.Request = req
	resp.Body = &connectedBody{resp.Body, func() { cancel(nil) }}
	return resp, nil
}

// CloseIdleConnections reaches the transport.
func (c *connector) CloseIdleConnections() { closeIdle(c.base) }

// connectWait is the time that is spent waiting for connections.
type connectWait struct {
	over func() // is called once it has been too long

	mu    sync.Mutex
	left  time.Duration
	since time.Time
	timer *time.Timer // nil while nothing is waited for
}

func (w *connectWait) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		w.since, w.timer = time.Now(), time.AfterFunc(w.left, w.over)
	}
}

func (w *connectWait) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.left, w.timer = w.left-time.Since(w.since), nil
	}
}

// connectedBody frees the context of its request at the end.
type connectedBody struct {
	io.ReadCloser
	free func()
}

func (b *connectedBody) Close() error {
	defer b.free()
	return b.ReadCloser.Close()
}
