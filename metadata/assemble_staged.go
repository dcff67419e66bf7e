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
			moved = append(moved, RoleConflict{
				Role: role, BaseVersion: d.w.base.version(role), StagedVersion: f.version, HeadVersion: d.head.version(role),
			})
		}
	}
	if len(moved) > 0 {
		return &ConflictError{Roles: moved}
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
			lost = append(lost, RoleConflict{
				Role: role, BaseVersion: d.w.base.version(role), StagedVersion: d.staged[role].version, HeadVersion: d.head.version(role),
			})
		}
	}
	if len(lost) > 0 {
		return &ConflictError{Roles: lost}
	}
	return nil
}

// superseded reports whether the head makes what is staged unnecessary: it has the same bytes, the same signed part, or
// has moved away from under a version that only renews the one before.
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
		return sameContent(staged, published)
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
