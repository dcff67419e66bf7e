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

// Escape writes what no line shows, as a Go string has it.
func Escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}
