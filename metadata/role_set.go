package metadata

import (
	"bytes"
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
		if err := e.setKeys(names, change); err != nil {
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
func (e *edit) setKeys(names []string, change RoleEdit) error {
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

// keyHolder is the part of a delegator that says who signs one role.
type keyHolder struct {
	name      string
	keys      map[string]*tuf.Key // of the whole delegator
	ids       *[]string
	threshold *int
}

// setKeysIn stages one delegator with the changed keys of all roles named that it delegates.
func (e *edit) setKeysIn(delegator string, names []string, change RoleEdit) error {
	if delegator == tuf.ROOT {
		return setKeysInRole(e, tuf.ROOT, change, func(md *tuf.Metadata[tuf.RootType]) ([]keyHolder, func()) {
			var holders []keyHolder
			for _, name := range names {
				if r := md.Signed.Roles[name]; r != nil {
					holders = append(holders, keyHolder{name, md.Signed.Keys, &r.KeyIDs, &r.Threshold})
				}
			}
			return holders, func() { dropUnusedKeys(md.Signed.Keys, rootKeyIDs(&md.Signed)) }
		})
	}
	return setKeysInRole(e, delegator, change, func(md *tuf.Metadata[tuf.TargetsType]) ([]keyHolder, func()) {
		d := md.Signed.Delegations
		var holders []keyHolder
		if s := d.SuccinctRoles; s != nil && slices.Contains(names, binsRole) {
			holders = append(holders, keyHolder{binsRole, d.Keys, &s.KeyIDs, &s.Threshold})
		}
		for i := range d.Roles {
			if r := &d.Roles[i]; slices.Contains(names, r.Name) {
				holders = append(holders, keyHolder{r.Name, d.Keys, &r.KeyIDs, &r.Threshold})
			}
		}
		return holders, func() { dropUnusedKeys(d.Keys, delegationKeyIDs(d)) }
	})
}

// setKeysInRole applies the change to what holders returns and stages the role, if that made a difference.
func setKeysInRole[T tuf.Roles](e *edit, role string, change RoleEdit, holders func(*tuf.Metadata[T]) ([]keyHolder, func())) error {
	md, err := parseFile[T](e.w.current(role))
	if err != nil {
		return err
	}
	before, err := encode(md)
	if err != nil {
		return err
	}
	held, tidy := holders(md)
	for _, h := range held {
		if err := e.w.changeKeys(h, change); err != nil {
			return fmt.Errorf("role %q: %w", h.name, err)
		}
	}
	tidy()
	after, err := encode(md)
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	return stage(e, role, md)
}

// changeKeys changes the keys and the threshold of one role. Adding a key that is there is no error.
func (w *Workspace) changeKeys(h keyHolder, change RoleEdit) error {
	for _, name := range change.RemoveKeys {
		id, err := w.keyIDIn(h, name)
		if err != nil {
			return err
		}
		*h.ids = slices.DeleteFunc(*h.ids, func(other string) bool { return other == id })
	}
	for _, name := range change.AddKeys {
		key, id, err := w.publicKey(name)
		if err != nil {
			return err
		}
		r := newRule("", h.keys, *h.ids, 1)
		if len(r.idsOf(key)) > 0 {
			continue
		}
		h.keys[id] = key
		*h.ids = append(*h.ids, id)
	}
	if change.Threshold != 0 {
		*h.threshold = change.Threshold
	}
	// Before the first publish keys are added one by one, and lint has the last word.
	if n := len(*h.ids); w.base.role(h.name) != nil && *h.threshold > n {
		return fmt.Errorf("%w: a threshold of %d with %d keys can never be met", ErrInvalid, *h.threshold, n)
	}
	return nil
}

// keyIDIn finds the id of a key of the role, by its name in tufoci.yaml or by the id itself.
func (w *Workspace) keyIDIn(h keyHolder, nameOrID string) (string, error) {
	if slices.Contains(*h.ids, nameOrID) {
		return nameOrID, nil
	}
	key, _, err := w.publicKey(nameOrID)
	if err != nil {
		return "", err
	}
	ids := newRule("", h.keys, *h.ids, 1).idsOf(key)
	if len(ids) == 0 {
		return "", fmt.Errorf("%w: key %q does not sign it", ErrInvalid, nameOrID)
	}
	return ids[0], nil
}

// dropUnusedKeys removes the keys that no role uses.
func dropUnusedKeys(keys map[string]*tuf.Key, used [][]string) {
	for id := range keys {
		if !slices.ContainsFunc(used, func(ids []string) bool { return slices.Contains(ids, id) }) {
			delete(keys, id)
		}
	}
}

func rootKeyIDs(root *tuf.RootType) [][]string {
	var ids [][]string
	for _, r := range root.Roles {
		ids = append(ids, r.KeyIDs)
	}
	return ids
}

func delegationKeyIDs(d *tuf.Delegations) [][]string {
	var ids [][]string
	if d.SuccinctRoles != nil {
		ids = append(ids, d.SuccinctRoles.KeyIDs)
	}
	for _, r := range d.Roles {
		ids = append(ids, r.KeyIDs)
	}
	return ids
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
// signs by itself are left to it.
func (e *edit) resign(names []string) error {
	v := e.after()
	for _, name := range names {
		f := e.w.current(name)
		if name == tuf.ROOT || name == binsRole || f == nil || e.w.staged[name] != nil || typeOf(name) != tuf.TARGETS {
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
		if name == binsRole || e.w.online(name, false) || slices.ContainsFunc(e.files, func(f *roleFile) bool { return f.role == name }) {
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

// stageFile stages the content of a file as the next version.
func (e *edit) stageFile(f *roleFile) error {
	data, err := bytesOf(f)
	if err != nil {
		return err
	}
	return e.stageData(f.role, data)
}
