package tuftest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// Wires are the lies that are told in answers to requests. They take no key.
func Wires() []Lie {
	return slices.Concat(statusLies(), headerLies(), bodyLies(), encodingLies(), connectionLies(), redirectLies(), tokenLies(), tagLies())
}

// handler answers a request in the place of next.
type handler = func(w http.ResponseWriter, r *http.Request, next http.Handler)

// wireLie answers every request in one way.
func wireLie(name string, answer handler) Lie {
	return Lie{Name: name, Kinds: NetworkKinds, Tell: func(t testing.TB, p *Place, _ *Repo) {
		t.Helper()
		p.Intercept(answer)
	}}
}

// inRegistry is a lie that only registries can tell.
func (l Lie) inRegistry() Lie {
	l.Kinds = []Kind{InRegistry}
	return l
}

// inHTTP1 is a lie that takes a connection of HTTP/1.1.
func (l Lie) inHTTP1() Lie {
	l.HTTP1 = true
	return l
}

// answered is what next answers.
func answered(next http.Handler, r *http.Request) *httptest.ResponseRecorder {
	recorded := httptest.NewRecorder()
	next.ServeHTTP(recorded, r)
	return recorded
}

// passOn sends what was answered, with a header and body that may have been changed.
func passOn(w http.ResponseWriter, a *httptest.ResponseRecorder, body []byte) {
	for name, values := range a.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(a.Code)
	_, _ = w.Write(body)
}

// holdTime is how long a connection is held at most: the client is expected to hang up
// long before.
const holdTime = 20 * time.Second

// rawLie writes to the connection what write does, whatever was asked.
func rawLie(name string, write func(c net.Conn)) Lie {
	return wireLie(name, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { raw(w, write) }).inHTTP1()
}

func raw(w http.ResponseWriter, write func(c net.Conn)) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(holdTime))
	write(c)
}

// send writes text and hangs up.
func send(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// sendAndHold writes text and then says nothing until the client hangs up.
func sendAndHold(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c)
	}
}

// sendForEver writes head and then a part again and again, until the client hangs up.
// With a pause between the parts it drips.
func sendForEver(head, part string, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = io.Copy(io.Discard, c)
		}()
		_, err := io.WriteString(c, head)
		for err == nil {
			select {
			case <-gone:
				return
			case <-time.After(pause):
			}
			_, err = io.WriteString(c, part)
		}
	}
}

const okHead = "HTTP/1.1 200 OK\r\nContent-Type: " + manifestType + "\r\n"

// isManifest reports whether a manifest is asked for; isBlob, a blob.
func isManifest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }
func isBlob(r *http.Request) bool     { return strings.Contains(r.URL.Path, "/blobs/") }
