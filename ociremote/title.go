package ociremote

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	metadataPrefix = "metadata/"
	targetsPrefix  = "targets/"
	// maxTitle in bytes. Target paths are free text in TUF; file systems end at
	// 4096.
	maxTitle = 4096
)

// validateTitle holds a title to layout v1: a relative slash path of plain
// components, one JSON file directly below metadata/ or any file below targets/.
// A tool that writes titles as files stays inside its directory.
func validateTitle(title string) error {
	if len(title) > maxTitle {
		return fmt.Errorf("title %q is longer than %d bytes", shorten(title), maxTitle)
	}
	invalid := func(why string) error { return fmt.Errorf("title %q: %s", shorten(title), why) }
	if !utf8.ValidString(title) {
		return invalid("invalid UTF-8")
	}
	if strings.ContainsFunc(title, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return invalid("backslash or control character")
	}
	for part := range strings.SplitSeq(title, "/") {
		switch part {
		case "":
			return invalid("empty path component")
		case ".", "..":
			return invalid("path component " + strconv.Quote(part))
		}
	}
	if name, ok := strings.CutPrefix(title, metadataPrefix); ok {
		if strings.Contains(name, "/") || !strings.HasSuffix(name, ".json") || name == ".json" {
			return invalid("want metadata/NAME.json")
		}
		return nil
	}
	if !strings.HasPrefix(title, targetsPrefix) {
		return invalid("neither below metadata/ nor below targets/")
	}
	return nil
}

// mediaTypeOf is the media type of the layer with this title.
func mediaTypeOf(title string) string {
	if strings.HasPrefix(title, metadataPrefix) {
		return MediaTypeMetadata
	}
	return MediaTypeTarget
}

// topLevel matches the files of the top-level roles: an optional version, the
// role.
var topLevel = regexp.MustCompile(`^metadata/(?:([1-9][0-9]{0,15})\.)?(root|timestamp|snapshot|targets)\.json$`)

// rank orders titles for the inline layer: what a client needs first comes
// first. All roots have one rank, and the version tells them apart.
func rank(title string) (rank int, version int64) {
	m := topLevel.FindStringSubmatch(title)
	if m == nil {
		if strings.HasPrefix(title, metadataPrefix) {
			return 4, 0
		}
		return 5, 0
	}
	version, _ = strconv.ParseInt(m[1], 10, 64)
	switch m[2] {
	case "timestamp":
		return 0, version
	case "snapshot":
		return 1, version
	case "targets":
		return 2, version
	default:
		return 3, version
	}
}
