package metadata

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// revocationsRole can be delegated revocations/* and nothing else: what it lists can only deny.
const (
	revocationsRole    = "revocations"
	revocationsPattern = "revocations/*"
)

var (
	roleNameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)
	// repositoryRE is the grammar of repository names in the OCI distribution specification.
	repositoryRE = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	// imageNameRE is a repository with a tag or a sha256 digest.
	imageNameRE = regexp.MustCompile(`^(.+?)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127})|@sha256:([0-9a-f]{64}))$`)
)

// checkRoleName holds a new role to the names that tufoci creates.
func checkRoleName(name string) error {
	switch {
	case !roleNameRE.MatchString(name):
		return fmt.Errorf("%w: role name %q: want a-z, 0-9, '.', '_' and '-', at most 100 characters, the first a letter or digit", ErrInvalid, name)
	case isTopLevel(name):
		return fmt.Errorf("%w: role name %q is that of a top-level role", ErrInvalid, name)
	case strings.HasSuffix(name, ".json"):
		return fmt.Errorf("%w: role name %q ends in .json", ErrInvalid, name)
	case name == imagesRole || name == binsRole:
		return fmt.Errorf("%w: role name %q is kept for hash bins", ErrInvalid, name)
	}
	return nil
}

// reservedTrees and reservedFiles may be listed by the top-level targets role alone: a delegated role could otherwise
// install a CA or a policy.
var (
	reservedTrees = []string{"notation", "tufoci"}
	reservedFiles = []string{"revocations.json"}
)

// reservedPath reports whether only the top-level targets role may list the path.
func reservedPath(name string) bool {
	if slices.Contains(reservedFiles, name) {
		return true
	}
	for _, tree := range reservedTrees {
		if strings.HasPrefix(name, tree+"/") {
			return true
		}
	}
	return false
}

// reservedPattern reports whether the pattern can match a reserved name, component by component: "*/*" can.
func reservedPattern(pattern string) bool {
	for _, file := range reservedFiles {
		if matchPattern(pattern, file) {
			return true
		}
	}
	for _, tree := range reservedTrees {
		if reaches(pattern, tree) {
			return true
		}
	}
	return false
}

// reaches reports whether the pattern can match a name below the directory.
func reaches(pattern, dir string) bool {
	first, _, below := strings.Cut(pattern, "/")
	ok, err := path.Match(first, dir)
	return below && (ok || err != nil)
}

// checkPattern holds a path pattern of a new delegation to what every client matches alike: other special characters
// than "*" and "?" mean something else in each language.
func checkPattern(role, pattern string) error {
	if role == revocationsRole && pattern == revocationsPattern {
		return nil
	}
	if err := checkPathShape(pattern); err != nil {
		return err
	}
	switch {
	case strings.ContainsAny(pattern, `[]{}()!|\`) || strings.HasPrefix(pattern, "#"):
		return fmt.Errorf("%w: path pattern %q: the only special characters are * and ?", ErrInvalid, pattern)
	case strings.Contains(pattern, "**"):
		return fmt.Errorf("%w: path pattern %q: there is no **, a * stops at /", ErrInvalid, pattern)
	case reservedPattern(pattern):
		return fmt.Errorf("%w: path pattern %q can match a name that only the top-level targets role may list", ErrReserved, pattern)
	case role == revocationsRole || reaches(pattern, revocationsRole):
		return fmt.Errorf("%w: %s is for the role %q, and that role for nothing else", ErrReserved, revocationsPattern, revocationsRole)
	case reaches(pattern, strings.TrimSuffix(imagesPrefix, "/")):
		return fmt.Errorf("%w: path pattern %q can match image entries: delegate these by image", ErrReserved, pattern)
	}
	return nil
}

// imagePathPatterns are the patterns for one repository, "shop/api", or for one level of them, "shop/*".
func imagePathPatterns(image string) ([]string, error) {
	level, isLevel := strings.CutSuffix(image, "*")
	if isLevel && (level == "" || strings.HasSuffix(level, "/") && repositoryRE.MatchString(level[:len(level)-1])) {
		return []string{imagesPrefix + image}, nil
	}
	if repositoryRE.MatchString(image) {
		return []string{imagesPrefix + image + ":*", imagesPrefix + image + "@*"}, nil
	}
	if isLevel && !strings.HasSuffix(level, "/") {
		return nil, fmt.Errorf("%w: image %q: a prefix also matches other repositories, %q too; want a repository, or a whole level as in \"shop/*\"", ErrInvalid, image, level+"-admin")
	}
	return nil, fmt.Errorf("%w: image %q: want a repository without host, tag and digest, or a level as in \"shop/*\"", ErrInvalid, image)
}

// delegatedPatterns collects the patterns of a new role.
func delegatedPatterns(o DelegationOptions) ([]string, error) {
	var out []string
	for _, p := range o.Paths {
		if err := checkPattern(o.Name, p); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	for _, image := range o.Images {
		patterns, err := imagePathPatterns(image)
		if err != nil {
			return nil, err
		}
		if depth := strings.Count(patterns[0], "/"); depth > maxImageDepth {
			return nil, fmt.Errorf("%w: image %q is %d levels deep, at most %d are supported", ErrInvalid, image, depth, maxImageDepth)
		}
		out = append(out, patterns...)
	}
	switch {
	case o.Name == revocationsRole && (len(o.Images) > 0 || o.Parent != "" && o.Parent != tuf.TARGETS):
		return nil, fmt.Errorf("%w: the role %q is delegated by targets, exactly %s", ErrReserved, revocationsRole, revocationsPattern)
	case o.Name == revocationsRole && len(out) == 0:
		out = []string{revocationsPattern}
	case len(out) == 0:
		return nil, fmt.Errorf("%w: role %q has no paths", ErrInvalid, o.Name)
	}
	return out, nil
}
