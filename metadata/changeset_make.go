package metadata

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Changeset takes staged roles out of the workspace: those named, or without names all that people sign. A role that is
// judged by what is staged of another one goes only along with that. ErrInvalid for a role with nothing staged, or one
// whose delegator is missing; *LintError for what could not be published, however many sign it.
func (w *Workspace) Changeset(roles ...string) (*Changeset, error) {
	named, err := w.stagedRoles(roles)
	if err != nil {
		return nil, err
	}
	if len(roles) == 0 {
		if named, err = w.offline(named); err != nil {
			return nil, err
		}
	}
	in := ChangesetFiles{Names: map[string]string{}}
	lint := LintInput{Roles: map[string][]byte{}, NoSpareKey: w.cfg.NoSpareKey}
	for _, role := range named {
		data, err := w.counting(role)
		if err != nil {
			return nil, err
		}
		in.Next, lint.Roles[role] = append(in.Next, RoleData{role, data}), data
	}
	if errs := LintErrors(Lint(lint)); len(errs) > 0 {
		return nil, &LintError{Findings: errs}
	}
	above, err := w.view().above(named)
	if err != nil {
		return nil, err
	}
	for _, role := range above {
		if w.staged[role] != nil && !slices.Contains(named, role) {
			return nil, fmt.Errorf("%w: what is staged of %s decides who signs: name it too", ErrInvalid, role)
		}
	}
	for _, role := range distinct(above, named) {
		f := w.base.role(role)
		if f == nil {
			continue
		}
		data, err := bytesOf(f)
		if err != nil {
			return nil, err
		}
		in.Base = append(in.Base, RoleData{role, data})
	}
	c, err := NewChangeset(in)
	if err != nil {
		return nil, err
	}
	return c, c.describe(w)
}

// counting is what is staged of a role, with those of its signatures that count.
func (w *Workspace) counting(role string) ([]byte, error) {
	e, rules, payload, err := w.stagedParts(role)
	if err != nil {
		return nil, err
	}
	e.Signatures = slices.DeleteFunc(e.Signatures, func(s tuf.Signature) bool { return checkSignature(s, rules, payload) != nil })
	return json.Marshal(e)
}

// offline leaves out the roles that publish signs by itself.
func (w *Workspace) offline(roles []string) ([]string, error) {
	var out []string
	for _, role := range roles {
		_, isBin, err := w.view().binParent(role)
		if err != nil {
			return nil, err
		}
		if !isBin {
			out = append(out, role)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: nothing is staged that people sign", ErrInvalid)
	}
	return out, nil
}

// describe adds the names of the keys, and the target files that change.
func (c *Changeset) describe(w *Workspace) error {
	for _, role := range c.roles {
		rules, err := c.rules(role)
		if err != nil {
			return err
		}
		for _, r := range rules {
			for _, id := range r.ids {
				if name := w.keyName(r.keys[id]); name != "" && !slices.Contains(slices.Collect(maps.Values(c.names)), name) {
					c.names[id] = name
				}
			}
		}
	}
	diffs, err := c.Diff()
	if err != nil {
		return err
	}
	for _, d := range diffs {
		for _, change := range d.Changes {
			old, next, err := w.Contents(change)
			if err != nil {
				return err
			}
			c.keep(old)
			c.keep(next)
		}
	}
	return nil
}
