package metadata

import (
	"fmt"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Reset drops staged changes: of the roles named, "bins" being all hash bins, and of the target paths named, in every
// role. All or nothing. ErrNoTarget for what is neither a staged role nor a staged path, ErrInvalid for a role that was
// never published.
func (w *Workspace) Reset(names ...string) error {
	e, err := w.newEdit()
	if err != nil {
		return err
	}
	paths := map[string][]string{} // role to paths
	for _, name := range names {
		switch roles := w.stagedAs(name); {
		case len(roles) == 0:
			holders, err := w.stagedPath(name)
			if err != nil {
				return err
			}
			for _, role := range holders {
				paths[role] = append(paths[role], name)
			}
		case w.base == nil && isTopLevel(name):
			return fmt.Errorf("%w: %s v1 was never published: there is nothing to go back to", ErrInvalid, name)
		default:
			for _, role := range roles {
				e.drop(role)
			}
		}
	}
	for role, reset := range paths {
		if err := e.resetPaths(role, reset); err != nil {
			return err
		}
	}
	return e.commit()
}

// stagedAs lists the staged roles that a name means.
func (w *Workspace) stagedAs(name string) []string {
	if w.staged[name] != nil {
		return []string{name}
	}
	var roles []string
	if name == binsRole {
		for _, role := range slices.Sorted(maps.Keys(w.staged)) {
			if _, isBin, err := w.view().binParent(role); err == nil && isBin {
				roles = append(roles, role)
			}
		}
	}
	return roles
}

// stagedPath lists the roles in which an entry is staged: new, changed or gone.
func (w *Workspace) stagedPath(path string) ([]string, error) {
	added, removed, err := w.stagedTargets()
	if err != nil {
		return nil, err
	}
	var roles []string
	for _, t := range append(added, removed...) {
		if t.Path == path && !slices.Contains(roles, t.Role) {
			roles = append(roles, t.Role)
		}
	}
	if len(roles) == 0 {
		return nil, fmt.Errorf("%w: nothing is staged as %q", ErrNoTarget, path)
	}
	return roles, nil
}

// resetPaths brings entries of one role back to what is published.
func (e *edit) resetPaths(role string, paths []string) error {
	published, err := e.w.baseView().entries(role)
	if err != nil {
		return err
	}
	return e.changeTargets(role, func(targets map[string]*tuf.TargetFiles) {
		for _, p := range paths {
			if t := published[p]; t != nil {
				targets[p] = t
			} else {
				delete(targets, p)
			}
		}
	})
}

// ResetAll drops everything staged, and gives the base up for the next head: whatever that holds is taken over, also if
// it overwrote what was published from here. ErrInvalid before the first publish.
func (w *Workspace) ResetAll() error {
	if err := w.writable(); err != nil {
		return err
	}
	if w.base == nil {
		return fmt.Errorf("%w: nothing was published yet: there is nothing to go back to", ErrInvalid)
	}
	staged := slices.Sorted(maps.Keys(w.staged))
	if err := w.thawed(nil, staged); err != nil {
		return err
	}
	for _, role := range staged {
		if err := w.unstage(role); err != nil {
			return err
		}
	}
	if !w.base.adopt {
		w.base.adopt = true
		return saveBase(w.disk, w.path(baseDir), w.base)
	}
	return nil
}
