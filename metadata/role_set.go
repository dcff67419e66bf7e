package metadata

import (
	"fmt"
	"slices"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// RoleEdit changes a role. Zero fields stay as they are.
type RoleEdit struct {
	Threshold   int
	AddKeys     []string // names in tufoci.yaml
	RemoveKeys  []string // names in tufoci.yaml or key ids
	Expires     time.Duration
	RenewWithin time.Duration
	NoSpareKey  bool // recorded in tufoci.yaml
}

func (e RoleEdit) changesKeys() bool {
	return e.Threshold != 0 || len(e.AddKeys) > 0 || len(e.RemoveKeys) > 0
}

// SetRole stages changed keys, threshold or periods of the roles named; "bins" names all hash bins. Keys and thresholds
// of top-level roles stand in root, those of a delegated role in its delegators. A role whose published signatures do
// not suffice under its new keys is staged too, to be signed again. With Expires an offline role is staged with its
// new life; online roles get theirs at the next publish. ErrNoRole, ErrInvalid, ErrKeyMissing.
func (w *Workspace) SetRole(names []string, change RoleEdit) error {
	e, err := w.newEdit()
	if err != nil {
		return err
	}
	if err := w.checkEdit(names, change); err != nil {
		return err
	}
	if err := e.setPeriods(names, change); err != nil {
		return err
	}
	if change.changesKeys() {
		if err := e.setKeys(names, func(h keyHolder) error { return w.changeKeys(h, change) }); err != nil {
			return err
		}
	}
	if change.Expires != 0 {
		if err := e.restage(names); err != nil {
			return err
		}
	}
	return e.commit()
}

func (w *Workspace) checkEdit(names []string, change RoleEdit) error {
	known, err := w.roleNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w: %q", ErrNoRole, name)
		}
	}
	switch {
	case len(names) == 0:
		return fmt.Errorf("%w: no role is named", ErrInvalid)
	case change.Threshold < 0:
		return fmt.Errorf("%w: threshold %d", ErrInvalid, change.Threshold)
	case change.Expires < 0 || change.RenewWithin < 0:
		return fmt.Errorf("%w: a negative period", ErrInvalid)
	}
	return nil
}

// setPeriods writes periods to tufoci.yaml.
func (e *edit) setPeriods(names []string, change RoleEdit) error {
	if change.Expires == 0 && change.RenewWithin == 0 && !change.NoSpareKey {
		return nil
	}
	return e.setConfig(func(c *Config) error {
		for _, name := range names {
			if err := c.SetPeriods(name, change.Expires, change.RenewWithin); err != nil {
				return fmt.Errorf("%w: role %q: %v", ErrInvalid, name, err)
			}
		}
		c.NoSpareKey = c.NoSpareKey || change.NoSpareKey
		return nil
	})
}

// setKeys changes root and delegators, then stages the roles that must be signed anew.
func (e *edit) setKeys(names []string, change func(keyHolder) error) error {
	w := e.w
	var above []string // the roles that hold keys and thresholds of those named
	v := w.view()
	for _, name := range names {
		delegators, err := w.delegatorsOf(v, name)
		if err != nil {
			return err
		}
		for _, d := range delegators {
			if !slices.Contains(above, d) {
				above = append(above, d)
			}
		}
	}
	for _, delegator := range above {
		if err := e.setKeysIn(delegator, names, change); err != nil {
			return err
		}
	}
	return e.resign(names)
}

// delegatorsOf lists the roles that hold the keys of a role.
func (w *Workspace) delegatorsOf(v *view, name string) ([]string, error) {
	if isTopLevel(name) {
		return []string{tuf.ROOT}, nil
	}
	edges, err := v.edges()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range edges {
		if name == binsRole && d.succinct != nil || d.role != nil && d.role.Name == name {
			out = append(out, d.parent)
		}
	}
	return out, nil
}

// after is the repository as it will be once the edit is committed.
func (e *edit) after() *view {
	return e.w.viewOf(func(role string) *roleFile {
		for i := len(e.files) - 1; i >= 0; i-- {
			if e.files[i].role == role {
				return e.files[i]
			}
		}
		return e.w.current(role)
	})
}

// resign stages the published roles whose signatures do not suffice under the rules of the edit. Roles that publish
// signs by itself are left to it, and those that the edit changes are staged already.
func (e *edit) resign(names []string) error {
	v := e.after()
	for _, name := range names {
		f := e.w.current(name)
		if name == tuf.ROOT || name == binsRole || f == nil || e.w.staged[name] != nil || typeOf(name) != tuf.TARGETS || e.stages(name) {
			continue
		}
		rules, err := v.rules(name)
		if err != nil {
			return err
		}
		switch ok, err := f.meets(rules); {
		case err != nil:
			return err
		case ok:
			continue
		}
		if err := e.stageFile(f); err != nil {
			return err
		}
	}
	slices.Reverse(e.files) // a delegator is written after what it delegates
	return nil
}

// restage stages offline roles anew for their expiry.
func (e *edit) restage(names []string) error {
	for _, name := range names {
		if name == binsRole || e.w.online(name, false) || e.stages(name) {
			continue
		}
		if f := e.w.current(name); f != nil {
			if err := e.stageFile(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// stages reports whether the edit has a next version of the role.
func (e *edit) stages(role string) bool {
	return slices.ContainsFunc(e.files, func(f *roleFile) bool { return f.role == role })
}

// stageFile stages the content of a file as the next version.
func (e *edit) stageFile(f *roleFile) error {
	data, err := bytesOf(f)
	if err != nil {
		return err
	}
	return e.stageData(f.role, data)
}
