package trust

// Scope is a pattern of canonical repositories, HOST/REPOSITORY, that a trust
// speaks for: "registry.acme.io/shop/api", "registry.acme.io/shop/*" (one level),
// "registry.acme.io/**" (every level). The host is literal. The zero value
// matches nothing.
type Scope struct{ pattern string }

// ParseScope reads a scope. "*" stands for any part of one component, "**" for
// one or more components and stands alone in its own; Docker Hub is docker.io.
// ErrInvalidScope.
func ParseScope(s string) (Scope, error) { panic("not built") }

// String is the form that ParseScope reads back.
func (s Scope) String() string { return s.pattern }

// Host is the host of the scope, with its port if it has one.
func (s Scope) Host() string { panic("not built") }

// Match reports whether a canonical repository, HOST/REPOSITORY, is in the scope.
func (s Scope) Match(canonical string) bool { panic("not built") }

// Literal is the length of its literal prefix in bytes: of several scopes that
// match, the one with the longest decides.
func (s Scope) Literal() int { panic("not built") }

// Map says that what lies under Mirror is a copy of what lies under Original:
// each a HOST or HOST/PREFIX.
type Map struct{ Mirror, Original string }

// ParseMap reads MIRROR=ORIGINAL. ErrInvalidScope.
func ParseMap(s string) (Map, error) { panic("not built") }

// String is the form that ParseMap reads back.
func (m Map) String() string { return m.Mirror + "=" + m.Original }

// Canonical replaces the longest Mirror that is a prefix of HOST/REPOSITORY by
// whole components. Without one it returns the repository itself.
func Canonical(repository string, maps []Map) string { panic("not built") }

// Known returns every name, HOST/REPOSITORY, under which a canonical repository
// is reached: itself first, then one for each map, sorted. Only names that
// Canonical leads back to it.
func Known(canonical string, maps []Map) []string { panic("not built") }

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
// If there are several, all of them must accept. ErrNoScope if there is none; the
// error tells of trusts without a scope.
func Select(entries []Entry, repository string) ([]Applicable, error) { panic("not built") }
