package tuftest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// redirectLies send clients on.
func redirectLies() []Lie {
	to := func(name, location string) Lie {
		return wireLie("redirect-"+name, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
	}
	return []Lie{
		wireLie("redirect-to-itself", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		}),
		wireLie("redirects-1000", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			n := 0
			_, _ = fmt.Sscan(r.URL.Query().Get("n"), &n)
			if n < 1000 {
				http.Redirect(w, r, fmt.Sprintf("%s?n=%d", r.URL.Path, n+1), http.StatusFound)
				return
			}
			next.ServeHTTP(w, r)
		}),
		{Name: "redirect-to-another-host", Kinds: NetworkKinds, Tell: func(t testing.TB, p *Place, _ *Repo) {
			t.Helper()
			tellElsewhere(t, p, false, func(*http.Request) bool { return true })
		}},
		{Name: "blob-redirect-to-another-host", Kinds: []Kind{InRegistry}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			p.Put(repo.Files(), PackOptions{NoInline: true})
			tellElsewhere(t, p, false, isBlob)
		}},
		to("to-nowhere", "http://127.0.0.1:1/"), to("to-a-file", "file:///etc/passwd"), to("to-ftp", "ftp://127.0.0.1/x"),
		to("to-a-script", "javascript:alert(1)"), to("to-data", "data:application/json,{}"),
		to("to-a-link-local-address", "http://169.254.169.254/latest/meta-data/"), to("to-the-unspecified-address", "http://0.0.0.0:1/"),
		to("to-a-private-name-without-a-scheme", "//elsewhere.invalid/x"),
		to("with-credentials", "http://user:password@127.0.0.1:1/"), to("to-garbage", "http://[::1/%zz"), to("without-a-location", ""),
		to("to-100-kilobytes", "/"+strings.Repeat("x", 100<<10)),
	}
}

// tellElsewhere sends clients to another server, which has what was asked for: over TLS if
// the place is, or in the clear.
func tellElsewhere(t testing.TB, p *Place, clear bool, which func(r *http.Request) bool) {
	t.Helper()
	type ask struct{ path, query string }
	direct := make(chan http.Handler, 1)
	elsewhere := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := <-direct
		direct <- next
		next.ServeHTTP(w, r)
	}))
	if p.server.TLS != nil && !clear {
		elsewhere.StartTLS()
	} else {
		elsewhere.Start()
	}
	t.Cleanup(elsewhere.Close)
	p.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !which(r) {
			next.ServeHTTP(w, r)
			return
		}
		select {
		case direct <- next:
		default:
		}
		at := ask{r.URL.Path, r.URL.RawQuery}
		http.Redirect(w, r, elsewhere.URL+at.path+"?"+at.query, http.StatusTemporaryRedirect)
	})
}

// ownRealm gives tokens where the request was sent.
func ownRealm(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host + tokenPath
	}
	return "http://" + r.Host + tokenPath
}

// tokenLies are told about who gives tokens, and by who does.
func tokenLies() []Lie {
	challenge := func(name string, headers ...string) Lie {
		return wireLie("challenge-"+name, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header()["Www-Authenticate"] = headers
			w.WriteHeader(http.StatusUnauthorized)
		}).inRegistry()
	}
	realm := func(name, url string) Lie {
		return challenge("of-a-realm-"+name, fmt.Sprintf(`Bearer realm="%s",service="s"`, url))
	}
	token := func(name string, answer http.HandlerFunc) Lie {
		return wireLie("token-"+name, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			if r.URL.Path == tokenPath {
				answer(w, r)
				return
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s",service="s"`, ownRealm(r)))
			w.WriteHeader(http.StatusUnauthorized)
		}).inRegistry()
	}
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	return []Lie{
		wireLie("status-401-without-a-challenge", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusUnauthorized) }),
		challenge("basic-without-end", `Basic realm="x"`), challenge("unknown", "Negotiate"), challenge("garbage", "Bearer ====,,\""),
		challenge("twice", `Bearer realm="http://elsewhere.invalid/token"`, `Basic realm="x"`),
		challenge("two-in-one", `Basic realm="x", Bearer realm="http://elsewhere.invalid/token"`),
		realm("at-another-host", "http://elsewhere.invalid/token"), realm("missing", ""), realm("that-is-garbage", "http://[::1"),
		realm("that-is-a-file", "file:///etc/passwd"), realm("that-is-a-socket", "unix:///var/run/docker.sock"), realm("at-a-link-local-address", "http://169.254.169.254/"),
		realm("with-credentials", "http://user:password@127.0.0.1:1/token"), realm("of-100-kilobytes", "http://elsewhere.invalid/"+strings.Repeat("x", 100<<10)),
		realm("that-is-a-path", "/token"),
		token("refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }),
		token("that-needs-a-token", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s"`, ownRealm(r)))
			w.WriteHeader(http.StatusUnauthorized)
		}),
		token("that-never-helps", say(`{"token":"t"}`)), token("empty", say(`{"token":""}`)), token("garbage", say("<html>")), token("missing", say("")),
		token("with-a-line-break", say(`{"token":"a\r\nX-Injected: 1"}`)), token("of-100-kilobytes", say(`{"token":"`+strings.Repeat("x", 100<<10)+`"}`)),
		token("without-end", func(w http.ResponseWriter, r *http.Request) {
			_, err := io.WriteString(w, `{"token":"`)
			for part := strings.Repeat("x", 32<<10); err == nil && r.Context().Err() == nil; {
				_, err = io.WriteString(w, part)
			}
		}),
		token("redirected-to-itself", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, tokenPath, http.StatusFound) }),
		token("redirected-to-another-host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid/token", http.StatusFound)
		}),
	}
}
