package tuftest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// statusLies are answers of a status that says something else than the content.
func statusLies() []Lie {
	withBody := func(status int, header ...string) handler {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			a.Code = status
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			passOn(w, a, a.Body.Bytes())
		}
	}
	var lies []Lie
	for _, status := range []int{201, 202, 203, 206, 226, 299, 300, 306, 400, 402, 403, 406, 407, 408, 410, 418, 421, 429, 431, 451, 499, 500, 501, 502, 503, 504, 511, 599, 999} {
		lies = append(lies, wireLie(fmt.Sprint("status-", status, "-with-the-content"), withBody(status)))
	}
	for _, status := range []int{204, 205, 304} {
		lies = append(lies, wireLie(fmt.Sprint("status-", status, "-unasked"), func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(status)
		}))
	}
	return append(lies,
		wireLie("status-404-for-everything", func(w http.ResponseWriter, r *http.Request, _ http.Handler) { http.NotFound(w, r) }),
		wireLie("status-304-with-another-etag", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("ETag", `"another"`)
			w.WriteHeader(http.StatusNotModified)
		}),
		wireLie("status-200-without-a-body", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			a.Code = http.StatusOK
			passOn(w, a, nil)
		}),
		wireLie("status-206-of-a-range-nobody-asked-for", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			a.Code = http.StatusPartialContent
			w.Header().Set("Content-Range", "bytes 0-9/10")
			passOn(w, a, a.Body.Bytes())
		}),
		wireLie("retry-after-years", withBody(http.StatusServiceUnavailable, "Retry-After", "999999999")),
		wireLie("retry-after-a-negative-time", withBody(http.StatusTooManyRequests, "Retry-After", "-5")),
		wireLie("retry-after-more-than-a-number-holds", withBody(http.StatusTooManyRequests, "Retry-After", strings.Repeat("9", 1000))),
		wireLie("retry-after-a-date-far-off", withBody(http.StatusServiceUnavailable, "Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")),
		wireLie("retry-after-a-date-that-is-past", withBody(http.StatusServiceUnavailable, "Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT")),
		wireLie("retry-after-garbage", withBody(http.StatusServiceUnavailable, "Retry-After", "\u009b soon")),
	)
}

// headerLies are headers around the content as it is.
func headerLies() []Lie {
	with := func(name string, set func(h http.Header)) Lie {
		return wireLie(name, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			set(a.Header())
			passOn(w, a, a.Body.Bytes())
		})
	}
	replaced := func(name, header, value string) Lie {
		return with(name, func(h http.Header) { h.Set(header, value) })
	}
	return []Lie{
		replaced("content-type-of-a-page", "Content-Type", "text/html; charset=utf-8"),
		replaced("content-type-of-an-index", "Content-Type", indexType),
		replaced("content-type-of-json", "Content-Type", "application/json"),
		replaced("content-type-garbage", "Content-Type", ";;;=\x09"),
		replaced("content-type-of-100-kilobytes", "Content-Type", manifestType+"; x="+strings.Repeat("y", 100<<10)),
		with("content-type-missing", func(h http.Header) { h["Content-Type"] = nil }),
		replaced("digest-header-of-something-else", "Docker-Content-Digest", Digest([]byte("x"))).inRegistry(),
		replaced("digest-header-of-sha512", "Docker-Content-Digest", "sha512:"+strings.Repeat("a", 128)).inRegistry(),
		replaced("digest-header-garbage", "Docker-Content-Digest", "../../x").inRegistry(),
		with("digest-header-missing", func(h http.Header) { h.Del("Docker-Content-Digest") }).inRegistry(),
		replaced("etag-of-100-kilobytes", "ETag", `"`+strings.Repeat("x", 100<<10)+`"`),
		replaced("etag-of-something-else", "ETag", `"`+Digest([]byte("x"))+`"`),
		replaced("header-of-one-mebibyte", "X-Padding", strings.Repeat("x", 1<<20)),
		with("headers-10000", func(h http.Header) {
			for i := range 10_000 {
				h.Set(fmt.Sprint("X-", i), "0123456789012345678901234567890123456789")
			}
		}),
		with("cookies", func(h http.Header) {
			h["Set-Cookie"] = []string{"session=1; Path=/", "other=2; Max-Age=999999999"}
		}),
		with("warning-with-terminal-escapes", func(h http.Header) {
			h["Warning"] = []string{`299 - "` + "\u009b2J\u202e" + `all is well"`, `299 - "a \"quoted\" word"`, `110 - "stale"`, "299 -", `299 - "` + strings.Repeat("x", 10_000) + `"`}
		}),
		with("warnings-1000", func(h http.Header) {
			for i := range 1000 {
				h.Add("Warning", fmt.Sprintf(`299 - "number %d"`, i))
			}
		}),
		replaced("link-to-another-host", "Link", `<http://elsewhere.invalid/>; rel="next"`),
		replaced("refresh-to-another-host", "Refresh", "0; url=http://elsewhere.invalid/"),
		replaced("alternative-service-at-another-host", "Alt-Svc", `h2="elsewhere.invalid:443"; ma=999999`),
		replaced("content-location-at-another-host", "Content-Location", "http://elsewhere.invalid/"),
		replaced("date-of-the-year-1", "Date", "Mon, 01 Jan 0001 00:00:00 GMT"),
		replaced("upgrade-offered", "Upgrade", "h2c, websocket"),
	}
}

// bodyLies are bodies that are not what was published.
func bodyLies() []Lie {
	changed := func(name string, change func(body []byte) []byte) Lie {
		return wireLie(name, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			body := a.Body.Bytes()
			if a.Code == http.StatusOK {
				body = change(body)
			}
			passOn(w, a, body)
		})
	}
	return []Lie{
		changed("body-one-byte-short", func(b []byte) []byte { return b[:max(len(b)-1, 0)] }),
		changed("body-one-byte-long", func(b []byte) []byte { return append(b, '}') }),
		changed("body-with-one-bit-changed", func(b []byte) []byte {
			if len(b) > 0 {
				b[len(b)/2] ^= 1
			}
			return b
		}),
		changed("body-of-a-page", func([]byte) []byte { return []byte("<html>sign in</html>") }),
		wireLie("body-of-a-page-for-every-path", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>sign in</html>"))
		}),
		wireLie("body-without-an-end", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", manifestType)
			part := make([]byte, 64<<10)
			for r.Context().Err() == nil {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		}),
		rawLie("body-of-one-byte-at-a-time", sendForEver(okHead+"Content-Length: 9000\r\n\r\n", "{", 20*time.Millisecond)),
		rawLie("head-of-one-byte-at-a-time", sendForEver("HTTP/1.1 200 OK\r\nX-Slow: ", "x", 20*time.Millisecond)),
		rawLie("body-that-stops", sendAndHold(okHead+"Content-Length: 9000\r\n\r\n{")),
	}
}
