package trust

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/ociremote"
)

// Map says that what lies under Mirror is a copy of what lies under Original:
// each a HOST or HOST/PREFIX.
type Map struct{ Mirror, Original string }

// ParseMap reads MIRROR=ORIGINAL. ErrInvalidScope. Hosts are written in lower
// case, those of Docker Hub as docker.io.
func ParseMap(s string) (Map, error) {
	mirror, original, ok := strings.Cut(s, "=")
	if !ok {
		return Map{}, fmt.Errorf("%w: %q, want MIRROR=ORIGINAL", ErrInvalidScope, s)
	}
	var m Map
	var err error
	if m.Mirror, err = parsePrefix(mirror); err == nil {
		m.Original, err = parsePrefix(original)
	}
	if err != nil {
		return Map{}, fmt.Errorf("%w: %q: %w", ErrInvalidScope, s, err)
	}
	if m.Mirror == m.Original {
		return Map{}, fmt.Errorf("%w: %q leads to itself", ErrInvalidScope, s)
	}
	return m, nil
}

// parsePrefix reads HOST or HOST/PREFIX.
func parsePrefix(s string) (string, error) {
	host, prefix, below := strings.Cut(s, "/")
	host, err := ociremote.ParseImageHost(host)
	if err != nil || !below {
		return host, err
	}
	if !ociremote.IsRepository(prefix) {
		return "", fmt.Errorf("invalid prefix %q", prefix)
	}
	return host + "/" + prefix, nil
}

// String is the form that ParseMap reads back.
func (m Map) String() string { return m.Mirror + "=" + m.Original }

// Canonical replaces the longest Mirror that is a prefix of HOST/REPOSITORY by
// whole components. Without one it returns the repository itself. One map is
// applied, never a second one to what it leads to. A HOST as Original has nothing
// but what lies below it, so it is no name for the Mirror itself.
func Canonical(repository string, maps []Map) string {
	var longest Map
	var found string
	for _, m := range maps {
		rest, ok := strings.CutPrefix(repository, m.Mirror)
		switch {
		case !ok || len(m.Mirror) <= len(longest.Mirror):
		case strings.HasPrefix(rest, "/"), rest == "" && strings.Contains(m.Original, "/"):
			longest, found = m, m.Original+rest
		}
	}
	if found == "" {
		return repository
	}
	host, path, _ := strings.Cut(found, "/")
	return host + "/" + ociremote.OfficialName(host, path)
}

// Known returns every name, HOST/REPOSITORY, under which a canonical repository
// is reached: itself first, then one for each map, sorted. Only names that
// Canonical leads back to it.
func Known(canonical string, maps []Map) []string {
	var mirrors []string
	for _, m := range maps {
		rest, ok := strings.CutPrefix(canonical, m.Original)
		if name := m.Mirror + rest; ok && isName(name) && Canonical(name, maps) == canonical {
			mirrors = append(mirrors, name)
		}
	}
	slices.Sort(mirrors)
	mirrors = slices.Compact(mirrors)
	if Canonical(canonical, maps) != canonical {
		return mirrors
	}
	mirrors = slices.DeleteFunc(mirrors, func(name string) bool { return name == canonical })
	return slices.Insert(mirrors, 0, canonical)
}

// isName reports whether a name is a HOST/REPOSITORY in its canonical form.
func isName(s string) bool {
	host, repository, err := ociremote.ParseImageName(s)
	return err == nil && host+"/"+repository == s
}
