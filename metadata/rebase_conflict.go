package metadata

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// contradictions lists what was changed here and, to something else, by others. Who signs a role is one decision: its
// keys and its threshold are compared together.
func (r *rebasing) contradictions(role string, before, ours, theirs *roleFile) ([]RebaseConflict, error) {
	var sides [3]facts
	for i, f := range []*roleFile{before, ours, theirs} {
		var err error
		if sides[i], err = keyNames(r.w.keyName).facts(f); err != nil {
			return nil, err
		}
	}
	c := contradiction{role: role, before: sides[0], ours: sides[1], theirs: sides[2]}
	c.values()
	c.signers()
	c.bins()
	return c.found, nil
}

// contradiction compares what three versions of a role say.
type contradiction struct {
	role                 string
	before, ours, theirs facts
	found                []RebaseConflict
}

func (c *contradiction) add(kind, subject, before, ours, theirs, why string) {
	c.found = append(c.found, RebaseConflict{Role: c.role, Kind: kind, Subject: subject, Base: before, Ours: ours, Theirs: theirs, Why: why})
}

// clash reports whether both sides have changed a value, and not to the same.
func clash(before, ours, theirs string) bool {
	return ours != before && theirs != before && ours != theirs
}

// values compares what stands for itself: targets, paths, members, periods.
func (c *contradiction) values() {
	all := maps.Clone(c.before)
	maps.Copy(all, c.ours)
	maps.Copy(all, c.theirs)
	keys := slices.SortedFunc(maps.Keys(all), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		kind, _, ofKey := strings.Cut(key[0], " ")
		if ofKey || kind == "threshold" || kind == "order" || kind == "expires" {
			continue
		}
		if before, ours, theirs := c.before[key], c.ours[key], c.theirs[key]; clash(before, ours, theirs) {
			c.add(kind, key[1], before, ours, theirs, "both have changed it")
		}
	}
}

// signers compares who signs each role. Keys that each side added or removed come together as long as nobody touched the
// threshold, and enough of them are left.
func (c *contradiction) signers() {
	roles := map[string]bool{}
	for _, side := range []facts{c.before, c.ours, c.theirs} {
		for key := range side {
			if key[0] == "threshold" {
				roles[key[1]] = true
			}
		}
	}
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		before, ours, theirs := c.before.signersOf(role), c.ours.signersOf(role), c.theirs.signersOf(role)
		if !clash(before.String(), ours.String(), theirs.String()) {
			continue
		}
		why := "both have changed who signs it"
		if before.threshold == ours.threshold && before.threshold == theirs.threshold {
			left := len(mergeSet(before.keys, ours.keys, theirs.keys))
			if n, err := strconv.Atoi(before.threshold); err == nil && left >= n {
				continue
			}
			why = "too few keys would be left"
		}
		c.add("keys", role, before.String(), ours.String(), theirs.String(), why)
	}
}

// bins refuses hash bins on one side and other delegations on the other: a role has either.
func (c *contradiction) bins() {
	has := func(side facts, kind string) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(side)), func(key [2]string) bool { return key[0] == kind })
	}
	if has(c.ours, "bins") && has(c.theirs, "delegation") || has(c.theirs, "bins") && has(c.ours, "delegation") {
		c.add("bins", c.role, c.before[[2]string{"bins", c.role}], c.ours[[2]string{"bins", c.role}], c.theirs[[2]string{"bins", c.role}],
			"one side has hash bins, the other delegates to roles")
	}
}

// signersOf is who signs a role, as the facts of its delegator have it.
type signersOf struct {
	threshold string // "" where nobody delegates to the role
	keys      []string
}

func (f facts) signersOf(role string) signersOf {
	s := signersOf{threshold: f[[2]string{"threshold", role}]}
	for key, text := range f {
		if strings.HasPrefix(key[0], "key ") && key[1] == role {
			s.keys = append(s.keys, text)
		}
	}
	slices.Sort(s.keys)
	return s
}

func (s signersOf) String() string {
	if s.threshold == "" {
		return ""
	}
	return s.threshold + " of " + strings.Join(s.keys, ", ")
}

// namesOf lists the names of delegations in their order.
func namesOf(d *tuf.Delegations) string { return strings.Join(roleNamesIn(orEmpty(d)), " ") }
