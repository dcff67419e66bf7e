package ociremote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 90 * time.Second
	// maxIdle connections to one host: as many as anything here uses at once.
	maxIdle = 16
	// maxHeader bounds the header of one answer, in bytes: it is held whole before
	// anything of it can be looked at, and asked for again when it fails. Links to
	// storage, and policies of web servers, take some thousands.
	maxHeader = 256 << 10
	// window is how much of one body a server of HTTP/2 may send before it is read, in
	// bytes: it is held in memory, for each of the bodies that are open at one time. A
	// body moves 10 MB a second at 100 ms there and back.
	window = 1 << 20
	// silence is how long a connection of HTTP/2 may say nothing before it is asked
	// for a sign of life, and how long that may take. Many requests share such a
	// connection and none closes it: later ones would wait on a dead one as well.
	silence = 15 * time.Second
	// stuckWrite is how long nothing at all can be written to a connection of HTTP/2.
	// All that is done with one waits for its writes, also the end of a request, which
	// no context ends. A frame of an upload has up to 512 KiB.
	stuckWrite = 30 * time.Second
)

// newTransport is the transport of the options. Proxies are those of the environment, as
// for every other registry client: HTTPS_PROXY, HTTP_PROXY for registries without TLS,
// NO_PROXY, and never one for a loopback host.
func newTransport(o Options) (*http.Transport, error) {
	resolve, err := parseResolve(o.Resolve)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := newTLSConfig(o)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: checkConnect,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if to, ok := resolve[strings.ToLower(addr)]; ok {
				addr = to
			}
			return dialer.DialContext(ctx, network, addr)
		},
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        4 * maxIdle,
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     idleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: window, SendPingTimeout: silence, PingTimeout: silence, WriteByteTimeout: stuckWrite,
		},
		MaxResponseHeaderBytes: maxHeader,
		// A compressed answer has no Content-Length, which would cost a HEAD,
		// and unpacks to more than was announced.
		DisableCompression: true,
	}, nil
}

// withoutCertificate is a transport for all but the registry itself: whoever is shown
// the client's certificate learns who asks. Without one it is the same transport.
func withoutCertificate(t *http.Transport) *http.Transport {
	if len(t.TLSClientConfig.Certificates) == 0 {
		return t
	}
	bare := t.Clone()
	bare.TLSClientConfig.Certificates = nil
	return bare
}

func newTLSConfig(o Options) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in PEM", o.CAFile)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("a client certificate needs both its certificate and its key file")
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// parseResolve reads "host:port:address[:port]" entries into a map from
// "host:port" to "address:port".
func parseResolve(entries []string) (map[string]string, error) {
	resolve := map[string]string{}
	for _, entry := range entries {
		from, to, err := parseResolveEntry(entry)
		if err != nil {
			return nil, fmt.Errorf("invalid address %q: %w, want HOST:PORT:ADDRESS[:PORT]", shorten(entry), err)
		}
		resolve[from] = to
	}
	return resolve, nil
}

func parseResolveEntry(entry string) (from, to string, err error) {
	// The host may be an IPv6 address in brackets.
	hostEnd := 0
	if strings.HasPrefix(entry, "[") {
		hostEnd = strings.Index(entry, "]") + 1
	}
	colon := strings.IndexByte(entry[hostEnd:], ':')
	if colon < 0 || hostEnd+colon == 0 {
		return "", "", errors.New("no host")
	}
	host, rest := entry[:hostEnd+colon], entry[hostEnd+colon+1:]
	port, addr, ok := strings.Cut(rest, ":")
	if !ok || !isPort(port) {
		return "", "", errors.New("no port")
	}
	if from, err = parseHost(host + ":" + port); err != nil {
		return "", "", errors.New("no host")
	}
	if ap, err := netip.ParseAddrPort(addr); err == nil && ap.Port() > 0 {
		return from, ap.String(), nil
	}
	ip, err := netip.ParseAddr(strings.Trim(addr, "[]"))
	if err != nil {
		return "", "", errors.New("no IP address")
	}
	return from, net.JoinHostPort(ip.String(), port), nil
}

// isPort reports whether s is a port as addresses have it: without leading zeros.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// hostOnly is a host without its port and brackets.
func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
