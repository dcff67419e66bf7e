package tuftest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TLSWires are the lies that only a place over TLS can tell: in frames of HTTP/2, and
// about leaving TLS. They take no key. Those of [Wires] that take no HTTP/1.1 can be told
// there too.
func TLSWires() []Lie {
	return slices.Concat(headFrames(), bodyFrames(), streamFrames(), connectionFrames(), clearLies())
}

// clearLies send clients on without TLS.
func clearLies() []Lie {
	return []Lie{
		wireLie("redirect-to-itself-in-the-clear", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "http://"+r.Host+r.URL.String(), http.StatusFound)
		}),
		{Name: "redirect-to-another-host-in-the-clear", Kinds: NetworkKinds, Tell: func(t testing.TB, p *Place, _ *Repo) {
			t.Helper()
			tellElsewhere(t, p, true, func(*http.Request) bool { return true })
		}},
		{Name: "blob-redirect-to-another-host-in-the-clear", Kinds: []Kind{InRegistry}, Tell: func(t testing.TB, p *Place, repo *Repo) {
			t.Helper()
			p.Put(repo.Files(), PackOptions{NoInline: true})
			tellElsewhere(t, p, true, isBlob)
		}},
		wireLie("challenge-of-its-own-realm-in-the-clear", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s%s"`, r.Host, tokenPath))
			w.WriteHeader(http.StatusUnauthorized)
		}).inRegistry(),
		wireLie("token-redirected-in-the-clear", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			if r.URL.Path == tokenPath {
				http.Redirect(w, r, "http://"+r.Host+tokenPath, http.StatusTemporaryRedirect)
				return
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s"`, ownRealm(r)))
			w.WriteHeader(http.StatusUnauthorized)
		}).inRegistry(),
	}
}

// frameLie lets a connection be spoken on after its handshake.
func frameLie(name string, speak func(c *tls.Conn)) Lie {
	return Lie{Name: "h2-" + name, Kinds: NetworkKinds, Tell: func(t testing.TB, p *Place, _ *Repo) {
		t.Helper()
		p.TakeOver(speak)
	}}
}

// eachRequest says the same to every request, and nothing else.
func eachRequest(name string, say func(f *framer, stream uint32)) Lie {
	return frameLie(name, func(c *tls.Conn) {
		f := newFramer(c)
		for stream := range f.requests {
			go say(f, stream)
		}
	})
}

// okFields are the header of an answer.
func okFields(more ...string) string {
	return status200 + field("content-type", manifestType) + strings.Join(more, "")
}

// answerHead is a header that a body follows.
func answerHead(stream uint32, more ...string) []byte {
	return frame(headersFrame, endHeaders, stream, okFields(more...))
}

// headFrames are told in the header of an answer, or in its trailer.
func headFrames() []Lie {
	whole := func(name string, fields string) Lie {
		return eachRequest(name, func(f *framer, stream uint32) {
			_, _ = f.Write(frame(headersFrame, endHeaders|endStream, stream, fields))
		})
	}
	endless := func(name, first string, more []byte) Lie {
		return eachRequest(name, func(f *framer, stream uint32) {
			_, _ = f.Write(frame(headersFrame, 0, stream, first))
			f.repeat(forStream(more, stream))
		})
	}
	fields := strings.Repeat(field("x-more", "0123456789"), 500)
	return []Lie{
		endless("headers-without-end", okFields(), frame(continuationFrame, 0, 0, fields)),
		endless("headers-without-end-after-a-wrong-one", okFields(field("X-UPPER", "x")), frame(continuationFrame, 0, 0, fields)),
		endless("continuations-that-are-empty", okFields(), frames(100, frame(continuationFrame, 0, 0, ""))),
		whole("headers-that-unpack-to-40-megabytes", okFields(remembered("x-a", strings.Repeat("x", 4000)), strings.Repeat("\xbe", 10_000))),
		whole("header-that-is-no-hpack", "\xff\xff\xff\xff\xff\xff\xff"),
		whole("header-without-a-status", field("x-a", "b")),
		whole("status-that-is-no-number", field(":status", "many")),
		whole("status-negative", field(":status", "-20")),
		whole("status-101", field(":status", "101")),
		whole("status-twice", status200+status200),
		whole("header-of-a-request", field(":method", "GET")+field(":path", "/")),
		whole("header-with-control-characters", okFields(field("x-a", "a\x1b[2Jb\x00"))),
		whole("header-of-one-connection", okFields(field("transfer-encoding", "chunked"), field("connection", "upgrade"))),
		whole("length-without-a-body", okFields(field("content-length", "9000"))),
		eachRequest("informational-answers-without-end", func(f *framer, stream uint32) {
			f.repeat(frames(50, frame(headersFrame, endHeaders, stream, field(":status", "103")+field("link", "<https://elsewhere.invalid/>"))))
		}),
		eachRequest("header-twice", func(f *framer, stream uint32) {
			_, _ = f.Write(append(answerHead(stream), answerHead(stream)...))
		}),
		eachRequest("trailer-without-end", func(f *framer, stream uint32) {
			_, _ = f.Write(append(answerHead(stream), frame(headersFrame, endStream, stream, fields)...))
			f.repeat(frame(continuationFrame, 0, stream, fields))
		}),
		eachRequest("trailer-with-a-status", func(f *framer, stream uint32) {
			_, _ = f.Write(append(answerHead(stream), frame(headersFrame, endStream|endHeaders, stream, status200)...))
		}),
	}
}

// forStream is a run of frames, all of another stream than they were.
func forStream(run []byte, stream uint32) []byte {
	run = append([]byte(nil), run...)
	for at := 0; at < len(run); at += 9 + int(run[at])<<16 + int(run[at+1])<<8 + int(run[at+2]) {
		copy(run[at+5:], number32(stream))
	}
	return run
}

// bodyFrames are told in the body of an answer.
func bodyFrames() []Lie {
	after := func(name string, head string, say func(f *framer, stream uint32)) Lie {
		return eachRequest("body-"+name, func(f *framer, stream uint32) {
			_, _ = f.Write(answerHead(stream, head))
			say(f, stream)
		})
	}
	length := func(n string) string { return field("content-length", n) }
	return []Lie{
		after("that-stops", length("9000"), func(f *framer, stream uint32) { _, _ = f.Write(frame(dataFrame, 0, stream, "{")) }),
		after("that-does-not-begin", "", func(*framer, uint32) {}),
		after("of-one-byte-at-a-time", length("9000"), func(f *framer, stream uint32) {
			for {
				if _, err := f.Write(frame(dataFrame, 0, stream, "{")); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}),
		after("of-empty-frames", length("9000"), func(f *framer, stream uint32) { f.repeat(frames(100, frame(dataFrame, 0, stream, ""))) }),
		after("of-padding", length("9000"), func(f *framer, stream uint32) {
			f.repeat(frames(100, frame(dataFrame, padded, stream, "\xff"+strings.Repeat("\x00", 0xff))))
		}),
		after("without-regard-to-windows", "", func(f *framer, stream uint32) { f.repeat(frame(dataFrame, 0, stream, strings.Repeat(" ", 16<<10))) }),
		after("longer-than-announced", length("2"), func(f *framer, stream uint32) { _, _ = f.Write(frame(dataFrame, endStream, stream, "{}}")) }),
		after("shorter-than-announced", length("3"), func(f *framer, stream uint32) { _, _ = f.Write(frame(dataFrame, endStream, stream, "{}")) }),
		after("of-an-exabyte", length("1000000000000000000"), func(f *framer, stream uint32) { _, _ = f.Write(frame(dataFrame, 0, stream, "{}")) }),
		after("that-is-reset", length("9000"), func(f *framer, stream uint32) {
			_, _ = f.Write(append(frame(dataFrame, 0, stream, "{"), frame(resetFrame, 0, stream, number32(2))...))
		}),
		after("that-is-reset-as-if-all-were-well", length("9000"), func(f *framer, stream uint32) {
			_, _ = f.Write(append(frame(dataFrame, 0, stream, "{"), frame(resetFrame, 0, stream, number32(0))...))
		}),
		after("that-is-cut-off", length("9000"), func(f *framer, stream uint32) {
			_, _ = f.Write(frame(dataFrame, 0, stream, "{"))
			_ = f.Close()
		}),
		eachRequest("body-before-its-header", func(f *framer, stream uint32) { _, _ = f.Write(frame(dataFrame, 0, stream, "{}")) }),
		eachRequest("body-of-a-stream-that-nobody-opened", func(f *framer, stream uint32) { _, _ = f.Write(frame(dataFrame, 0, stream+100, "{}")) }),
	}
}

// streamFrames end requests in another way than with an answer.
func streamFrames() []Lie {
	reset := func(name string, code uint32) Lie {
		return eachRequest("reset-"+name, func(f *framer, stream uint32) { _, _ = f.Write(frame(resetFrame, 0, stream, number32(code))) })
	}
	goAway := func(name string, last uint32, code uint32, then func(f *framer)) Lie {
		return eachRequest("goaway-"+name, func(f *framer, _ uint32) {
			_, _ = f.Write(frame(goAwayFrame, 0, 0, number32(last)+number32(code)+strings.Repeat("\x1b[2J", 1000)))
			then(f)
		})
	}
	hangUp := func(f *framer) { _ = f.Close() }
	return []Lie{
		reset("as-a-mistake", 1), reset("as-broken", 2), reset("as-refused", 7), reset("as-too-much", 11), reset("to-use-http-1", 13), reset("for-no-reason", 0),
		goAway("and-nothing", 1, 0, func(*framer) {}), goAway("that-took-no-request", 0, 0, hangUp), goAway("as-too-much", 1, 11, hangUp),
		goAway("without-end", 1, 0, func(f *framer) { f.repeat(frames(100, frame(goAwayFrame, 0, 0, number32(1)+number32(0)))) }),
		eachRequest("push-of-something-else", func(f *framer, stream uint32) {
			_, _ = f.Write(frame(pushFrame, endHeaders, stream, number32(2)+field(":method", "GET")+field(":path", "/")))
		}),
	}
}

// connectionFrames are told about a connection.
func connectionFrames() []Lie {
	// flood sends one part for ever as soon as there is a request, which is not answered.
	flood := func(name string, part []byte) Lie {
		return eachRequest(name, func(f *framer, _ uint32) { f.repeat(part) })
	}
	say := func(name, what string) Lie {
		return frameLie(name, func(c *tls.Conn) {
			_, _ = io.WriteString(c, what)
			_, _ = io.Copy(io.Discard, c)
		})
	}
	settings := func(what string) string { return string(frame(settingsFrame, 0, 0, what)) }
	return []Lie{
		say("connection-that-says-nothing", ""),
		say("connection-that-says-its-settings", settings("")),
		say("that-is-http-1", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
		say("garbage", "\x00\x01\x02garbage\xff\n\n"+strings.Repeat("x", 2<<20)),
		say("frame-of-16-megabytes", settings("")+"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
		say("answer-before-its-settings", string(answerHead(1))),
		say("settings-that-are-none", settings("\x00\x05\x00\x00\x00\x00")),
		say("settings-acknowledged-unasked", settings("")+string(frames(2, frame(settingsFrame, 1, 0, "")))),
		say("windows-that-overflow", settings("")+string(frames(2, frame(windowFrame, 0, 0, number32(1<<31-1))))),
		say("no-stream-allowed", settings("\x00\x03\x00\x00\x00\x00")),
		frameLie("goaway-before-the-request", func(c *tls.Conn) {
			_, _ = c.Write(append(frame(settingsFrame, 0, 0, ""), frame(goAwayFrame, 0, 0, number32(0)+number32(0))...))
		}),
		frameLie("hang-up-after-the-handshake", func(*tls.Conn) {}),
		flood("pings-without-end", frames(100, frame(pingFrame, 0, 0, "12345678"))),
		flood("settings-without-end", frames(100, frame(settingsFrame, 0, 0, ""))),
		flood("frames-of-no-known-kind-without-end", frames(100, frame(unknownFrame, 0, 0, ""))),
		flood("priorities-without-end", frames(100, frame(priorityFrame, 0, 3, "\x00\x00\x00\x00\x00"))),
		flood("windows-without-end", frames(100, frame(windowFrame, 0, 1, number32(1)))),
		frameLie("pings-to-who-is-not-heard", pingUnheard),
	}
}

// pingUnheard answers the first request, pings between the parts of the body, and reads
// nothing any more. Who answers can write nothing at some time.
func pingUnheard(c *tls.Conn) {
	_ = c.NetConn().(*conn).Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	_, _ = c.Write(frame(settingsFrame, 0, 0, ""))
	request := make([]byte, 4<<10)
	for asked := false; !asked; {
		n, err := c.Read(request)
		if err != nil {
			return
		}
		asked = strings.Contains(string(request[:n]), number32(1)) // its stream
	}
	f := &framer{Conn: c}
	_, _ = f.Write(answerHead(1))
	f.repeat(append(frame(dataFrame, 0, 1, strings.Repeat(" ", 64)), frames(100, frame(pingFrame, 0, 0, "12345678"))...))
}
