package tuftest

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// listener counts connections and bytes, and delays a new connection by one
// round trip, as its handshake would.
type listener struct {
	net.Listener
	mu                     sync.Mutex
	latency                time.Duration
	taker                  func(net.Conn) // gets the connections instead of the server
	taken                  []net.Conn
	opened, received, sent atomic.Int64
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.opened.Add(1)
		l.mu.Lock()
		c, taker := &conn{Conn: raw, counts: l, latency: l.latency}, l.taker
		if taker != nil {
			l.taken = append(l.taken, c)
		}
		l.mu.Unlock()
		if taker == nil {
			return c, nil
		}
		go func() {
			defer c.Close()
			taker(c)
		}()
	}
}

// take gives connections that come from now on to another than the server, nil to the
// server again. Those that others were given are closed.
func (l *listener) take(taker func(net.Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.taken {
		_ = c.Close()
	}
	l.taken, l.taker = nil, taker
}

func (l *listener) setLatency(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latency = d
}

func (l *listener) reset() {
	l.opened.Store(0)
	l.received.Store(0)
	l.sent.Store(0)
}

type conn struct {
	net.Conn
	counts    *listener
	latency   time.Duration
	handshake sync.Once
}

func (c *conn) Read(p []byte) (int, error) {
	c.handshake.Do(func() { time.Sleep(c.latency) })
	n, err := c.Conn.Read(p)
	c.counts.received.Add(int64(n))
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	c.counts.sent.Add(int64(len(p))) // before: the client may look at once
	return c.Conn.Write(p)
}

// recorder notes status and length of an answer before each part goes out.
type recorder struct {
	http.ResponseWriter
	mu      *sync.Mutex
	request *Request
}

func (r *recorder) WriteHeader(status int) {
	r.note(status, 0)
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.note(http.StatusOK, len(p))
	return r.ResponseWriter.Write(p)
}

func (r *recorder) note(status, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.request.Status == 0 {
		r.request.Status = status
	}
	r.request.Bytes += n
}

// Unwrap lets http.ResponseController reach flush and hijack.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// cut writes raw bytes to the connection and closes it.
func cut(w http.ResponseWriter, raw []byte) {
	hijacked, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = hijacked.Write(raw)
	_ = hijacked.Close()
}

// half is the first part of an answer on the wire: the header and half of the
// body, or half of the header when there is no body.
func half(answer *http.Response) []byte {
	body, _ := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	answer.ContentLength = int64(len(body))
	var whole bytes.Buffer
	_ = answer.Write(&whole)
	if len(body) == 0 {
		return whole.Bytes()[:whole.Len()/2]
	}
	return whole.Bytes()[:whole.Len()-len(body)+len(body)/2]
}

func tagList(t testing.TB, body []byte) []string {
	t.Helper()
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("tag list: %v", err)
	}
	return list.Tags
}
