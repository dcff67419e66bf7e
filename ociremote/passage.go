package ociremote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
)

// MaxRedirects is how often one request is sent on: registries redirect once or
// twice, to their storage.
const MaxRedirects = 10

type redirectsKey struct{}

// WithRedirects returns a context under which a request of a [Client] follows at most
// so many redirects, and never more than MaxRedirects.
func WithRedirects(ctx context.Context, most int) context.Context {
	return context.WithValue(ctx, redirectsKey{}, min(most, MaxRedirects))
}

// redirects is how many redirects a request may follow.
func redirects(ctx context.Context) int {
	if most, ok := ctx.Value(redirectsKey{}).(int); ok {
		return most
	}
	return MaxRedirects
}

// originKey of a context holds the origin that its requests are meant for.
type originKey struct{}

// withOrigin marks a context as one for requests to a registry.
func withOrigin(ctx context.Context, host string, plain bool) context.Context {
	u := url.URL{Scheme: "https", Host: host}
	if plain {
		u.Scheme = "http"
	}
	return context.WithValue(ctx, originKey{}, originOf(&u))
}

// meantFor is the origin of the registry that a request is for, "" if for none.
func meantFor(ctx context.Context) string {
	origin, _ := ctx.Value(originKey{}).(string)
	return origin
}

// first is the request that redirects led away from.
func first(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

// checkFirst judges where a request goes that nobody was redirected to: to its
// registry, or to whoever gives tokens for it (distribution specification, "Token
// Authentication"). The latter is named by the registry, and gets the credentials. It
// may be on any host over https. Over http it has to be the host of the registry, which
// is asked in the clear itself, unless the client is one that speaks http everywhere.
func checkFirst(req *http.Request, plainHTTP bool) error {
	origin := meantFor(req.Context())
	switch {
	case req.URL.User != nil && (origin != "" || req.Response != nil):
		return fmt.Errorf("%w: to a URL with credentials", ErrRedirect)
	case origin == "" || req.Response != nil || originOf(req.URL) == origin:
		return nil
	case req.URL.Hostname() == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: tokens from %q, which is no URL of a host", ErrRedirect, shorten(req.URL.Redacted()))
	case !isPlainName(req.URL.Hostname()):
		return fmt.Errorf("%w: to %s, which is no plain name or address", ErrRedirect, shorten(cleanText(req.URL.Host)))
	case req.Method != http.MethodGet && req.Method != http.MethodPost:
		// An upload that goes on elsewhere.
		return fmt.Errorf("%w: a %s goes to %s only, not to %s", ErrRedirect, req.Method, origin, shorten(originOf(req.URL)))
	case req.URL.Scheme == "https" || plainHTTP:
		return nil
	}
	if registry, err := url.Parse(origin); err != nil || !strings.EqualFold(registry.Hostname(), req.URL.Hostname()) {
		return fmt.Errorf("%w: tokens from %s, without TLS", ErrRedirect, shorten(originOf(req.URL)))
	}
	return nil
}

// checkRedirect judges a redirect. Storage for blobs may be anywhere; everything else
// that a registry sends to another origin is refused, whether it is a manifest, a list,
// an upload or the request for a token.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, last, most := via[0], via[len(via)-1], redirects(req.Context())
	switch {
	case len(via) > most:
		return fmt.Errorf("%w: %w", ErrRedirect, &LimitError{Title: "one request", Size: int64(len(via)), Max: int64(most), Unit: "redirects", Limit: "redirects"})
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: to %q, which is neither http nor https", ErrRedirect, shorten(req.URL.Scheme))
	case last.URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to http", ErrRedirect)
	case !isPlainName(req.URL.Hostname()):
		return fmt.Errorf("%w: to %s, which is no plain name or address", ErrRedirect, shorten(cleanText(req.URL.Host)))
	case !strings.EqualFold(req.URL.Hostname(), last.URL.Hostname()) && isLocal(req.URL, last.URL):
		return fmt.Errorf("%w: to the local address %s", ErrRedirect, shorten(req.URL.Host))
	}
	origin := meantFor(req.Context())
	if origin == "" || originOf(req.URL) == originOf(first.URL) || (originOf(first.URL) == origin && isBlobRead(first)) {
		return nil
	}
	return fmt.Errorf("%w: to %s, which may hold blobs and nothing else; a registry that is there is named as such", ErrRedirect, shorten(originOf(req.URL)))
}

// isBlobRead reports whether a request reads a blob.
func isBlobRead(req *http.Request) bool {
	return (req.Method == http.MethodGet || req.Method == http.MethodHead) && strings.Contains(req.URL.Path, "/blobs/sha256:")
}

// isLocal reports whether a URL names the network segment that this machine is on, where
// whatever answers trusts those who are near, or the machine itself and who sends there is
// not on it. It judges by the name: no DNS.
func isLocal(u, from *url.URL) bool {
	if isThisMachine(u) {
		return !isThisMachine(from)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && (addr.Unmap().IsLinkLocalUnicast() || addr.Unmap().IsUnspecified())
}

// isThisMachine reports whether a URL names this machine, in whatever case, with the dot
// that ends a full name, or as one of the names below localhost (RFC 6761, 6.3).
func isThisMachine(u *url.URL) bool {
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	return isLoopback(u.Host) || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// isPlainName reports whether a host that others named is what it looks like: a name in
// ASCII, as a URL on the wire has it (RFC 3986, 3.2.2), or an address in its usual form.
// net/http maps other letters, such as wide digits, to ASCII only when it connects, and
// resolvers of systems read numbers such as 127.1 or 0x7f000001 as addresses.
func isPlainName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		return false
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	last, hex := strings.CutPrefix(name[strings.LastIndexByte(name, '.')+1:], "0x")
	digits := "0123456789"
	if hex {
		digits += "abcdef"
	}
	return strings.Trim(last, digits) != "" // no top-level domain is a number (RFC 3696, 2)
}

// errSwitched: a connection that is no longer HTTP can be read for ever.
var errSwitched = errors.New("answered 101 Switching Protocols, which nobody asked for")
