package metadata

import (
	"maps"
	"math/bits"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// targets checks the entries and the delegations of one role.
func (l *linter) targets(role string, md *tuf.Metadata[tuf.TargetsType]) {
	for _, name := range slices.Sorted(maps.Keys(md.Signed.Targets)) {
		t := md.Signed.Targets[name]
		if err := checkPathShape(name); err != nil {
			l.error(role, "path", "%v", err)
		}
		if role != tuf.TARGETS && (reservedPath(name) || foreignRevocation(role, name)) {
			l.error(role, "reserved", "%s may be listed by the top-level targets role only; clients ignore it here", name)
		}
		if t.Length <= 0 {
			l.error(role, "empty", "%s is a file of %d bytes, which some registries refuse", name, t.Length)
		}
		if len(t.Hashes) != 1 || len(t.Hashes["sha256"]) != 32 {
			l.error(role, "hashes", "%s needs a sha256 and no other hash", name)
		}
	}
	if d := md.Signed.Delegations; d != nil {
		l.delegations(role, d)
	}
}

// foreignRevocation reports whether the path is below revocations/ and the role may not list it: only the role
// revocations may, and not deeper than its pattern.
func foreignRevocation(role, name string) bool {
	rest, ok := strings.CutPrefix(name, revocationsRole+"/")
	return ok && (role != revocationsRole || strings.Contains(rest, "/"))
}

func (l *linter) delegations(role string, d *tuf.Delegations) {
	l.keys(role, d.Keys)
	if s := d.SuccinctRoles; s != nil {
		l.bins(role, d, s)
		return
	}
	seen := map[string]bool{}
	for _, r := range d.Roles {
		if isTopLevel(r.Name) {
			l.error(role, "role-name", "delegates %q, the name of a top-level role", r.Name)
		}
		if r.Name == "" {
			l.error(role, "role-name", "delegates a role without a name")
		}
		if seen[r.Name] {
			l.error(role, "role-name", "delegates %q twice", r.Name)
		}
		seen[r.Name] = true
		l.threshold(role, r.Name, r.KeyIDs, r.Threshold, d.Keys)
		if len(r.PathHashPrefixes) > 0 {
			l.error(role, "path-hash-prefixes", "delegates %q by path_hash_prefixes, which clients read in different ways; use hash bins", r.Name)
		}
		l.patterns(role, r)
	}
	l.overlaps(role, d.Roles)
}

// bins hold succinct roles (TAP 15) to a role of their own below targets: they have no patterns and match every name.
func (l *linter) bins(role string, d *tuf.Delegations, s *tuf.SuccinctRoles) {
	if role == tuf.TARGETS {
		l.error(role, "bins", "delegates hash bins itself: they match every name, reserved names too")
	}
	if s.BitLength > bits.Len(maxBins)-1 {
		l.error(role, "bins", "has a bit_length of %d: a bundle takes %d bins, a bit_length of %d", s.BitLength, maxBins, bits.Len(maxBins)-1)
	}
	if d.Roles != nil { // go-tuf looks no further, even when it is empty
		l.error(role, "bins", "has delegations and hash bins; a client takes one of the two")
	}
	l.threshold(role, s.NamePrefix+"-*", s.KeyIDs, s.Threshold, d.Keys)
	l.warn(role, "bins", "delegates hash bins (TAP 15), which tough (Bottlerocket, tuftool) does not read")
}

// patternSpecials are characters that mean something else in the patterns of each language.
const patternSpecials = `[]{}()!|\`

// patterns refuses those that can match a reserved name, and those that clients match in different ways. Only the role
// revocations may have revocations/*.
func (l *linter) patterns(role string, r tuf.DelegatedRole) {
	if len(r.Paths) == 0 && len(r.PathHashPrefixes) == 0 {
		l.error(role, "pattern", "delegates nothing to %q: it has no paths", r.Name)
	}
	for _, p := range r.Paths {
		if strings.ContainsAny(p, patternSpecials) {
			l.error(role, "pattern", "delegates %q to %q; the only special characters that all clients know are * and ?", p, r.Name)
		}
		if reservedPattern(p) {
			l.error(role, "reserved", "delegates %q to %q, which can match a name that only the top-level targets role may list", p, r.Name)
		}
		if r.Name == revocationsRole && p != revocationsPattern {
			l.error(role, "reserved", "delegates %q to %q, which may have %s only", p, r.Name, revocationsPattern)
		}
		if reaches(p, revocationsRole) && (role != tuf.TARGETS || r.Name != revocationsRole || p != revocationsPattern) {
			l.error(role, "reserved", "delegates %q to %q; revocations are for the role %q, by the pattern %s", p, r.Name, revocationsRole, revocationsPattern)
		}
	}
}

// overlaps warns where two roles of one delegator can list the same name: if the first has expired, or cannot be had,
// the lookup of that name ends there. It refuses what makes a lookup visit more roles than clients do.
func (l *linter) overlaps(role string, roles []tuf.DelegatedRole) {
	for i, a := range roles {
		visited := 1
		for j, b := range roles {
			p, q, ok := overlap(a.Paths, b.Paths)
			if !ok {
				continue
			}
			visited++
			// The role above the bins stands last and takes what the teams do not list: that is its purpose.
			if j > i && b.Name != imagesRole {
				l.warn(role, "overlap", "%q (%s) and %q (%s) can match the same name: an expired %q blocks that name for %q", a.Name, p, b.Name, q, a.Name, b.Name)
			}
		}
		if visited > maxVisits {
			l.error(role, "visits", "names of %q need up to %d roles to be visited; clients stop at %d", a.Name, visited, maxVisits)
		}
	}
}

// overlap finds a pattern of each side that can match one name.
func overlap(a, b []string) (p, q string, ok bool) {
	for _, p := range a {
		for _, q := range b {
			if patternsMeet(p, q) {
				return p, q, true
			}
		}
	}
	return "", "", false
}

// patternsMeet reports whether some name matches both patterns. Character classes count as matching anything.
func patternsMeet(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	if len(as) != len(bs) {
		return false
	}
	for i := range as {
		if strings.ContainsAny(as[i]+bs[i], `[\`) {
			continue
		}
		if !globsMeet(as[i], bs[i]) {
			return false
		}
	}
	return true
}

// globsMeet is patternsMeet for one component, with * and ? only. reach[j] tells whether a[:i] and b[:j] can match the
// same text.
func globsMeet(a, b string) bool {
	reach := make([]bool, len(b)+1)
	reach[0] = true
	for j := 0; j < len(b); j++ {
		reach[j+1] = reach[j] && b[j] == '*'
	}
	for i := 0; i < len(a); i++ {
		next := make([]bool, len(b)+1)
		next[0] = reach[0] && a[i] == '*'
		for j := 0; j < len(b); j++ {
			switch {
			case a[i] == '*' || b[j] == '*':
				next[j+1] = a[i] == '*' && (reach[j+1] || reach[j]) || b[j] == '*' && (next[j] || reach[j]) ||
					a[i] == '*' && next[j] || b[j] == '*' && reach[j+1]
			default:
				next[j+1] = reach[j] && (a[i] == b[j] || a[i] == '?' || b[j] == '?')
			}
		}
		reach = next
	}
	return reach[len(b)]
}
