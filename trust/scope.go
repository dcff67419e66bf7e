package trust

import (
	"fmt"
	"path"
	"strings"

	"github.com/tufoci/tufoci/ociremote"
)

// Scope is a pattern of canonical repositories, HOST/REPOSITORY, that a trust
// speaks for: "registry.acme.io/shop/api", "registry.acme.io/shop/*" (one level),
// "registry.acme.io/**" (every level). The host is literal. The zero value
// matches nothing.
type Scope struct{ pattern string }

// anyDepth is a component that stands for one or more components.
const anyDepth = "**"

// ParseScope reads a scope. "*" stands for any part of one component, "**" for
// one or more components and stands alone in its own; Docker Hub is docker.io.
// ErrInvalidScope.
//
// The host is written in lower case, and a single component of Docker Hub gets
// its namespace: "docker.io/*" are its official images, docker.io/library/*.
func ParseScope(s string) (Scope, error) {
	host, patterns, ok := strings.Cut(s, "/")
	if !ok {
		return Scope{}, fmt.Errorf("%w: %q, want HOST/REPOSITORY; HOST/** is all of a host", ErrInvalidScope, s)
	}
	host, err := ociremote.ParseImageHost(host)
	if err != nil {
		return Scope{}, fmt.Errorf("%w: %q: %w", ErrInvalidScope, s, err)
	}
	if patterns != anyDepth {
		patterns = ociremote.OfficialName(host, patterns)
	}
	// What stands for each star can be a letter, and the whole a repository.
	var likeness []string
	for component := range strings.SplitSeq(patterns, "/") {
		if component != anyDepth && strings.Contains(component, anyDepth) {
			return Scope{}, fmt.Errorf("%w: %q: %s stands alone between slashes", ErrInvalidScope, s, anyDepth)
		}
		if component == anyDepth {
			component = "*"
		}
		likeness = append(likeness, strings.ReplaceAll(component, "*", "a"))
	}
	if _, _, err := ociremote.ParseImageName(host + "/" + strings.Join(likeness, "/")); err != nil {
		return Scope{}, fmt.Errorf("%w: %q: no repository can be so", ErrInvalidScope, s)
	}
	return Scope{host + "/" + patterns}, nil
}

// String is the form that ParseScope reads back.
func (s Scope) String() string { return s.pattern }

// Host is the host of the scope, with its port if it has one.
func (s Scope) Host() string {
	host, _, _ := strings.Cut(s.pattern, "/")
	return host
}

// Match reports whether a canonical repository, HOST/REPOSITORY, is in the scope.
// Nothing that is not in its canonical form is.
func (s Scope) Match(canonical string) bool {
	host, repository, err := ociremote.ParseImageName(canonical)
	if err != nil || host+"/"+repository != canonical {
		return false
	}
	want, patterns, ok := strings.Cut(s.pattern, "/")
	return ok && host == want && matchComponents(strings.Split(patterns, "/"), strings.Split(repository, "/"))
}

// matchComponents compares component by component.
func matchComponents(patterns, components []string) bool {
	// reached[n]: the patterns so far match the first n components.
	reached := make([]bool, len(components)+1)
	reached[0] = true
	for _, pattern := range patterns {
		next := make([]bool, len(reached))
		for n, component := range components {
			if pattern == anyDepth {
				next[n+1] = reached[n] || next[n]
			} else {
				next[n+1] = reached[n] && matchComponent(pattern, component)
			}
		}
		reached = next
	}
	return reached[len(components)]
}

func matchComponent(pattern, component string) bool {
	// Of what path.Match gives a meaning, only the star can stand in a scope.
	ok, err := path.Match(pattern, component)
	return ok && err == nil
}

// Literal is the length of its literal prefix in bytes: of several scopes that
// match, the one with the longest decides.
func (s Scope) Literal() int {
	if star := strings.IndexByte(s.pattern, '*'); star >= 0 {
		return star
	}
	return len(s.pattern)
}
