package ociremote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script is a transport that gives its answers in turn, the last one for ever.
type script struct {
	answers []func() (*http.Response, error)
	bodies  []string
	n       int
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	body := ""
	if req.Body != nil {
		data, _ := io.ReadAll(req.Body)
		body = string(data)
	}
	s.bodies = append(s.bodies, body)
	answer := s.answers[min(s.n, len(s.answers)-1)]
	s.n++
	return answer()
}

func status(code int, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(""))}, nil
	}
}

func broken(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

var testTime = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func TestRetrier(t *testing.T) {
	t.Parallel()
	type answers = []func() (*http.Response, error)
	later := testTime.Add(7 * time.Second).Format(http.TimeFormat)
	tests := []struct {
		name     string
		method   string
		body     io.Reader
		answers  answers
		deadline time.Duration // 0: none
		attempts int
		status   int // 0: an error
		waits    []time.Duration
	}{
		{name: "success", answers: answers{status(200)}, attempts: 1, status: 200},
		{name: "seconds", answers: answers{status(429, "Retry-After", "3"), status(200)}, attempts: 2, status: 200, waits: []time.Duration{3 * time.Second}},
		{name: "no seconds", answers: answers{status(503, "Retry-After", "0"), status(200)}, attempts: 2, status: 200, waits: []time.Duration{0}},
		{name: "date", answers: answers{status(503, "Retry-After", later), status(200)}, attempts: 2, status: 200, waits: []time.Duration{7 * time.Second}},
		{
			name: "date by the clock of the server", attempts: 2, status: 200, waits: []time.Duration{2 * time.Second},
			answers: answers{status(503, "Retry-After", later, "Date", testTime.Add(5*time.Second).Format(http.TimeFormat)), status(200)},
		},
		{
			name: "date that is past", attempts: 2, status: 200, waits: []time.Duration{0},
			answers: answers{status(503, "Retry-After", testTime.Add(-time.Hour).Format(http.TimeFormat)), status(200)},
		},
		{name: "the longest wait", answers: answers{status(429, "Retry-After", "30"), status(200)}, attempts: 2, status: 200, waits: []time.Duration{MaxRetryAfter}},
		{name: "too long a wait", answers: answers{status(429, "Retry-After", "31"), status(200)}, attempts: 1, status: 429},
		{name: "endless wait", answers: answers{status(429, "Retry-After", "99999999999999999999"), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "wait behind the deadline", answers: answers{status(429, "Retry-After", "5"), status(200)}, deadline: 4 * time.Second, attempts: 1, status: 429},
		{name: "wait before the deadline", answers: answers{status(429, "Retry-After", "3"), status(200)}, deadline: 4 * time.Second, attempts: 2, status: 200, waits: []time.Duration{3 * time.Second}},
		{name: "for ever", answers: answers{status(503)}, attempts: 5, status: 503, waits: []time.Duration{-1, -1, -1, -1}},
		{name: "408", answers: answers{status(408), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "500", answers: answers{status(500), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "502", answers: answers{status(502), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "504", answers: answers{status(504), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "501", answers: answers{status(501)}, attempts: 1, status: 501},
		{name: "404", answers: answers{status(404)}, attempts: 1, status: 404},
		{name: "401", answers: answers{status(401)}, attempts: 1, status: 401},
		{name: "reset", answers: answers{broken(syscall.ECONNRESET), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "cut", answers: answers{broken(io.EOF), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "refused", answers: answers{broken(syscall.ECONNREFUSED)}, attempts: 1},
		{name: "other failure", answers: answers{broken(errors.New("x509"))}, attempts: 1},
		{name: "upload start", method: http.MethodPost, answers: answers{broken(io.EOF), status(202)}, attempts: 2, status: 202, waits: []time.Duration{-1}},
		{name: "POST with a body, cut", method: http.MethodPost, body: strings.NewReader("body"), answers: answers{broken(io.EOF)}, attempts: 1},
		{name: "POST with a body, refused", method: http.MethodPost, body: strings.NewReader("body"), answers: answers{status(503), status(200)}, attempts: 2, status: 200, waits: []time.Duration{-1}},
		{name: "PUT", method: http.MethodPut, body: bytes.NewReader([]byte("body")), answers: answers{broken(io.EOF), status(201)}, attempts: 2, status: 201, waits: []time.Duration{-1}},
		{name: "PUT of a stream", method: http.MethodPut, body: io.LimitReader(strings.NewReader("body"), 4), answers: answers{status(503)}, attempts: 1, status: 503},
		{name: "PATCH", method: http.MethodPatch, body: strings.NewReader("body"), answers: answers{status(503)}, attempts: 1, status: 503},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if tt.deadline != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, testTime.Add(tt.deadline))
				defer cancel()
			}
			base := &script{answers: tt.answers}
			r := newRetrier(base, Options{})
			var waits []time.Duration
			r.now = func() time.Time { return testTime }
			r.sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
			req, err := http.NewRequestWithContext(ctx, tt.method, "http://registry.example.com/v2/", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.RoundTrip(req)
			if (err != nil) != (tt.status == 0) || (err == nil && resp.StatusCode != tt.status) {
				t.Errorf("got %v, %v", resp, err)
			}
			if base.n != tt.attempts || len(waits) != len(tt.waits) {
				t.Fatalf("%d attempts, waits %v", base.n, waits)
			}
			for i, want := range tt.waits {
				if want >= 0 && waits[i] != want {
					t.Errorf("waits %v, want %v", waits, tt.waits)
				}
				backoff := defaultRetryWait << i
				if want < 0 && (waits[i] < backoff/2 || waits[i] > backoff+1) {
					t.Errorf("wait %d: %v is not about %v", i, waits[i], backoff)
				}
			}
			for _, body := range base.bodies {
				if tt.body != nil && body != "body" {
					t.Errorf("bodies %q", base.bodies)
				}
			}
		})
	}
}

func TestRetrierEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	base := &script{answers: []func() (*http.Response, error){func() (*http.Response, error) {
		cancel()
		return status(503)()
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry.example.com/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRetrier(base, Options{}).RoundTrip(req); !errors.Is(err, context.Canceled) || base.n != 1 {
		t.Errorf("%d attempts, %v", base.n, err)
	}
}

func TestNoRetries(t *testing.T) {
	t.Parallel()
	base := &script{answers: []func() (*http.Response, error){status(503)}}
	req, err := http.NewRequest(http.MethodGet, "http://registry.example.com/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRetrier(base, Options{Retries: -1}).RoundTrip(req); err != nil || base.n != 1 {
		t.Errorf("%d attempts, %v", base.n, err)
	}
}
