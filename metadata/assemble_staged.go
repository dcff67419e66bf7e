package metadata

import (
	"context"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// takeStaged puts what is staged over the head. A role that moved since it was staged is a conflict, unless the head
// has just what is staged, or what is staged is no more than a renewal.
func (a *assembly) takeStaged(context.Context) error {
	names, err := a.w.stagedNames()
	if err != nil {
		return err
	}
	var moved []RoleConflict
	for _, role := range names {
		f, published, theirs := a.w.staged[role], a.w.base.role(role), a.head.role(role)
		rebased, err := a.rebase(f, published, theirs)
		if err != nil {
			return err
		}
		switch skip, err := a.superseded(f, published, theirs); {
		case err != nil:
			return err
		case skip:
		case rebased != nil:
			a.staged[role] = rebased
		case theirs == nil && a.head.version(role) == 0 || theirs != nil && published != nil && theirs.sum == published.sum:
			a.staged[role] = f
		default:
			moved = append(moved, RoleConflict{
				Role: role, BaseVersion: a.w.base.version(role), StagedVersion: f.version, HeadVersion: a.head.version(role),
			})
		}
	}
	if len(moved) > 0 {
		return &ConflictError{Roles: moved}
	}
	maps.Copy(a.next, a.staged)
	a.view.walked = nil
	return a.checkReached()
}

// checkReached refuses staged roles that the head delegates to no more.
func (a *assembly) checkReached() error {
	reached, err := a.view.targetRoles()
	if err != nil {
		return err
	}
	var lost []RoleConflict
	for _, role := range slices.Sorted(maps.Keys(a.staged)) {
		if role != tuf.ROOT && !slices.Contains(reached, role) {
			lost = append(lost, RoleConflict{
				Role: role, BaseVersion: a.w.base.version(role), StagedVersion: a.staged[role].version, HeadVersion: a.head.version(role),
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
func (a *assembly) superseded(staged, published, theirs *roleFile) (bool, error) {
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
	_, isBin, err := a.w.view().binParent(staged.role)
	if err != nil || !isBin {
		return false, err
	}
	return isEmptyTargets(staged) // the first version of a bin, made by a publish that was killed
}

// rebase puts a staged hash bin on top of one that others have only renewed, since publish signs it anyway; nil if it is
// not that.
func (a *assembly) rebase(staged, published, theirs *roleFile) (*roleFile, error) {
	_, isBin, err := a.w.view().binParent(staged.role)
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
	l, err := a.w.life(a.w.cfg, staged.role)
	if err != nil {
		return nil, err
	}
	if data, err = nextVersion(data, theirs.version+1, a.o.Now, l); err != nil {
		return nil, err
	}
	return newRoleFile(staged.role, data)
}
