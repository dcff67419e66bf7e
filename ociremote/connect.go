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

// answerWithin is how long a server that is connected to may say nothing, all tries
// of a request together: longer than a cache that asks another registry first.
const answerWithin = 30 * time.Second

var (
	// errNotConnected ends a request that got no connection in time.
	errNotConnected = errors.New("no connection in time")
	// errNoAnswer ends one that got no answer on its connection.
	errNoAnswer = errors.New("no answer in time")
)

// connector bounds how long a request waits for connections, and for the first byte
// of an answer, all its tries together. Without the second, whoever takes connections
// and says nothing, such as the balancer of a service that is down, would hold a
// client until its whole operation is over.
type connector struct {
	base    http.RoundTripper
	within  time.Duration
	answers time.Duration
}

// newConnector returns base itself if there is nothing to bound.
func newConnector(base http.RoundTripper, within time.Duration) http.RoundTripper {
	if within <= 0 {
		return base
	}
	return &connector{base, within, answerWithin}
}

// RoundTrip implements http.RoundTripper.
func (c *connector) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	wait := &connectWait{left: c.within, over: func() { cancel(errNotConnected) }}
	answer := &connectWait{left: c.answers, over: func() { cancel(errNoAnswer) }}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { answer.end(); wait.begin() }, // also of another try
		GotConn:              func(httptrace.GotConnInfo) { wait.end() },
		WroteRequest:         func(httptrace.WroteRequestInfo) { answer.begin() },
		GotFirstResponseByte: answer.end,
	})
	resp, err := c.base.RoundTrip(req.WithContext(traced))
	wait.close()
	answer.close()
	if err != nil {
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errNotConnected):
			err = instead(err, fmt.Errorf("no connection within %v", c.within))
		case errors.Is(cause, errNoAnswer):
			err = instead(err, fmt.Errorf("no answer within %v", c.answers))
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

// connectWait is the time that is spent waiting for connections, or for answers.
type connectWait struct {
	over func() // is called once it has been too long

	mu    sync.Mutex
	left  time.Duration
	since time.Time
	timer *time.Timer // nil while nothing is waited for
	done  bool        // nothing is waited for any more
}

func (w *connectWait) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil && !w.done {
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

// close is the last end: a request can be known to be written after its answer is
// there.
func (w *connectWait) close() {
	w.end()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done = true; w.timer != nil {
		w.timer.Stop()
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
