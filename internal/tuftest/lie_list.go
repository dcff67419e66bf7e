package tuftest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// ListLie is one way in which a registry deviates from what refers to an image. It takes
// no key: such lists are signed by nobody.
type ListLie struct {
	// Name is in kebab case, and says what is done.
	Name string
	// answer answers for a list, from the referrers API or its tag.
	answer handler
}

// Tell makes a registry lie; Intercept(nil) makes it honest again.
func (l ListLie) Tell(g *Registry) {
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/referrers/") || strings.Contains(r.URL.Path, "/manifests/sha256-") {
			l.answer(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Lists are lists of referrers that do not end, or lead nowhere. entryType is the artifact
// type of what they list.
func Lists(entryType string) []ListLie {
	// paged answers page n with a list, and a link to another page.
	paged := func(name string, list func(n int) []byte, to func(n int) string) ListLie {
		return ListLie{"referrers-" + name, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			n, _ := strconv.Atoi(r.URL.Query().Get("n"))
			w.Header().Set("Content-Type", indexType)
			w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, to(n)))
			_, _ = w.Write(list(n))
		}}
	}
	empty := func(int) []byte { return referrersList() }
	after := func(n int) string { return "?n=" + strconv.Itoa(n+1) }
	return []ListLie{
		paged("on-pages-without-end", empty, after),
		paged("on-a-page-that-is-its-own-next", empty, func(int) string { return "?n=0" }),
		paged("on-pages-in-a-circle", empty, func(n int) string { return after((n + 1) % 2) }),
		paged("on-pages-of-the-largest-size", func(int) []byte {
			return append(referrersList(), strings.Repeat(" ", largestManifest-len(referrersList()))...)
		}, after),
		paged("on-pages-of-what-is-not-there", func(n int) []byte {
			var entries []map[string]any
			for i := range 100 {
				entries = append(entries, map[string]any{
					"mediaType": manifestType, "artifactType": entryType, "digest": Digest(fmt.Append(nil, n, i)), "size": 100,
				})
			}
			return referrersList(entries...)
		}, after),
		paged("on-a-page-at-another-host", empty, func(int) string { return "http://elsewhere.invalid/" }),
		{"referrers-with-pages-without-end-behind-them", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			body := a.Body.Bytes()
			if r.URL.Query().Has("n") {
				body = referrersList()
			}
			a.Header().Set("Link", `<?n=`+strconv.Itoa(len(r.URL.RawQuery))+`>; rel="next"`)
			passOn(w, a, body)
		}},
		{"referrers-in-a-list-without-end", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { endlessList(w) }},
		{"referrers-in-a-tag-without-end", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			if strings.Contains(r.URL.Path, "/referrers/") {
				http.NotFound(w, r)
				return
			}
			endlessList(w)
		}},
		{"referrers-in-a-list-that-stops", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", indexType)
			trickle(w, r, []byte("{"))
		}},
	}
}

// referrersList is an index of referrers.
func referrersList(entries ...map[string]any) []byte {
	if entries == nil {
		entries = []map[string]any{}
	}
	list, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": entries})
	return list
}

func endlessList(w http.ResponseWriter) {
	w.Header().Set("Content-Type", indexType)
	_, err := w.Write([]byte(`{"schemaVersion":2,"mediaType":"` + indexType + `","manifests":[{}`))
	for part := []byte(strings.Repeat(",{}", 8<<10)); err == nil; {
		_, err = w.Write(part)
	}
}
