package ociremote

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/tufoci/tufoci/internal/pause"
)

const (
	// MaxRetryAfter is the longest wait that a registry may ask for with
	// Retry-After. One that asks for more is not asked again.
	MaxRetryAfter = 30 * time.Second

	defaultRetries   = 4
	defaultRetryWait = 250 * time.Millisecond
	maxRetryWait     = 8 * time.Second
)

// retrier repeats requests that failed for the moment: 408, 429, 500, 502, 503,
// 504, and connections that broke. Requests whose body cannot be sent again and
// ones that are not idempotent are not repeated; nor are time-outs, refused
// connections and failures of DNS or TLS, which a moment rarely changes.
type retrier struct {
	base    http.RoundTripper
	retries int
	wait    time.Duration
	within  time.Duration // of its begin no try begins later; 0: any time
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
}

func newRetrier(base http.RoundTripper, o Options) *retrier {
	return &retrier{
		base: base, retries: cmp.Or(o.Retries, defaultRetries), wait: cmp.Or(o.RetryWait, defaultRetryWait),
		within: o.Connect, now: time.Now, sleep: pause.For,
	}
}

// RoundTrip implements http.RoundTripper.
func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	begin := r.now()
	for attempt := 0; ; attempt++ {
		resp, err := r.base.RoundTrip(req)
		if attempt >= r.retries || !retryable(req, resp, err) {
			return resp, err
		}
		wait, ok := r.delay(attempt, resp)
		if deadline, has := req.Context().Deadline(); !ok || (has && r.now().Add(wait).After(deadline)) {
			return resp, err
		}
		if r.within > 0 && r.now().Add(wait).After(begin.Add(r.within)) {
			return resp, err
		}
		again, ok := rewind(req)
		if !ok {
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
		if err := r.sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		req = again
	}
}

// CloseIdleConnections reaches the transport.
func (r *retrier) CloseIdleConnections() { closeIdle(r.base) }

// retryable judges one outcome.
func retryable(req *http.Request, resp *http.Response, err error) bool {
	bodiless := req.Body == nil || req.Body == http.NoBody
	if err == nil {
		switch resp.StatusCode {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return req.Method != http.MethodPatch
		}
		return false
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions:
	case http.MethodPost:
		// An upload that was started twice is an upload that was started.
		if !bodiless {
			return false
		}
	default:
		return false
	}
	return req.Context().Err() == nil && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
}

// delay before the next attempt; false if the server wants too long a wait.
func (r *retrier) delay(attempt int, resp *http.Response) (time.Duration, bool) {
	if resp != nil {
		if wait, ok := r.retryAfter(resp.Header); ok {
			return wait, wait <= MaxRetryAfter
		}
	}
	wait := min(r.wait<<min(attempt, 16), maxRetryWait)
	// Clients that failed together do not come back together.
	return wait/2 + rand.N(wait/2+1), true
}

// retryAfter reads Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3),
// the latter against the server's own clock where it says what that is.
func (r *retrier) retryAfter(h http.Header) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	now := r.now()
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0), true
}

// rewind makes a request that can be sent again.
func rewind(req *http.Request) (*http.Request, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again := req.Clone(req.Context())
	again.Body = body
	return again, true
}
