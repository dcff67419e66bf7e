package ociremote

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Options of a [Client]. The zero value is a client with the credentials of the
// docker configuration.
type Options struct {
	// Username and Password, or IdentityToken, are for every registry that this
	// client opens, instead of those of the docker configuration.
	Username, Password, IdentityToken string
	// RegistryConfig is a docker configuration file; "" is the one of the user.
	RegistryConfig string
	// Anonymous asks without credentials, also where some are stored.
	Anonymous bool
	// CAFile holds certificates (PEM) that are trusted beside those of the
	// system. CertFile and KeyFile (PEM) are the client's own, both or neither.
	CAFile, CertFile, KeyFile string
	// Insecure accepts any TLS certificate.
	Insecure bool
	// PlainHTTP speaks HTTP without TLS. So does any client with a registry on
	// a loopback host (localhost, 127.0.0.0/8, ::1), unless CAFile, CertFile
	// or Insecure says that it has TLS.
	PlainHTTP bool
	// Resolve sends connections elsewhere: "host:port:address[:port]".
	Resolve []string
	// Headers, "Name: value", go with every request to the registry's own
	// origin (scheme, host and port), and with no other.
	Headers []string
	// UserAgent; "" is "tufoci".
	UserAgent string
	// Base makes the requests. Nil is a transport of the client's own; with
	// another one CAFile, CertFile, KeyFile, Insecure and Resolve are refused.
	Base http.RoundTripper
	// Retries after the first attempt; 0 is 4, negative is none. RetryWait is
	// the time before the first one, doubled for each that follows; 0 is 250
	// ms. A registry that sends Retry-After is waited for as long as it says, up
	// to [MaxRetryAfter]; one that wants more time is not asked again. No wait
	// goes beyond the deadline of the context.
	Retries   int
	RetryWait time.Duration
	// Connect is how long a request may take, all its tries together, until it has
	// a connection (DNS, TCP and TLS); no try begins later than that either, and the
	// answer has to begin within 30 seconds of waiting. 0: each connection has 10
	// seconds for TCP and 10 for TLS, tries end as Retries says, and an answer has
	// all the time that there is.
	Connect time.Duration
	// Warn receives what registries say in Warning headers, each text once; nil
	// drops it.
	Warn func(string)
}

// Client reaches registries. Its connections and tokens are shared by all
// repositories that it opens. It is safe for concurrent use.
type Client struct {
	opts Options
	http *http.Client
	auth *auth.Client
	// store of credentials, opened when first needed: a broken docker
	// configuration is no matter to who reads an archive.
	store func() (credentials.Store, error)
	// noReferrers are the hosts without a referrers API.
	noReferrers sync.Map
	// writers are the repositories by name, as oras has them: one each, since changes
	// to one list of referrers are merged in it.
	writers sync.Map
}

// NewClient checks the options and reads the certificates that they name. It
// makes no request.
func NewClient(o Options) (*Client, error) {
	if err := o.checkCredentials(); err != nil {
		return nil, err
	}
	base, own := o.Base, o.Base
	switch {
	case base == nil:
		transport, err := newTransport(o)
		if err != nil {
			return nil, err
		}
		base, own = withoutCertificate(transport), transport
		if base != own {
			hideFromProxies(transport)
		}
	case o.CAFile != "" || o.CertFile != "" || o.KeyFile != "" || o.Insecure || len(o.Resolve) > 0:
		return nil, fmt.Errorf("a base transport and options for TLS or for addresses exclude each other")
	}
	headers, err := parseHeaders(o.Headers)
	if err != nil {
		return nil, err
	}
	c := &Client{opts: o}
	chain := func(base http.RoundTripper) http.RoundTripper {
		if transport, ok := base.(*http.Transport); ok {
			base = proxied{transport}
		}
		return newConnector(newRetrier(&drainer{base}, o), o.Connect)
	}
	c.http = &http.Client{
		Transport: &identity{
			base: chain(base), own: chain(own), plainHTTP: o.PlainHTTP,
			userAgent: o.UserAgent, headers: headers, warn: warnOnce(o.Warn),
		},
		CheckRedirect: checkRedirect,
	}
	c.store = sync.OnceValues(func() (credentials.Store, error) { return openStore(o.RegistryConfig) })
	c.auth = &auth.Client{
		Client: c.http, Cache: tokens{auth.NewCache()}, ClientID: "tufoci", Credential: c.credential,
	}
	return c, nil
}

// Elsewhere is a client for other registries than the one that this client was made
// for: without the credentials and headers of its options, but with those of the docker
// configuration. TLS is spoken the same way.
func (c *Client) Elsewhere() (*Client, error) {
	return NewClient(c.opts.WithoutSecrets())
}

// Anonymous is a client that has nothing to show: no credentials, not even stored ones,
// no headers and no certificate. What it is given anybody is given.
func (c *Client) Anonymous() (*Client, error) {
	o := c.opts.WithoutSecrets()
	o.Anonymous, o.CertFile, o.KeyFile = true, "", ""
	return NewClient(o)
}

// HTTP is a client over the same transport, with the same retries, for sources
// that are no registries: without credentials and custom headers.
func (c *Client) HTTP() *http.Client { return c.http }

// Repository opens the place that ref names. With push set it is a
// [WritableRepository]: a registry, whose token then covers both, or a layout
// directory, made if it does not exist. Archives are written by [CreateArchive].
//
// A registry is not asked before it is used. A layout or archive that does not
// exist is [ErrNotFound].
func (c *Client) Repository(ctx context.Context, ref Reference, push bool) (Repository, error) {
	switch {
	case ref.Kind == KindRegistry:
		return c.openRegistry(ref, push)
	case ref.Kind == KindLayout && push:
		return CreateLayout(ref.Path)
	case ref.Kind == KindLayout:
		return openLayout(ref.Path)
	case ref.Kind == KindArchive && !push:
		return openArchive(ctx, ref.Path)
	default:
		return nil, fmt.Errorf("%s cannot be changed in place", ref)
	}
}

// plainHTTP says how to speak to a host.
func (c *Client) plainHTTP(host string) bool {
	if c.opts.PlainHTTP {
		return true
	}
	return isLoopback(host) && c.opts.CAFile == "" && c.opts.CertFile == "" && !c.opts.Insecure
}

// isLoopback judges by the name: no DNS.
func isLoopback(hostport string) bool {
	host := hostOnly(hostport)
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
