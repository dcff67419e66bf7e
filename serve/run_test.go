package serve_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/serve"
)

// start runs a handler on a port of its own. stop ends it as a signal does.
func start(t *testing.T, h http.Handler, edits ...func(*serve.RunOptions)) (address string, stop func() error) {
	t.Helper()
	var o serve.RunOptions
	for _, edit := range edits {
		edit(&o)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve.Run(ctx, listener, h, o) }()
	stop = sync.OnceValue(func() error {
		end()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return listener.Addr().String(), stop
}

// A request that is under way when the server stops is answered whole; a new one is
// not taken.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pack.NoInline = true
	w.publish()
	h := w.handler(once)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.registry.Intercept(func(out http.ResponseWriter, r *http.Request, next http.Handler) {
		close(entered)
		<-leave
		next.ServeHTTP(out, r)
	})
	address, stop := start(t, h)
	answer := make(chan string)
	go func() {
		r, err := http.Get("http://" + address + place(hello))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		data, err := io.ReadAll(r.Body)
		answer <- fmt.Sprint(string(data), err)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break // it has begun to stop
		}
		conn.Close()
	}
	select {
	case <-stopped:
		t.Error("stopped before the request was answered")
	default:
	}
	close(leave)
	if got := <-answer; got != "hello<nil>" {
		t.Errorf("answer %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A connection too many waits until another one ends.
func TestConnectionsWait(t *testing.T) {
	t.Parallel()
	address, _ := start(t, http.NotFoundHandler(), func(o *serve.RunOptions) { o.Connections = 1 })
	first, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	ask := func(conn net.Conn) error {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err := http.ReadResponse(bufio.NewReader(conn), nil)
		return err
	}
	if err := ask(first); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if err := ask(second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	first.Close()
	second.SetReadDeadline(time.Time{})
	if _, err := http.ReadResponse(bufio.NewReader(second), nil); err != nil {
		t.Error(err)
	}
}

// Headers have a limit, and a listener that fails is an error.
func TestServerLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address, _ := start(t, w.handler(once))
	for header, status := range map[int]int{1 << 10: 200, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /timestamp.json HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", header))
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode != status {
			t.Errorf("header of %d bytes: %d, want %d", header, r.StatusCode, status)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := serve.Run(t.Context(), listener, http.NotFoundHandler(), serve.RunOptions{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// What was started is gone when it has ended: goroutines and open files. It runs
// alone, since it counts those of the process.
func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	w.pack.NoInline = true
	w.publish()
	round := func() {
		for _, edit := range []func(*serve.Options){func(*serve.Options) {}, unpinned} {
			ctx, end := context.WithCancel(t.Context())
			h, err := serve.New(ctx, w.options(edit))
			if err != nil {
				t.Fatal(err)
			}
			address, stop := start(t, h)
			for title, data := range w.Files() {
				r, err := http.Get("http://" + address + place(title))
				if err != nil {
					t.Fatal(err)
				}
				if got := body(t, r); got != string(data) {
					t.Errorf("%s: %q", title, got)
				}
				r.Body.Close()
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			end()
			<-h.Done()
		}
		if _, err := serve.New(t.Context(), w.options(func(o *serve.Options) { o.Root = tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes() })); err == nil {
			t.Error("another root is taken")
		}
		http.DefaultClient.CloseIdleConnections()
		w.client.HTTP().CloseIdleConnections()
		w.registry.CloseConnections()
	}
	round() // what is started once
	tuftest.NothingLeft(t, func(*testing.T) {
		for range 5 {
			round()
		}
	})
}
