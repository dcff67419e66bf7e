// Package stranger makes what strangers have sent fit to stand in messages: names, types
// and reasons are theirs, and not every program that prints an error looks for what a
// terminal obeys.
package stranger

import (
	"strconv"
	"strings"
	"unicode"
)

// Cut keeps no more than so many bytes of a text, and says that there were more.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// Obeyed reports whether a terminal may act on a character instead of showing it:
// the control characters of ASCII and Latin-1, among them a one-character form of
// ESC [, line breaks, and the marks and overrides of direction (Unicode, UAX 9).
func Obeyed(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0, r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// Escape writes what no line shows, as a Go string has it.
func Escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}
