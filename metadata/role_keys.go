package metadata

import (
	"bytes"
	"fmt"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// keyHolder is the part of a delegator that says who signs one role.
type keyHolder struct {
	name      string
	keys      map[string]*tuf.Key // of the whole delegator
	ids       *[]string
	threshold *int
}

// setKeysIn stages one delegator with the changed keys of all roles named that it delegates.
func (e *edit) setKeysIn(delegator string, names []string, change func(keyHolder) error) error {
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
func setKeysInRole[T tuf.Roles](e *edit, role string, change func(keyHolder) error, holders func(*tuf.Metadata[T]) ([]keyHolder, func())) error {
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
		if err := change(h); err != nil {
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
	spare := len(*h.ids) > *h.threshold
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
	// A root that has no spare key yet is still being set up; then lint has the last word here too.
	if n := len(*h.ids); h.name == tuf.ROOT && spare && n <= *h.threshold && !w.cfg.NoSpareKey && !change.NoSpareKey {
		return fmt.Errorf("%w: it would need %d of %d keys, and the loss of one would end the repository", ErrNoSpareKey, *h.threshold, n)
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
