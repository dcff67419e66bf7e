package serve

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// The two folders of a TUF repository.
const (
	metadataFolder = "metadata/"
	targetsFolder  = "targets/"
)

// errPath: a path that names no file of any repository.
var errPath = errors.New("this path cannot name a file")

// titleOf returns the title of the file that a URL asks for; "" for a path that is
// none of ours. Metadata is found in metadata/ and at the top: a client is given the
// one or the other as the place of a repository. The path is decoded once. A role
// name may have anything in it, and is one component, escaped as go-tuf does it,
// however the client has escaped it.
func titleOf(u *url.URL) (string, error) {
	raw := strings.TrimPrefix(u.EscapedPath(), "/")
	if name, ok := strings.CutPrefix(raw, targetsFolder); ok {
		return targetTitle(name)
	}
	raw = strings.TrimPrefix(raw, metadataFolder)
	if strings.Contains(raw, "/") {
		return "", nil
	}
	name, err := decode(raw)
	if err != nil || !strings.HasSuffix(name, ".json") {
		return "", err
	}
	return metadataFolder + url.PathEscape(name), nil
}

func targetTitle(raw string) (string, error) {
	name, err := decode(raw)
	if err != nil {
		return "", err
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return "", errPath
		}
	}
	if strings.Contains(name, `\`) {
		return "", errPath
	}
	return targetsFolder + name, nil
}

// decode undoes one percent-encoding.
func decode(raw string) (string, error) {
	name, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(name) {
		return "", errPath
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", errPath
	}
	return name, nil
}
