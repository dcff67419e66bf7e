package ociremote

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// fetchFrom reads a bundle.
func fetchFrom(ctx context.Context, c *Client, host string) error {
	ref, err := ParseReference(host + "/acme/trust")
	if err != nil {
		return err
	}
	repo, err := c.Repository(ctx, ref, false)
	if err != nil {
		return err
	}
	_, err = FetchBundle(ctx, repo, "tuf", Known{})
	return err
}

// newProxiedRegistry is a registry over TLS that wants credentials and has a bundle.
func newProxiedRegistry(t *testing.T, o tuftest.RegistryOptions) *tuftest.Registry {
	t.Helper()
	o.Basic, o.Username, o.Password = true, "me", "hunter"
	registry := tuftest.NewRegistry(t, o)
	registry.Push("acme/trust", "tuf", tuftest.Pack(t, tuftest.NewRepo(t, tuftest.RepoOptions{}).Files(), tuftest.PackOptions{}))
	return registry
}

// throughProxy is a client that asks a proxy.
func throughProxy(t *testing.T, proxy *tuftest.Proxy, o Options) *Client {
	t.Helper()
	transport, err := newTransport(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	transport.Proxy = http.ProxyURL(proxy.URL())
	client, err := NewClient(Options{
		Base: transport, Username: "me", Password: "hunter", Headers: []string{"X-Key: hunter"},
		Retries: -1, PlainHTTP: o.PlainHTTP, Connect: o.Connect, RegistryConfig: filepath.Join(t.TempDir(), "config.json"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// inEnvironment is set in the processes of TestProxyOfTheEnvironment that have proxies in
// their environment, where net/http looks once.
const inEnvironment = "TUFOCI_TEST_PROXIED_REGISTRY"

// The proxies are those of the environment. A proxy sees credentials and headers for a
// registry only where that has no TLS, and the client's certificate never, be it that it
// asks for one. A registry sees no credentials for a proxy.
func TestProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	if at := os.Getenv(inEnvironment); at != "" {
		askThroughEnvironment(t, at)
		return
	}
	// Each is a process, which takes a second to begin under the race detector.
	schemes := []string{"https", "http"}
	for _, scheme := range schemes[:tuftest.Scale(1, 2, 2)] {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			secure := newProxiedRegistry(t, tuftest.RegistryOptions{TLS: true, HTTP2: true})
			plain := newProxiedRegistry(t, tuftest.RegistryOptions{})
			toSecure := tuftest.NewProxy(t, secure.Host(), tuftest.ProxyOptions{TLS: scheme == "https"})
			toPlain := tuftest.NewProxy(t, plain.Host(), tuftest.ProxyOptions{})
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyOfTheEnvironment$")
			child.Env = []string{
				inEnvironment + "=" + secure.Host(), "HTTPS_PROXY=" + toSecure.URL().String(), "HTTP_PROXY=" + toPlain.URL().String(),
				"NO_PROXY=direct.example.com", "ALL_PROXY=http://127.0.0.1:1", "GORACE=atexit_sleep_ms=0",
			}
			if out, err := child.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			sawTunnel(t, toSecure)
			sawRequests(t, toPlain)
			for _, r := range append(secure.Requests(), plain.Requests()...) {
				if r.Header.Get("Proxy-Authorization") != "" {
					t.Errorf("a registry was sent the credentials of the proxy with %s", r.Path)
				}
			}
		})
	}
}

// sawTunnel expects that a proxy made one tunnel and saw nothing but its own credentials.
func sawTunnel(t *testing.T, proxy *tuftest.Proxy) {
	t.Helper()
	asked := proxy.Requests()
	if len(asked) != 1 || asked[0].Method != http.MethodConnect || asked[0].Path != "registry.example.com:443" {
		t.Fatalf("the proxy was asked for %v", asked)
	}
	if h := asked[0].Header; h.Get("Proxy-Authorization") == "" || h.Get("Authorization") != "" || h.Get("X-Key") != "" {
		t.Errorf("the proxy was sent %v", h)
	}
	if n := proxy.Shown(); n > 0 {
		t.Errorf("the proxy was shown %d certificates", n)
	}
}

// sawRequests expects that a proxy was asked for a registry without TLS, and sent what
// that wants.
func sawRequests(t *testing.T, proxy *tuftest.Proxy) {
	t.Helper()
	credentials := 0
	for _, r := range proxy.Requests() {
		if !strings.HasPrefix(r.Path, "http://registry.example.com:80/v2/") || r.Header.Get("Proxy-Authorization") == "" {
			t.Errorf("the proxy was asked for %s, with %v", r.Path, r.Header)
		}
		if r.Header.Get("Authorization") != "" {
			credentials++
		}
	}
	if credentials == 0 {
		t.Error("the registry without TLS was shown no credentials")
	}
}

// askThroughEnvironment asks registries in a process that has proxies.
func askThroughEnvironment(t *testing.T, at string) {
	certificate, key := writeCertificate(t)
	for host, o := range map[string]Options{
		"registry.example.com": {CertFile: certificate, KeyFile: key}, "registry.example.com:80": {PlainHTTP: true},
		"direct.example.com": {Resolve: []string{"direct.example.com:443:" + at}}, at: {},
	} {
		o.Insecure, o.Username, o.Password, o.Headers = !o.PlainHTTP, "me", "hunter", []string{"X-Key: hunter"}
		o.RegistryConfig = filepath.Join(t.TempDir(), "config.json")
		client, err := NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := fetchFrom(t.Context(), client, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// writeCertificate writes the certificate of a server, and its key.
func writeCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	server.Close()
	pair := server.TLS.Certificates[0]
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// A proxy that is asked for a tunnel and answers with anything else is named, within the
// deadline, and asked once.
func TestHostileProxy(t *testing.T) {
	t.Parallel()
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, text) }
	}
	forEver := func(head, part string) func(net.Conn) {
		return func(c net.Conn) {
			_, err := io.WriteString(c, head)
			for err == nil {
				_, err = io.WriteString(c, part)
			}
		}
	}
	hold := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, text)
			_, _ = io.Copy(io.Discard, c)
		}
	}
	for name, tt := range map[string]struct {
		answer func(net.Conn)
		want   string
	}{
		"credentials":        {say("HTTP/1.1 407 \x1b[2J\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"), "407 and wants credentials"},
		"forbidden":          {say("HTTP/1.1 403 \x1b[2J all is well\r\n\r\n"), "403 Forbidden"},
		"a redirect":         {say("HTTP/1.1 302 Found\r\nLocation: https://elsewhere.invalid/\r\n\r\n"), "302 Found"},
		"informational":      {forEver("", "HTTP/1.1 100 Continue\r\n\r\n"), "100 Continue"},
		"a body":             {hold("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>..."), "deadline"},
		"an endless body":    {forEver("HTTP/1.1 200 OK\r\n\r\n", "0123456789"), ""},
		"endless headers":    {forEver("HTTP/1.1 200 OK\r\n", "X-More: 0123456789\r\n"), ""},
		"an endless line":    {forEver("HTTP/1.1 200 ", strings.Repeat("x", 4096)), ""},
		"garbage":            {say("\x00\x01\x02\r\n\r\n"), "malformed"},
		"nothing":            {hold(""), "deadline"},
		"half a header":      {hold("HTTP/1.1 200 OK\r\n"), "deadline"},
		"a tunnel to no TLS": {hold("HTTP/1.1 200 OK\r\n\r\n"), "deadline"},
		"a hang-up":          {say(""), "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := tuftest.NewProxy(t, "127.0.0.1:1", tuftest.ProxyOptions{Answer: tt.answer})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			err := fetchFrom(ctx, throughProxy(t, proxy, Options{Insecure: true}), "registry.example.com")
			te, ok := errors.AsType[*TransportError](err)
			if !ok || te.Host != "registry.example.com" || te.Status != 0 {
				t.Fatalf("%v (%T)", err, err)
			}
			text := err.Error()
			if !strings.Contains(text, "through the proxy http://"+proxy.Host()) || !strings.Contains(text, tt.want) {
				t.Errorf("%s", text)
			}
			if len(text) > 2000 || strings.Contains(text, "\x1b") || strings.Contains(text, "proxypassword") {
				t.Errorf("%q", text)
			}
			if asked := proxy.Requests(); len(asked) != 1 {
				t.Errorf("the proxy was asked %d times", len(asked))
			}
		})
	}
}

// Where a connection has a time of its own, a proxy that makes no tunnel is named too.
func TestProxyThatConnectsNobody(t *testing.T) {
	t.Parallel()
	proxy := tuftest.NewProxy(t, "127.0.0.1:1", tuftest.ProxyOptions{Answer: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }})
	err := fetchFrom(t.Context(), throughProxy(t, proxy, Options{Insecure: true, Connect: 100 * time.Millisecond}), "registry.example.com")
	want := "through the proxy http://" + proxy.Host() + ": no connection within 100ms"
	if _, ok := errors.AsType[*TransportError](err); !ok || !strings.Contains(err.Error(), want) || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A proxy for registries without TLS that wants credentials is told from a registry that
// does.
func TestProxyWithoutTunnel(t *testing.T) {
	t.Parallel()
	proxy := tuftest.NewProxy(t, "127.0.0.1:1", tuftest.ProxyOptions{Answer: func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
	}})
	err := fetchFrom(t.Context(), throughProxy(t, proxy, Options{PlainHTTP: true}), "registry.example.com")
	if te, ok := errors.AsType[*TransportError](err); !ok || te.Status != 0 || !strings.Contains(err.Error(), "through the proxy") {
		t.Errorf("%v", err)
	}
	// A registry is what it says that it is.
	registry := tuftest.NewRegistry(t, tuftest.RegistryOptions{TLS: true})
	registry.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	})
	tunnel := tuftest.NewProxy(t, registry.Host(), tuftest.ProxyOptions{})
	err = fetchFrom(t.Context(), throughProxy(t, tunnel, Options{Insecure: true}), "registry.example.com")
	if te, ok := errors.AsType[*TransportError](err); !ok || te.Status != http.StatusProxyAuthRequired {
		t.Errorf("%v", err)
	}
}

// Behind a proxy that knows names which nobody else does, tokens come from where the
// registry says, and a redirect to this machine is none of the proxy's.
func TestNamesThatOnlyTheProxyKnows(t *testing.T) {
	t.Parallel()
	var realm, location string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host == "auth.invalid":
			_, _ = io.WriteString(w, `{"token":"t"}`)
		case r.Header.Get("Authorization") != "Bearer t":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			http.Redirect(w, r, location, http.StatusTemporaryRedirect)
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, tt := range []struct {
		realm, location, want string
		asked                 []string
	}{
		{"https://auth.invalid/token", "https://127.0.0.1/x", "local address", []string{"registry.invalid:443", "auth.invalid:443"}},
		{"https://auth.invalid/token", "http://registry.invalid/x", "from https to http", []string{"registry.invalid:443", "auth.invalid:443"}},
		{"http://auth.invalid/token", "", "http", []string{"registry.invalid:443"}},
		{"https://127.0.0.1/token", "", "127.0.0.1", []string{"registry.invalid:443"}},
	} {
		realm, location = tt.realm, tt.location
		proxy := tuftest.NewProxy(t, server.Listener.Addr().String(), tuftest.ProxyOptions{})
		err := fetchFrom(t.Context(), throughProxy(t, proxy, Options{Insecure: true}), "registry.invalid")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v", tt.realm, tt.location, err)
		}
		var asked []string
		for _, r := range proxy.Requests() {
			asked = append(asked, r.Path)
			if r.Header.Get("Authorization") != "" || r.Header.Get("X-Key") != "" {
				t.Errorf("the proxy was sent %v", r.Header)
			}
		}
		if !slices.Equal(asked, tt.asked) {
			t.Errorf("%s, %s: the proxy was asked for %v", tt.realm, tt.location, asked)
		}
	}
}
