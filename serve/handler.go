package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/trust"
)

// VerifiedHeader is the header that says of an answer that nobody has vouched for
// its bytes: "false". It says nothing else: whoever sends it cannot vouch for itself.
const VerifiedHeader = "Tufoci-Verified"

// After how many seconds it makes sense to ask again.
const (
	retrySoon  = "1"
	retryLater = "60"
)

// ServeHTTP answers GET and HEAD of
//
//	/metadata/NAME.json and /NAME.json   metadata
//	/targets/PATH                        target files
//	/healthz                             200 while there is something to serve
//
// with 404 for what the repository does not have, 502 for a target file that the
// source does not give as it is signed, and 503 for what has expired, for a
// delegated role that could not be verified, and for too many requests.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	if !h.verified {
		head.Set(VerifiedHeader, "false")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "this is read-only")
		return
	}
	if r.ContentLength != 0 {
		head.Set("Connection", "close") // what follows is not read
		refuse(w, http.StatusRequestEntityTooLarge, "no body is read")
		return
	}
	if r.URL.Path == "/healthz" {
		h.health(w)
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		refuseFor(w, retrySoon, "too many requests at once")
		return
	}
	h.serve(w, r)
}

// health does not wait for a place among the requests: who is busy is not ill.
func (h *Handler) health(w http.ResponseWriter) {
	if err := h.Usable(); err != nil {
		refuseFor(w, retryLater, reason(err))
		return
	}
	w.Header().Set("Cache-Control", storeNot)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	title, err := titleOf(r.URL)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := h.Usable(); err != nil {
		refuseFor(w, retryLater, reason(err)+"; nothing newer could be verified")
		return
	}
	f := h.contents.find(title)
	if title == "" || f == nil {
		refuse(w, http.StatusNotFound, "no such file")
		return
	}
	if err := f.unavailable(h.now()); err != nil {
		refuseFor(w, retryLater, reason(err))
		return
	}
	h.send(w, r, f)
}

// send answers with a file. What a client has already, or does not want to see, is
// not read from the source: its digest and length are signed.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, f *file) {
	data := f.data
	switch {
	case data != nil:
	case f.digest != "" && noneMatch(r, etag(f.digest)):
		describe(w, f, f.digest)
		w.WriteHeader(http.StatusNotModified)
		return
	case f.digest != "" && r.Method == http.MethodHead:
		describe(w, f, f.digest)
		w.Header().Set("Content-Length", strconv.FormatInt(f.size, 10))
		return
	default:
		var release func()
		var err error
		data, release, err = h.memory.get(r.Context(), f)
		if err != nil {
			h.fail(w, r, f, err)
			return
		}
		defer release()
	}
	sum := f.digest
	if sum == "" {
		sum = fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	}
	describe(w, f, sum)
	allow(w, int64(len(data)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// fail answers for a file that could not be read. Details are for who runs this.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, f *file, err error) {
	switch {
	case r.Context().Err() != nil:
		// Nobody listens any more.
		refuseFor(w, retrySoon, "interrupted")
	case errors.Is(err, errNoRoom):
		refuseFor(w, retrySoon, errNoRoom.Error())
	case absent(err):
		refuse(w, http.StatusNotFound, "no such file")
	case errors.Is(err, context.Canceled):
		refuseFor(w, retrySoon, "the server is stopping")
	default:
		h.warn(fmt.Sprintf("%s: %v", f.title, err))
		refuse(w, http.StatusBadGateway, "the source does not give this file as it is signed")
	}
}

// absent reports whether a source without a list answered that it has no such file.
// A verified file that a source lacks is another matter: it is signed.
func absent(err error) bool {
	return !errors.Is(err, trust.ErrStaleCopy) && (errors.Is(err, fetcher.ErrFileNotFound) || errors.Is(err, fetcher.ErrInvalidName))
}

// describe sets the headers of a file.
func describe(w http.ResponseWriter, f *file, digest string) {
	head := w.Header()
	head.Set("ETag", etag(digest))
	head.Set("Cache-Control", f.cache)
	kind := "application/octet-stream"
	if strings.HasPrefix(f.title, metadataFolder) {
		kind = "application/json"
	}
	head.Set("Content-Type", kind)
	if f.unverified {
		head.Set(VerifiedHeader, "false")
	}
}

// etag is a strong one: the digest of the bytes.
func etag(digest string) string { return `"` + digest + `"` }

// noneMatch reports whether If-None-Match names the file (RFC 9110, section 13.1.2).
func noneMatch(r *http.Request, tag string) bool {
	value := r.Header.Get("If-None-Match")
	if value == "*" {
		return true
	}
	return slices.ContainsFunc(strings.Split(value, ","), func(one string) bool {
		return strings.TrimPrefix(strings.TrimSpace(one), "W/") == tag
	})
}

// allow gives a client time for so many bytes at the least rate that it may have.
func allow(w http.ResponseWriter, size int64) {
	limit := writeTime + time.Duration(size/minRate)*time.Second
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)) // as far as there is a connection
}

// refuse answers with a status and a line of text.
func refuse(w http.ResponseWriter, status int, text string) {
	head := w.Header()
	head.Set("Cache-Control", storeNot)
	head.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func refuseFor(w http.ResponseWriter, seconds, text string) {
	w.Header().Set("Retry-After", seconds)
	refuse(w, http.StatusServiceUnavailable, text)
}

// reason states the facts of a refused verification, without where the bytes came
// from: clients need not know the source.
func reason(err error) string {
	e, ok := errors.AsType[*trust.VerificationError](err)
	if !ok {
		return "this role cannot be read now"
	}
	public := &trust.VerificationError{Kind: e.Kind, Version: e.Version, Want: e.Want, Expires: e.Expires}
	if e.Role != "" {
		public.Role = strconv.Quote(e.Role)
	}
	return public.Error()
}
