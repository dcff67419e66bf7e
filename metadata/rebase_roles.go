package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// changedRoles lists the roles that differ here from what both sides started with.
func (r *rebasing) changedRoles() []string {
	all := map[string]bool{tuf.ROOT: true, tuf.TARGETS: true}
	for role := range r.w.staged {
		all[role] = true
	}
	if r.w.base != nil {
		for role := range r.w.base.roles {
			all[role] = typeOf(role) == tuf.TARGETS
		}
	}
	maps.DeleteFunc(all, func(role string, signedByPeople bool) bool {
		ours, before := r.w.current(role), r.before(role)
		return !signedByPeople || ours == nil || before != nil && ours.sum == before.sum
	})
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if isTopLevel(a) != isTopLevel(b) {
			return map[bool]int{true: -1, false: 1}[isTopLevel(a)]
		}
		return strings.Compare(a, b)
	})
}

func (r *rebasing) mergeRoles() error {
	for _, role := range r.changedRoles() {
		var err error
		switch {
		case r.untouched(role):
			err = r.keep(role)
		default:
			err = r.merge(role)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// untouched reports whether the head has the role as it was, or an older version of it.
func (r *rebasing) untouched(role string) bool {
	before, theirs := r.before(role), r.head.role(role)
	if before == nil {
		return theirs == nil
	}
	return theirs != nil && (theirs.sum == before.sum || theirs.version < before.version)
}

// keep stages a role as it is here, with its signatures, if its version fits on the head.
func (r *rebasing) keep(role string) error {
	ours, theirs := r.w.current(role), r.head.role(role)
	lost := r.w.base.role(role) // published from here, and overwritten, unless it is what the head has
	overwritten := lost != nil && (theirs == nil || theirs.sum != lost.sum)
	fits := r.onto.follows(role, ours.version)
	switch {
	case !fits && role == tuf.ROOT:
		r.conflict(RebaseConflict{
			Role: role, Kind: "version", Subject: role, Why: "roots follow one another, and more than one is missing",
			Base: version(r.before(role)), Ours: version(ours), Theirs: version(theirs),
		})
		return nil
	case fits:
		f, err := ours.inMemory()
		if err != nil {
			return err
		}
		r.next[role] = f
	default:
		if err := r.stage(role, ours); err != nil {
			return err
		}
	}
	if !overwritten && fits {
		return nil // it was staged, and still is
	}
	changes, err := keyNames(r.w.keyName).changes(theirs, r.next[role])
	if err != nil {
		return err
	}
	r.add(RebasedRole{Role: role, Changes: withoutExpiry(changes), Kept: fits})
	return nil
}

// merge stages a role of the head with the changes from here.
func (r *rebasing) merge(role string) error {
	before, ours, theirs := r.before(role), r.w.current(role), r.head.role(role)
	mine, err := keyNames(r.w.keyName).changes(before, ours)
	if err != nil {
		return err
	}
	if mine = withoutExpiry(mine); theirs == nil {
		r.gone(role, mine)
		return nil
	}
	merged, err := r.merged(role, before, ours, theirs)
	if err != nil || merged == nil {
		return err
	}
	changes, err := keyNames(r.w.keyName).changes(theirs, merged)
	if err != nil {
		return err
	}
	done := RebasedRole{Role: role, Changes: withoutExpiry(changes)}
	for _, c := range mine {
		if !slices.ContainsFunc(done.Changes, func(o Change) bool { return o.Kind == c.Kind && o.Subject == c.Subject && o.New == c.New }) && c.Kind != "order" {
			done.Done = append(done.Done, c)
		}
	}
	// Clients that saw the version that was overwritten need one that is not below it.
	if len(done.Changes) > 0 || r.w.base.version(role) > theirs.version && role != tuf.ROOT {
		r.next[role] = merged
	}
	r.add(done)
	return nil
}

// gone notes the changes of a role that the head does not have any more.
func (r *rebasing) gone(role string, mine []Change) {
	if len(mine) == 0 {
		return // no more than a renewal
	}
	r.conflict(RebaseConflict{
		Role: role, Kind: "delegation", Subject: role, Why: "nobody delegates to the role any more",
		Base: version(r.before(role)), Ours: fmt.Sprintf("%s with %d changes", version(r.w.current(role)), len(mine)),
	})
}

// stage stages the content of a file as the next version of its role on the head.
func (r *rebasing) stage(role string, content *roleFile) error {
	data, err := bytesOf(content)
	if err != nil {
		return err
	}
	_, isBin, err := r.w.view().binParent(role)
	if err != nil {
		return err
	}
	l, err := statedLife(role, isBin, content)
	if err != nil {
		return err
	}
	f, err := r.nextVersion(role, data, l)
	r.next[role] = f
	return err
}

// changes are the files that will be staged, and the roles of which nothing will be though the head does not have the
// version that is.
func (r *rebasing) changes() (files []*roleFile, drop []string) {
	for role, f := range r.w.staged {
		if r.next[role] == nil && r.head.version(role) < f.version {
			drop = append(drop, role)
		}
	}
	return slices.Collect(maps.Values(r.next)), drop
}

// nextVersion makes the next version of a role on the head.
func (r *rebasing) nextVersion(role string, data []byte, l life) (*roleFile, error) {
	data, err := nextVersion(data, r.onto.next(role), r.w.now(), l)
	if err != nil {
		return nil, err
	}
	f, err := newRoleFile(role, data)
	if err != nil {
		return nil, err
	}
	return f, checkSize(f)
}

func (r *rebasing) conflict(c RebaseConflict) {
	c.Staged = r.from == r.w.base && r.w.staged[c.Role] != nil
	r.conflicts = append(r.conflicts, c)
}

// add notes what became of a role.
func (r *rebasing) add(role RebasedRole) {
	role.FromVersion, role.ToVersion = r.before(role.Role).versionOr0(), r.head.version(role.Role)
	role.StagedVersion = r.next[role.Role].versionOr0()
	r.roles = append(r.roles, role)
}

// version is the version of a file as text, "" for none.
func version(f *roleFile) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("v%d", f.version)
}

// inMemory is the file with bytes that do not lie in the base, which may lose them.
func (f *roleFile) inMemory() (*roleFile, error) {
	data, err := bytesOf(f)
	if err != nil {
		return nil, err
	}
	return newRoleFile(f.role, data)
}
