package tuftest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
)

// Frames of HTTP/2 and their flags (RFC 9113, 6).
const (
	dataFrame         = 0x0
	headersFrame      = 0x1
	priorityFrame     = 0x2
	resetFrame        = 0x3
	settingsFrame     = 0x4
	pushFrame         = 0x5
	pingFrame         = 0x6
	goAwayFrame       = 0x7
	windowFrame       = 0x8
	continuationFrame = 0x9
	unknownFrame      = 0xbb

	endStream  = 0x1
	endHeaders = 0x4
	padded     = 0x8
)

// preface begins a connection of HTTP/2 (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// framer speaks HTTP/2 as a server, right or wrong: it holds to nothing that it does not
// say itself, such as windows.
type framer struct {
	net.Conn
	// requests are the streams of the requests that have come; it is closed when
	// the client hangs up.
	requests chan uint32
}

// newFramer sends settings without any, reads what the client sends, and answers nothing
// of it.
func newFramer(c net.Conn) *framer {
	f := &framer{c, make(chan uint32, 1024)}
	_, _ = c.Write(frame(settingsFrame, 0, 0, ""))
	go f.read()
	return f
}

func (f *framer) read() {
	defer close(f.requests)
	r := bufio.NewReader(f.Conn)
	if _, err := io.CopyN(io.Discard, r, int64(len(preface))); err != nil {
		return
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, r, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			return
		}
		if head[3] == headersFrame {
			f.requests <- binary.BigEndian.Uint32(head[5:])
		}
	}
}

// repeat sends parts until the client hangs up.
func (f *framer) repeat(part []byte) {
	for {
		if _, err := f.Write(part); err != nil {
			return
		}
	}
}

// frame is one frame.
func frame(kind, flags byte, stream uint32, payload string) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// frames is one frame, many times.
func frames(n int, f []byte) []byte { return []byte(strings.Repeat(string(f), n)) }

// number32 is a number as frames have it.
func number32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// status200 is the header field ":status: 200" (RFC 7541, Appendix A).
const status200 = "\x88"

// field is a header field as it is, that is not remembered (RFC 7541, 6.2.2). The name is
// in lower case.
func field(name, value string) string { return "\x00" + text(name) + text(value) }

// remembered is a header field that goes into the table of those that were sent, as
// number 62 (RFC 7541, 6.2.1).
func remembered(name, value string) string { return "\x40" + text(name) + text(value) }

// text is a string with its length (RFC 7541, 5.1 and 5.2).
func text(s string) string {
	const most = 0x7f
	if len(s) < most {
		return string(rune(len(s))) + s
	}
	length := []byte{most}
	n := len(s) - most
	for ; n >= 0x80; n >>= 7 {
		length = append(length, byte(n)|0x80)
	}
	return string(append(length, byte(n))) + s
}
