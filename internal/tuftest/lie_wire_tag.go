package tuftest

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// tagLies are told about what a tag points to.
func tagLies() []Lie {
	return []Lie{
		{Name: "tag-that-moves-at-every-request", Kinds: []Kind{InRegistry}, Tell: tellMovingTag},
		{Name: "tag-that-moves-and-loses-its-blobs", Kinds: []Kind{InRegistry}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			tellTags(t, p, repo, func(w http.ResponseWriter, r *http.Request, next http.Handler) { http.NotFound(w, r) })
		}},
		wireLie("head-and-get-that-disagree", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method != http.MethodHead || !isManifest(r) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", manifestType)
			w.Header().Set("Docker-Content-Digest", Digest([]byte("x")))
			w.Header().Set("Content-Length", "1")
		}).inRegistry(),
	}
}

func tellMovingTag(t testing.TB, p *Place, repo *Repo) {
	t.Helper()
	tellTags(t, p, repo, func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) })
}

// tellTags moves the tag to another bundle of the same files at every request, and lets
// blob answer for blobs.
func tellTags(t testing.TB, p *Place, repo *Repo, blob handler) {
	t.Helper()
	p.Put(repo.Files(), PackOptions{NoInline: true})
	var asked atomic.Int64
	p.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case isBlob(r):
			blob(w, r, next)
		case isManifest(r) && strings.HasSuffix(r.URL.Path, "/"+placeTag):
			n := asked.Add(1)
			b := Pack(t, repo.Files(), PackOptions{NoInline: true, Annotations: map[string]string{"n": strconv.FormatInt(n, 10)}})
			w.Header().Set("Content-Type", manifestType)
			w.Header().Set("Docker-Content-Digest", b.Digest)
			_, _ = w.Write(b.Manifest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
