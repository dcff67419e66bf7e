package metadata

import (
	"fmt"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// checkReached refuses changes of roles that nobody delegates to in the result.
func (r *rebasing) checkReached() error {
	if len(r.conflicts) > 0 {
		return nil // there is no result
	}
	reached, err := r.view().targetRoles()
	if err != nil {
		return err
	}
	for _, role := range slices.Sorted(maps.Keys(r.next)) {
		if role == tuf.ROOT || slices.Contains(reached, role) {
			continue
		}
		mine, err := keyNames(r.w.keyName).changes(r.before(role), r.w.current(role))
		if err != nil {
			return err
		}
		delete(r.next, role)
		r.gone(role, withoutExpiry(mine))
	}
	return nil
}

// checkPaths refuses entries that a lookup does not find in their role any more, since others have changed the
// delegations.
func (r *rebasing) checkPaths() error {
	if len(r.conflicts) > 0 {
		return nil
	}
	v := r.view()
	for _, role := range slices.Sorted(maps.Keys(r.next)) {
		moved, err := r.delegatorsMoved(v, role)
		if err != nil {
			return err
		}
		if !moved {
			continue
		}
		mine, err := keyNames(r.w.keyName).changes(r.before(role), r.w.current(role))
		if err != nil {
			return err
		}
		for _, c := range mine {
			if c.Kind != "target" || c.New == "" {
				continue
			}
			if err := v.checkPathRole(c.Subject, role); err != nil {
				r.conflict(RebaseConflict{Role: role, Kind: c.Kind, Subject: c.Subject, Base: c.Old, Ours: c.New, Why: err.Error()})
			}
		}
	}
	return nil
}

// delegatorsMoved reports whether others have changed a role that delegates to this one.
func (r *rebasing) delegatorsMoved(v *view, role string) (bool, error) {
	if isTopLevel(role) {
		return false, nil
	}
	edges, err := v.delegators(role)
	return slices.ContainsFunc(edges, func(d delegation) bool {
		before, theirs := r.before(d.parent), r.head.role(d.parent)
		return before == nil || theirs == nil || before.sum != theirs.sum
	}), err
}

// resign stages the roles of the head whose signatures do not suffice under the keys that are staged. Roles that publish
// signs by itself are left to it.
func (r *rebasing) resign() error {
	if len(r.conflicts) > 0 {
		return nil
	}
	v := r.view()
	edges, err := v.edges()
	if err != nil {
		return err
	}
	var roles []string
	if r.next[tuf.ROOT] != nil {
		roles = append(roles, tuf.TARGETS)
	}
	for _, d := range edges {
		if d.role != nil && r.next[d.parent] != nil {
			roles = append(roles, d.role.Name)
		}
	}
	for _, role := range roles {
		f := r.head.role(role)
		if f == nil || r.next[role] != nil || r.w.online(role, false) {
			continue
		}
		rules, err := v.rules(role)
		if err != nil {
			return err
		}
		switch met, err := f.meets(rules); {
		case err != nil:
			return err
		case met:
			continue
		}
		if err := r.stage(role, f); err != nil {
			return err
		}
		r.add(RebasedRole{Role: role})
	}
	return nil
}

// findBytes finds the target files of what is staged that neither the workspace nor the head has.
func (r *rebasing) findBytes() error {
	if len(r.conflicts) > 0 {
		return nil
	}
	v := r.view()
	for _, role := range slices.Sorted(maps.Keys(r.next)) {
		_, isBin, err := v.binParent(role)
		if err != nil {
			return err
		}
		if isBin || typeOf(role) != tuf.TARGETS {
			continue
		}
		entries, err := fileEntries(r.next[role])
		if err != nil {
			return err
		}
		for _, n := range entries {
			if err := r.findFile(role, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rebasing) findFile(role string, n entry) error {
	sum := n.Hashes["sha256"]
	if r.head.targets[TargetTitle(n.Path, sum)].SHA256 == sum {
		return nil
	}
	data, err := r.w.blob(n)
	if err != nil || data != nil {
		return err
	}
	why := "its bytes are neither here nor in the registry"
	if r.o.Blob != nil {
		if data, err = r.o.Blob(sum, n.Length); err != nil {
			why = fmt.Sprintf("its bytes are not here, and cannot be read: %v", err)
		} else if checksum(data) == sum && int64(len(data)) == n.Length {
			r.blobs = append(r.blobs, fileChange{path: r.w.path(blobsDir, sum), data: data})
			return nil
		}
	}
	r.conflict(RebaseConflict{Role: role, Kind: "target", Subject: n.Path, Ours: fmt.Sprintf("sha256:%s %d", sum, n.Length), Why: why})
	return nil
}
