package tuftest

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// connectionLies are told below HTTP, or in how it frames its messages.
func connectionLies() []Lie {
	chunked := func(name, body string) Lie {
		return rawLie("chunked-"+name, send(okHead+"Transfer-Encoding: chunked\r\n\r\n"+body))
	}
	return append(cutLies(),
		rawLie("connection-that-says-nothing", sendAndHold("")),
		rawLie("garbage", send("\x00\x01\x02garbage\xff\n\n")),
		rawLie("garbage-without-a-line-break", send(strings.Repeat("x", 2<<20))),
		rawLie("garbage-of-tls", send("\x15\x03\x01\x00\x02\x02\x46")),
		rawLie("http-0-9", send("<html>old</html>")),
		rawLie("http-1-0-without-a-length", send("HTTP/1.0 200 OK\r\n\r\n{}")),
		rawLie("http-2-preface", send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
		rawLie("status-that-is-no-number", send("HTTP/1.1 abc OK\r\n\r\n")),
		rawLie("status-negative", send("HTTP/1.1 -20 OK\r\n\r\n")),
		rawLie("informational-answers-without-end", sendForEver("", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <http://elsewhere.invalid/>\r\n\r\n", 50), 0)),
		rawLie("headers-without-end", sendForEver("HTTP/1.1 200 OK\r\n", strings.Repeat("X-More: 0123456789\r\n", 100), 0)),
		rawLie("header-without-a-colon", send("HTTP/1.1 200 OK\r\nno header\r\n\r\n")),
		rawLie("header-with-control-characters", send("HTTP/1.1 200 OK\r\nX-A: a\x1b[2Jb\x00\r\n\r\n")),
		rawLie("upgraded-to-another-protocol", sendAndHold("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")),
		rawLie("length-negative", send(okHead+"Content-Length: -1\r\n\r\n{}")),
		rawLie("length-that-is-no-number", send(okHead+"Content-Length: many\r\n\r\n{}")),
		rawLie("length-of-2-to-the-63", send(okHead+"Content-Length: 9223372036854775808\r\n\r\n{}")),
		rawLie("length-of-an-exabyte", sendAndHold(okHead+"Content-Length: 1000000000000000000\r\n\r\n{}")),
		rawLie("lengths-that-differ", send(okHead+"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")),
		rawLie("length-and-chunks", send(okHead+"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")),
		chunked("with-a-size-that-is-none", "zz\r\n{}\r\n0\r\n\r\n"),
		chunked("with-a-huge-size", "ffffffffffffffff\r\n{}"),
		chunked("without-an-end", "2\r\n{}\r\n"),
		chunked("with-an-extension-of-a-megabyte", "2;"+strings.Repeat("x", 1<<20)+"\r\n{}\r\n0\r\n\r\n"),
		chunked("with-trailers-that-lie", "2\r\n{}\r\n0\r\nDocker-Content-Digest: "+Digest([]byte("x"))+"\r\nSet-Cookie: a=b\r\n\r\n"),
		rawLie("chunked-without-end", sendForEver(okHead+"Transfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", 0)),
		wireLie("trailers-that-lie", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			a := answered(next, r)
			w.Header().Set("Trailer", "Docker-Content-Digest, Etag")
			passOn(w, a, a.Body.Bytes())
			w.Header().Set("Docker-Content-Digest", Digest([]byte("x")))
			w.Header().Set("Etag", "x")
		}),
	)
}

// cutLies end the connection at each point of an honest answer.
func cutLies() []Lie {
	cutAt := func(name string, at func(head, body int) int) Lie {
		return wireLie("cut-"+name, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			answer := answered(next, r).Result()
			whole := half(answer) // reads the body, and so knows its length
			body := int(answer.ContentLength)
			head := len(whole) - body/2
			if body == 0 {
				head = 2 * len(whole)
			}
			whole = whole[:min(len(whole), max(at(head, body), 0))]
			raw(w, func(c net.Conn) { _, _ = c.Write(whole) })
		}).inHTTP1()
	}
	return []Lie{
		cutAt("before-the-answer", func(int, int) int { return 0 }),
		cutAt("in-the-status", func(int, int) int { return 10 }),
		cutAt("in-the-head", func(head, _ int) int { return head / 2 }),
		cutAt("before-the-end-of-the-head", func(head, _ int) int { return head - 2 }),
		cutAt("after-the-head", func(head, _ int) int { return head }),
		cutAt("in-the-body", func(head, body int) int { return head + body/2 }),
		wireLie("reset-in-the-body", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			raw(w, func(c net.Conn) {
				_, _ = fmt.Fprint(c, okHead+"Content-Length: 100\r\n\r\n{")
				if tcp, ok := c.(interface{ SetLinger(int) error }); ok {
					_ = tcp.SetLinger(0)
				}
			})
		}).inHTTP1(),
	}
}
