package metadata

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	// maxPath bounds a target path, maxBase its last component: with "<sha256>." before it a file system must take it.
	maxPath = 1024
	maxBase = 180
)

// checkPathShape refuses paths of which programs could disagree what they name.
func checkPathShape(p string) error {
	switch {
	case p == "":
		return fmt.Errorf("%w: empty path", ErrInvalid)
	case len(p) > maxPath:
		return fmt.Errorf("%w: path of %d bytes, at most %d are allowed", ErrInvalid, len(p), maxPath)
	case !utf8.ValidString(p) || strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return fmt.Errorf("%w: path %q has control characters", ErrInvalid, p)
	case strings.ContainsRune(p, '\\'):
		return fmt.Errorf("%w: path %q has a backslash", ErrInvalid, p)
	}
	components := strings.Split(p, "/")
	for _, c := range components {
		if c == "" || c == "." || c == ".." {
			return fmt.Errorf("%w: path %q: want components separated by single slashes, none empty, \".\" or \"..\"", ErrInvalid, p)
		}
	}
	if n := len(components[len(components)-1]); n > maxBase {
		return fmt.Errorf("%w: path %q: the last component has %d bytes, at most %d are allowed", ErrInvalid, p, n, maxBase)
	}
	return nil
}

// checkImagePath holds an image entry to images/REPOSITORY:TAG or images/REPOSITORY@sha256:HEX, and the digest in its
// name to its hash.
func checkImagePath(p, sum string) error {
	name, ok := strings.CutPrefix(p, imagesPrefix)
	if !ok {
		return fmt.Errorf("%w: path %q: entries from a list start with %s", ErrInvalid, p, imagesPrefix)
	}
	m := imageNameRE.FindStringSubmatch(name)
	if m == nil || !repositoryRE.MatchString(m[1]) {
		return fmt.Errorf("%w: path %q: want %sREPOSITORY:TAG or %sREPOSITORY@sha256:HEX", ErrInvalid, p, imagesPrefix, imagesPrefix)
	}
	if depth := strings.Count(p, "/"); depth > maxImageDepth {
		return fmt.Errorf("%w: path %q is %d levels deep, at most %d are supported", ErrInvalid, p, depth, maxImageDepth)
	}
	if m[3] != "" && m[3] != sum {
		return fmt.Errorf("%w: path %q does not name its own sha256 %s", ErrInvalid, p, sum)
	}
	return nil
}

// checkPathRole holds a path to the role that is to list it, reserved names first.
func (v *view) checkPathRole(p, role string) error {
	if role != tuf.TARGETS && reservedPath(p) {
		return fmt.Errorf("%w: %q may be listed by the top-level targets role only, not by %q", ErrReserved, p, role)
	}
	visits, err := v.visits(p)
	if err != nil {
		return err
	}
	if slices.Contains(visits, role) {
		return nil
	}
	return &notDelegatedError{path: p, role: role, may: visits}
}

// roleFor chooses the role that lists a path: targets, or the bin of an image entry when there are bins.
func (v *view) roleFor(p string) (string, error) {
	if !strings.HasPrefix(p, imagesPrefix) {
		return tuf.TARGETS, nil
	}
	bins, err := v.bins()
	if err != nil || bins == nil {
		return tuf.TARGETS, err
	}
	role := binOf(bins.succinct, p)
	return role, v.checkPathRole(p, role)
}
