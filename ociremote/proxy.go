package ociremote

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// checkConnect judges what a proxy answers to CONNECT (RFC 9110, 9.3.6), in place of
// net/http, which would tell the words of the proxy and not whose they are.
func checkConnect(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return proxyRefusal(resp.StatusCode)
}

// proxyRefusal is the error for a status that is a proxy's own.
func proxyRefusal(status int) error {
	if status == http.StatusProxyAuthRequired {
		return errors.New("it answered 407 and wants credentials, which belong in HTTPS_PROXY (or HTTP_PROXY) as http://USER:PASSWORD@HOST:PORT")
	}
	return fmt.Errorf("it answered %d %s", status, http.StatusText(status))
}

// proxied names the proxy in the errors of what went through one. So it does of a status
// of 407, which is the proxy's own (RFC 9110, 15.5.8), unless it came through a tunnel.
type proxied struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (p proxied) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.Transport.RoundTrip(req)
	if p.Proxy == nil || err == nil && (resp.StatusCode != http.StatusProxyAuthRequired || req.URL.Scheme == "https") {
		return resp, err
	}
	proxy, unknown := p.Proxy(req)
	if proxy == nil || unknown != nil {
		return resp, err
	}
	if err == nil {
		resp.Body.Close()
		err = proxyRefusal(resp.StatusCode)
	}
	return nil, &proxyError{proxy.Scheme + "://" + proxy.Host, err}
}

// proxyError is what failed on the way through a proxy.
type proxyError struct {
	proxy string // without its credentials
	err   error
}

func (e *proxyError) Error() string { return "through the proxy " + e.proxy + ": " + e.err.Error() }

func (e *proxyError) Unwrap() error { return e.err }

// instead says something else of what failed, through the proxy that it failed in.
func instead(failed, of error) error {
	if through, ok := errors.AsType[*proxyError](failed); ok {
		return &proxyError{through.proxy, of}
	}
	return of
}

// hideFromProxies makes a transport show its client's certificate to servers, and to no
// proxy on the way: net/http speaks with a proxy that has TLS as it does with a server.
func hideFromProxies(t *http.Transport) {
	var proxies sync.Map // of TLS, by address
	of := t.Proxy
	t.Proxy = func(req *http.Request) (*url.URL, error) {
		proxy, err := of(req)
		if proxy != nil && proxy.Scheme == "https" {
			proxies.Store(net.JoinHostPort(proxy.Hostname(), cmp.Or(proxy.Port(), "443")), true)
		}
		return proxy, err
	}
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := t.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		config := t.TLSClientConfig.Clone()
		config.ServerName = hostOnly(addr)
		if _, ok := proxies.Load(addr); ok {
			config.Certificates, config.NextProtos = nil, nil
		}
		ctx, cancel := context.WithTimeout(ctx, t.TLSHandshakeTimeout)
		defer cancel()
		secure := tls.Client(c, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return secure, nil
	}
}
