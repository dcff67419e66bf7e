package metadata

import (
	"context"
	"fmt"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// takeStaged puts what is staged over the head. A role that moved since it was staged is a conflict, unless the head
// has just what is staged, or what is staged is no more than a renewal.
func (d *draft) takeStaged(context.Context) error {
	names, err := d.w.stagedNames()
	if err != nil {
		return err
	}
	var moved []RoleConflict
	for _, role := range names {
		f, published, theirs := d.w.staged[role], d.w.base.role(role), d.head.role(role)
		rebased, err := d.rebase(f, published, theirs)
		if err != nil {
			return err
		}
		switch skip, err := d.superseded(f, published, theirs); {
		case err != nil:
			return err
		case skip:
		case d.leaves(role, published, theirs):
			d.notes = append(d.notes, Finding{LevelWarning, "frozen", role, fmt.Sprintf("v%d is frozen, to be signed elsewhere; it is left out", f.version)})
		case rebased != nil:
			d.staged[role] = rebased
		case theirs == nil && d.head.version(role) == 0 || theirs != nil && published != nil && theirs.sum == published.sum:
			d.staged[role] = f
		default:
			moved = append(moved, d.conflict(role))
		}
	}
	if len(moved) > 0 {
		return d.moved(moved)
	}
	maps.Copy(d.next, d.staged)
	d.view.walked = nil
	return d.checkReached()
}

// leaves reports whether a role stays as it is in the head, since people are still signing its next version: they can take
// weeks. Before the first publish there is nothing to stay as.
func (d *draft) leaves(role string, published, theirs *roleFile) bool {
	return d.w.frozen(role) != nil && published != nil && theirs != nil && theirs.sum == published.sum
}

// checkReached refuses staged roles that the head delegates to no more.
func (d *draft) checkReached() error {
	reached, err := d.view.targetRoles()
	if err != nil {
		return err
	}
	var lost []RoleConflict
	for _, role := range slices.Sorted(maps.Keys(d.staged)) {
		if role != tuf.ROOT && !slices.Contains(reached, role) {
			lost = append(lost, d.conflict(role))
		}
	}
	if len(lost) > 0 {
		return d.moved(lost)
	}
	return nil
}

// conflict describes a staged role that moved.
func (d *draft) conflict(role string) RoleConflict {
	c := RoleConflict{
		Role: role, BaseVersion: d.w.base.version(role), StagedVersion: d.w.staged[role].version, HeadVersion: d.head.version(role),
	}
	if changes, err := keyNames(d.w.keyName).changes(d.w.base.role(role), d.w.staged[role]); err == nil {
		c.Changes = len(withoutExpiry(changes))
	}
	return c
}

func (d *draft) moved(roles []RoleConflict) error {
	e := &ConflictError{Roles: roles, Head: d.head.digest}
	if d.w.base != nil {
		e.Base = d.w.base.info.Digest
	}
	return e
}

// superseded reports whether the head makes what is staged unnecessary: it has the same bytes, the same signed part, or
// has moved away from under a version that only renews the one before. It does not if what it has is not signed by the
// keys that are staged for it: that version was staged for its new keys to sign, and what moved needs them too.
func (d *draft) superseded(staged, published, theirs *roleFile) (bool, error) {
	switch {
	case theirs == nil:
		return false, nil
	case published != nil && theirs.sum == published.sum:
		return false, nil
	}
	if theirs.version == staged.version {
		if same, err := samePayload(theirs, staged); err != nil || same {
			return same, err
		}
	}
	if published != nil {
		if published.period != 0 && staged.period != published.period {
			return false, nil // another life is a change
		}
		if same, err := sameContent(staged, published); err != nil || !same {
			return same, err
		}
		rules, err := d.w.view().rules(staged.role)
		if err != nil {
			return false, err
		}
		return theirs.meets(rules)
	}
	_, isBin, err := d.w.view().binParent(staged.role)
	if err != nil || !isBin {
		return false, err
	}
	return isEmptyTargets(staged) // the first version of a bin, made by a publish that was killed
}

// rebase puts a staged hash bin on top of one that others have only renewed, since publish signs it anyway; nil if it is
// not that.
func (d *draft) rebase(staged, published, theirs *roleFile) (*roleFile, error) {
	_, isBin, err := d.w.view().binParent(staged.role)
	if err != nil || !isBin || published == nil || theirs == nil || theirs.sum == published.sum {
		return nil, err
	}
	if same, err := sameContent(published, theirs); err != nil || !same {
		return nil, err
	}
	data, err := bytesOf(staged)
	if err != nil {
		return nil, err
	}
	l, err := d.w.life(d.w.cfg, staged.role)
	if err != nil {
		return nil, err
	}
	if data, err = nextVersion(data, theirs.version+1, d.now, l); err != nil {
		return nil, err
	}
	return newRoleFile(staged.role, data)
}
