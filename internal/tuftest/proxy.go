package tuftest

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// Proxy is an HTTP proxy in this process, on a loopback port, that records what it is
// asked and finds all hosts that there are at one address.
type Proxy struct {
	server *httptest.Server
	to     string

	mu       sync.Mutex
	requests []Request
	shown    int
	answer   func(c net.Conn)
}

// ProxyOptions say how a proxy behaves.
type ProxyOptions struct {
	// TLS is spoken with the proxy itself, which asks for a certificate.
	TLS bool
	// Answer is written to whoever asks for a tunnel; nil: it is made.
	Answer func(c net.Conn)
}

// NewProxy starts a proxy to "HOST:PORT"; it ends with the test.
func NewProxy(t testing.TB, to string, o ProxyOptions) *Proxy {
	t.Helper()
	p := &Proxy{to: to, answer: o.Answer}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	if o.TLS {
		p.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

// URL is that of the proxy, with a name and password.
func (p *Proxy) URL() *url.URL {
	u, _ := url.Parse(p.server.URL)
	u.User = url.UserPassword("proxyuser", "proxypassword")
	return u
}

// Host is the address of the proxy.
func (p *Proxy) Host() string { return p.server.Listener.Addr().String() }

// Requests are what the proxy was asked itself, in order of arrival: not what went
// through its tunnels. The path of a tunnel is its "HOST:PORT".
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Shown is how many certificates the proxy was shown.
func (p *Proxy) Shown() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	request := Request{Method: r.Method, Path: r.URL.String(), Header: r.Header.Clone()}
	if r.Method == http.MethodConnect {
		request.Path = r.Host
	}
	p.mu.Lock()
	p.requests = append(p.requests, request)
	if r.TLS != nil {
		p.shown += len(r.TLS.PeerCertificates)
	}
	p.mu.Unlock()
	switch {
	case p.answer != nil:
		raw(w, p.answer)
	case r.Method == http.MethodConnect:
		raw(w, p.tunnel)
	default:
		forward := &httputil.ReverseProxy{Rewrite: func(out *httputil.ProxyRequest) { out.Out.URL.Host = p.to }}
		forward.ServeHTTP(w, r)
	}
}

func (p *Proxy) tunnel(c net.Conn) {
	there, err := net.DialTimeout("tcp", p.to, time.Second)
	if err != nil {
		return
	}
	defer there.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		_, _ = io.Copy(there, c)
		there.Close()
	}()
	_, _ = io.Copy(c, there)
}
