package ociremote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// MaxRedirects is how often one request is sent on: registries redirect once or
// twice, to their storage.
const MaxRedirects = 10

// maxWarnings bounds the memory for texts that were passed on already.
const maxWarnings = 100

// identity adds what tells a registry who asks: the user agent, and the custom
// headers where they belong. It passes on what the registry has to say.
type identity struct {
	base      http.RoundTripper
	userAgent string
	headers   http.Header
	warn      func(string)
}

// RoundTrip implements http.RoundTripper.
func (i *identity) RoundTrip(req *http.Request) (*http.Response, error) {
	origin, _ := req.Context().Value(originKey{}).(string)
	own := origin != "" && origin == originOf(req.URL)
	sent := req.Clone(req.Context())
	sent.Header.Set("User-Agent", cmp.Or(i.userAgent, "tufoci"))
	if own {
		// Here and not in the headers of the request, which net/http copies into
		// the requests that follow its redirects.
		maps.Copy(sent.Header, i.headers)
	}
	resp, err := i.base.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	resp.Request = req
	if own {
		for _, warning := range resp.Header.Values("Warning") {
			i.warn(warning)
		}
	}
	return resp, nil
}

// CloseIdleConnections reaches the transport.
func (i *identity) CloseIdleConnections() { closeIdle(i.base) }

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

// originOf is the origin of a URL: scheme, host and port.
func originOf(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

type redirectsKey struct{}

// WithRedirects returns a context under which a request of a [Client] follows at most
// so many redirects, and never more than MaxRedirects.
func WithRedirects(ctx context.Context, most int) context.Context {
	return context.WithValue(ctx, redirectsKey{}, min(most, MaxRedirects))
}

// checkRedirect refuses to go from https to http, and to go on for ever.
func checkRedirect(req *http.Request, via []*http.Request) error {
	most, ok := req.Context().Value(redirectsKey{}).(int)
	if !ok {
		most = MaxRedirects
	}
	if len(via) > most {
		return fmt.Errorf("%w: %w", ErrRedirect, &LimitError{Title: "one request", Size: int64(len(via)), Max: int64(most), Unit: "redirects", Limit: "redirects"})
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("%w: from https to http", ErrRedirect)
	}
	return nil
}

var (
	// headerName is a token of RFC 9110, 5.6.2.
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	// warning is a Warning header as registries send it (OCI distribution
	// specification 1.1, "Warnings").
	warning = regexp.MustCompile(`^299 - "((?:[^"\\]|\\.)*)"$`)
)

// parseHeaders reads "Name: value" entries.
func parseHeaders(entries []string) (http.Header, error) {
	headers := http.Header{}
	for _, entry := range entries {
		name, value, ok := strings.Cut(entry, ":")
		value = strings.TrimSpace(value)
		// The entry may hold a secret: it is not printed.
		if !ok || !headerName.MatchString(name) || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, errors.New(`invalid header: want "Name: value"`)
		}
		if strings.EqualFold(name, "Authorization") {
			return nil, errors.New("an Authorization header: give the credentials as such")
		}
		headers.Add(name, value)
	}
	return headers, nil
}

// warnOnce passes the text of each warning on once. It is safe for concurrent
// use.
func warnOnce(warn func(string)) func(string) {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(header string) {
		m := warning.FindStringSubmatch(header)
		if m == nil || warn == nil {
			return
		}
		text := cleanText(m[1])
		mu.Lock()
		known := seen[text] || len(seen) >= maxWarnings
		seen[text] = true
		mu.Unlock()
		if !known {
			warn("registry: " + text)
		}
	}
}

// cleanText makes foreign text fit for a terminal and for one line.
func cleanText(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return shorten(strings.TrimSpace(s))
}
