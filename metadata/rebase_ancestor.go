package metadata

import (
	"fmt"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// ancestor is the state that the head and what is here both come from; nil for nothing. ErrForeignHead if the roots of
// the head do not continue its roots.
func (w *Workspace) ancestor(h *headState, digest string) (*base, error) {
	from := w.base
	switch {
	case digest == "":
	case w.base == nil:
		return nil, fmt.Errorf("%w: nothing was published from here that could be lost", ErrInvalid)
	case digest == FromNothing:
		from = nil
	default:
		i := slices.IndexFunc(w.base.earlier, func(e *base) bool { return e.info.Digest == digest })
		if i < 0 {
			return nil, fmt.Errorf("%w: bundle %s is not known here", ErrInvalid, digest)
		}
		from = w.newestOf(w.base.earlier[i:], h)
	}
	roots := []*roleFile{w.staged[tuf.ROOT]}
	switch {
	case from != nil:
		roots = from.roots
	case w.base != nil:
		roots = w.base.roots[:1]
	}
	return from, continues(h, roots)
}

// newestOf is the first of some states that the head can have been built on: none of its roles is older, or another file
// of the same version. If it is none of them, it is the first: what the head lacks of that is made again too.
func (w *Workspace) newestOf(states []*base, h *headState) *base {
	for _, s := range states {
		if !slices.ContainsFunc(s.all(), func(f *roleFile) bool {
			theirs := h.role(f.role)
			return typeOf(f.role) == tuf.TARGETS && theirs != nil &&
				(theirs.version < f.version || theirs.version == f.version && theirs.sum != f.sum)
		}) {
			return s
		}
	}
	return states[0]
}

// leastOn is the least version of each role on top of a head: more than what was published from here, and than what the
// snapshot of the head says of roles that it has no more. Roots come one after the other, whatever was lost.
func (w *Workspace) leastOn(h *headState) map[string]int64 {
	least := map[string]int64{}
	raise := func(role string, version int64) {
		if role != tuf.ROOT && version > h.role(role).versionOr0()+1 {
			least[role] = max(least[role], version)
		}
	}
	for name, m := range h.snapshot.Signed.Meta {
		if role, ok := strings.CutSuffix(name, ".json"); ok && m != nil {
			raise(role, m.Version+1)
		}
	}
	if w.base == nil {
		return least
	}
	for role, version := range w.base.least {
		raise(role, version)
	}
	for role, f := range w.base.roles {
		raise(role, f.version+1)
	}
	return least
}
