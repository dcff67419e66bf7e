package ociremote

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// hasty is a client of the usual transport, all of whose patience with a connection of
// HTTP/2 is a hundredth.
func hasty(t *testing.T, edit func(*http.Transport)) *http.Client {
	t.Helper()
	transport, err := newTransport(Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	transport.HTTP2.SendPingTimeout /= 100
	transport.HTTP2.PingTimeout /= 100
	transport.HTTP2.WriteByteTimeout /= 100
	edit(transport)
	client, err := NewClient(Options{Base: transport, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return client.HTTP()
}

// faulty is a connection that is well until it is broken: nothing comes then, or nothing
// can be sent.
type faulty struct {
	net.Conn
	mute, block chan struct{} // closed: no reads, no writes
	closed      chan struct{}
	once        sync.Once
	deadline    atomic.Int64 // of writes, in Unix nanoseconds
}

// breakFirst makes the first connection of a transport one that can be broken.
func breakFirst(tr *http.Transport) *faulty {
	f := &faulty{mute: make(chan struct{}), block: make(chan struct{}), closed: make(chan struct{})}
	dial := tr.DialContext
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if f.Conn != nil || err != nil {
			return c, err
		}
		f.Conn = c
		return f, nil
	}
	return f
}

func (f *faulty) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	select {
	case <-f.mute:
		<-f.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (f *faulty) Write(p []byte) (int, error) {
	select {
	case <-f.block:
	default:
		return f.Conn.Write(p)
	}
	var late <-chan time.Time
	if at := f.deadline.Load(); at > 0 {
		late = time.After(time.Until(time.Unix(0, at)))
	}
	select {
	case <-late:
		return 0, os.ErrDeadlineExceeded
	case <-f.closed:
		return 0, net.ErrClosed
	}
}

func (f *faulty) SetWriteDeadline(at time.Time) error {
	f.deadline.Store(max(at.UnixNano(), 0))
	return f.Conn.SetWriteDeadline(at)
}

func (f *faulty) Close() error {
	f.once.Do(func() { close(f.closed) })
	return f.Conn.Close()
}

// newHTTP2Server answers with a body that needs room made for it.
func newHTTP2Server(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("asked over %s", r.Proto)
		}
		if r.URL.Path == "/large" {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// Who reads a body over HTTP/2 has to write, to make room for its next part. Where
// nothing can be written the request ends for all that, soon after its context.
func TestStuckWrites(t *testing.T) {
	t.Parallel()
	server := newHTTP2Server(t)
	var c *faulty
	client := hasty(t, func(tr *http.Transport) {
		c = breakFirst(tr)
		tr.HTTP2.SendPingTimeout = 0 // the server stays lively
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/large", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	close(c.block)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}()
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the request outlives its context")
		c.Close()
	}
}

// A connection of HTTP/2 that has gone silent is given up, although no request closes
// it: those that come later get another one.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	server := newHTTP2Server(t)
	var c *faulty
	client := hasty(t, func(tr *http.Transport) { c = breakFirst(tr) })
	get := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	close(c.mute)
	const short = 100 * time.Millisecond
	if err := get(short); err == nil {
		t.Fatal("an answer on the silent connection")
	}
	for range 100 {
		if get(short) == nil {
			return
		}
	}
	t.Error("the silent connection is used for ever")
	c.Close()
}

// What a server may send before it is read is bounded for each body (RFC 9113, 6.5.2).
func TestWindow(t *testing.T) {
	t.Parallel()
	place := tuftest.NewTLSPlace(t, tuftest.OverHTTP)
	said := make(chan []byte, 1)
	place.TakeOver(func(c *tls.Conn) {
		head := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")+9)
		_, _ = io.ReadFull(c, head)
		settings := make([]byte, head[len(head)-7])
		_, _ = io.ReadFull(c, settings)
		said <- settings
	})
	resp, err := hasty(t, func(*http.Transport) {}).Get(place.Source())
	if err == nil {
		resp.Body.Close()
	}
	const initialWindow = 4
	for s := range slices.Chunk(<-said, 6) {
		if binary.BigEndian.Uint16(s) == initialWindow {
			if size := binary.BigEndian.Uint32(s[2:]); size > window {
				t.Errorf("a window of %d bytes", size)
			}
			return
		}
	}
	t.Error("no window was announced")
}

// A server that has looked at no request is not asked again for ever.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	for _, lie := range tuftest.TLSWires() {
		if lie.Name != "h2-goaway-that-took-no-request" && lie.Name != "h2-reset-as-a-mistake" {
			continue
		}
		place := tuftest.NewTLSPlace(t, tuftest.OverHTTP)
		lie.Tell(t, place, nil)
		resp, err := hasty(t, func(*http.Transport) {}).Get(place.Source())
		if err == nil {
			resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), errConnections.Error()) {
			t.Errorf("%s: %v", lie.Name, err)
		}
	}
}
