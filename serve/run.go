package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Requests are short, and clients that take longer than this are cut off.
const (
	headerBytes = 16 << 10
	readTime    = 10 * time.Second // to read a request
	writeTime   = 30 * time.Second // to answer it, and more for large files:
	minRate     = 64 << 10         // bytes a second that a client has to take
	idleTime    = time.Minute
	stopTime    = 5 * time.Second // for requests that are under way when it ends
)

// DefaultConnections leaves file descriptors for the source.
const DefaultConnections = 1024

// RunOptions of [Run]. The zero value works.
type RunOptions struct {
	// TLS is the configuration with the certificate; nil: plain http.
	TLS *tls.Config
	// Connections is how many may be open at the same time; further ones wait. The
	// default is [DefaultConnections].
	Connections int
	// Warn is told what goes wrong with connections. Nil: nobody is.
	Warn func(string)
}

// Run answers requests, within limits on time and size, until ctx ends. Those that
// are under way then have a few seconds to end. It closes the listener.
func Run(ctx context.Context, l net.Listener, h http.Handler, o RunOptions) error {
	server := newServer(h, o)
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, end := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer end()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	if o.Connections <= 0 {
		o.Connections = DefaultConnections
	}
	l = limit(l, o.Connections)
	var err error
	if o.TLS != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		if cancel() {
			server.Close()
		}
		return err
	}
	<-stopped
	return nil
}

func newServer(h http.Handler, o RunOptions) *http.Server {
	return &http.Server{
		Handler: h, MaxHeaderBytes: headerBytes, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		TLSConfig: o.TLS, ErrorLog: log.New(warner(o.Warn), "", 0),
	}
}

// warner hands lines of a log on.
type warner func(string)

func (w warner) Write(line []byte) (int, error) {
	if w != nil {
		w(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

// limited is a listener with a limit on open connections. Further ones wait.
type limited struct {
	net.Listener
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}
}

func limit(l net.Listener, connections int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, connections), closed: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &counted{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// counted frees its slot when it is closed.
type counted struct {
	net.Conn
	free func()
}

func (c *counted) Close() error {
	defer c.free()
	return c.Conn.Close()
}
