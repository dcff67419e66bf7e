package ociremote

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// maxWarnings bounds the memory for texts that were passed on already.
const maxWarnings = 100

// identity adds what tells a registry who asks: the user agent, and the custom
// headers and the client's certificate where they belong. It passes on what the
// registry has to say.
type identity struct {
	// base makes the requests, own those to the origin that they are meant for: that
	// of their registry, or that of the web server that was named.
	base, own http.RoundTripper
	plainHTTP bool
	userAgent string
	headers   http.Header
	warn      func(string)
}

// RoundTrip implements http.RoundTripper.
func (i *identity) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkFirst(req, i.plainHTTP); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	origin := meantFor(req.Context())
	own := origin == originOf(req.URL)
	sent := req.Clone(req.Context())
	sent.Header.Set("User-Agent", cmp.Or(i.userAgent, "tufoci"))
	// Where a client comes from may be an address that is a secret.
	sent.Header.Del("Referer")
	base := i.base
	if originOf(req.URL) == cmp.Or(origin, originOf(first(req).URL)) {
		base = i.own
	}
	if own {
		// Here and not in the headers of the request, which net/http copies into
		// the requests that follow its redirects.
		maps.Copy(sent.Header, i.headers)
	}
	resp, err := base.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	resp.Request = req
	if own {
		for _, warning := range resp.Header.Values("Warning") {
			i.warn(warning)
		}
	} else if origin != "" {
		// Who is sent credentials is for the registry to say, and not for storage that
		// it sends to, be it the same host.
		resp.Header.Del("Www-Authenticate")
	}
	return resp, nil
}

// CloseIdleConnections reaches the transports.
func (i *identity) CloseIdleConnections() {
	closeIdle(i.base)
	closeIdle(i.own)
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
