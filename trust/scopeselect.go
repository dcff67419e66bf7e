package trust

import (
	"fmt"
	"path"
	"strings"
)

// Applicable is a trust that speaks for an image.
type Applicable struct {
	Entry Entry
	// Canonical is HOST/REPOSITORY of the image as this trust knows it.
	Canonical string
	// Scope that matched.
	Scope Scope
}

// Select returns the trusts that decide on a repository, HOST/REPOSITORY: those
// whose scope matches it, after their own maps, with the longest literal prefix.
// If there are several, all of them must accept. ErrNoScope if there is none, as a
// [NoScopeError] that tells of trusts without a scope.
//
// It has to be given all trusts: whoever leaves some out takes the more particular
// one's say from it.
func Select(entries []Entry, repository string) ([]Applicable, error) {
	var deciding []Applicable
	for _, e := range entries {
		a, ok := e.applicable(repository)
		switch {
		case !ok:
		case len(deciding) == 0 || a.Scope.Literal() > deciding[0].Scope.Literal():
			deciding = []Applicable{a}
		case a.Scope.Literal() == deciding[0].Scope.Literal():
			deciding = append(deciding, a)
		}
	}
	if len(deciding) == 0 {
		return nil, &NoScopeError{Repository: repository, Entries: entries}
	}
	return deciding, nil
}

// applicable finds the scope of an entry that says most about a repository; of
// equal ones the first.
func (e Entry) applicable(repository string) (Applicable, bool) {
	a := Applicable{Entry: e, Canonical: Canonical(repository, e.Maps)}
	for _, s := range e.Scopes {
		if s.Match(a.Canonical) && s.Literal() > a.Scope.Literal() {
			a.Scope = s
		}
	}
	return a, a.Scope != Scope{}
}

// NoScopeError says that no trust speaks for an image, and what there is instead.
// It is, in the sense of errors.Is, ErrNoScope.
type NoScopeError struct {
	Repository string  // HOST/REPOSITORY that was asked for
	Entries    []Entry // that were asked
}

// Error names the repository; Reason says why.
func (e *NoScopeError) Error() string { return "no trust speaks for " + e.Repository }

// Reason says why, in one line: "trust acme (registry.acme.io/trust/tuf) has no
// scope".
func (e *NoScopeError) Reason() string {
	if len(e.Entries) == 0 {
		return "there is no trust"
	}
	var names, unscoped []string
	for _, entry := range e.Entries {
		name := fmt.Sprintf("%s (%s)", entry.Name, entry.Source)
		names = append(names, name)
		if len(entry.Scopes) == 0 {
			unscoped = append(unscoped, name)
		}
	}
	if len(unscoped) > 0 {
		return list("trust", unscoped) + verb(unscoped, " has", " have") + " no scope"
	}
	return "no scope of " + list("trust", names) + " matches"
}

func list(noun string, names []string) string {
	if len(names) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(names, ", ")
}

func verb(names []string, one, many string) string {
	if len(names) > 1 {
		return many
	}
	return one
}

// Is makes the error an ErrNoScope.
func (e *NoScopeError) Is(target error) bool { return target == ErrNoScope }

// Suggest returns a scope that makes a trust speak for the image and its
// neighbours, HOST/NAMESPACE/**; where there is no namespace, for the image alone.
// false if the repository, as the trust knows it, is none.
func (e *NoScopeError) Suggest(entry Entry) (Scope, bool) {
	canonical := Canonical(e.Repository, entry.Maps)
	pattern := canonical
	if namespace := path.Dir(canonical); strings.Contains(namespace, "/") {
		pattern = namespace + "/" + anyDepth
	}
	s, err := ParseScope(pattern)
	return s, err == nil && s.Match(canonical)
}
