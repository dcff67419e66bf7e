package fetcher

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The two folders of every TUF repository. A title is the name of a file below
// one of them, in the spelling that go-tuf asks for: role names percent-escaped,
// target paths as they are.
const (
	metadataFolder = "metadata/"
	targetsFolder  = "targets/"
)

// maxTitle bounds a title, in bytes: titles become URLs and file names.
const maxTitle = 4 << 10

// fileClass is what a title stands for. It decides the limit and whether
// "not found" may mean "no newer root".
type fileClass int

const (
	classRoot fileClass = iota
	classTimestamp
	classSnapshot
	classTargets // the role targets and delegated roles
	classTargetFile
)

// Versions as TUF writes them in file names: no sign, no leading zero.
var (
	rootName     = regexp.MustCompile(`^([1-9][0-9]{0,15})\.root\.json$`)
	snapshotName = regexp.MustCompile(`^([1-9][0-9]{0,15}\.)?snapshot\.json$`)
	targetsName  = regexp.MustCompile(`^([1-9][0-9]{0,15}\.)?targets\.json$`)
)

// classify returns the class of a title, and its version if it is a root.
func classify(title string) (class fileClass, root int64) {
	name, isMetadata := strings.CutPrefix(title, metadataFolder)
	switch {
	case !isMetadata:
		return classTargetFile, 0
	case name == "timestamp.json":
		return classTimestamp, 0
	case snapshotName.MatchString(name):
		return classSnapshot, 0
	}
	if m := rootName.FindStringSubmatch(name); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			return classRoot, n
		}
	}
	return classTargets, 0
}

// isTopLevelTargets reports whether the title is the top-level targets role.
func isTopLevelTargets(title string) bool {
	name, ok := strings.CutPrefix(title, metadataFolder)
	return ok && targetsName.MatchString(name)
}

// checkTitle refuses what names no file of a TUF repository. A title comes from
// metadata that may not have been verified, and becomes a URL or a path.
func checkTitle(title string) error {
	bad := func(why string) error { return fmt.Errorf("%w: %q %s", ErrInvalidName, title, why) }
	if len(title) > maxTitle {
		return fmt.Errorf("%w: %d bytes long, the limit is %d", ErrInvalidName, len(title), maxTitle)
	}
	name, isMetadata := strings.CutPrefix(title, metadataFolder)
	if !isMetadata {
		var isTarget bool
		if name, isTarget = strings.CutPrefix(title, targetsFolder); !isTarget {
			return bad("is neither below metadata/ nor below targets/")
		}
	}
	if name == "" {
		return bad("names no file")
	}
	if isMetadata && strings.Contains(name, "/") {
		return bad("is in a directory below metadata/; role names are percent-escaped")
	}
	if !utf8.ValidString(name) {
		return bad("is not UTF-8")
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return bad("has a control character")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." {
			return bad("has a component . or ..")
		}
	}
	return nil
}
