package metadata

import (
	"fmt"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// KeyRotation says what RotateKey or RotateOnline has staged.
type KeyRotation struct {
	Old   []string // the keys that were replaced, by their names in tufoci.yaml, else by their ids
	New   string   // name in tufoci.yaml
	Roles []string // whose keys changed, in the order of the walk; "bins" for all hash bins
	// Unused are those of Old that tufoci.yaml names and that no role has any more.
	Unused []string
}

// RotateKey stages, in one edit, that a key replaces another in every role that has it: root, the top-level roles,
// delegations and hash bins, or only those named. Thresholds and the order of keys stay. Published roles that the old key
// has signed, and that the signatures of the others do not carry, are staged as next versions for the new key to sign.
//
// old is a name of tufoci.yaml or a key id; new a name, a key URI or the file of a public key, which comes into
// tufoci.yaml under the name of its file. ErrInvalid if the new key signs one of the roles already or the old one does
// not; ErrNoSpareKey if root has none; ErrNoRole, ErrKeyMissing.
func (w *Workspace) RotateKey(old, new string, roles ...string) (*KeyRotation, error) {
	r, err := w.newRotation(new)
	if err != nil {
		return nil, err
	}
	goes, err := r.oldKey(old)
	if err != nil {
		return nil, err
	}
	names, err := r.rolesWith(goes, roles)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: key %q signs no role", ErrInvalid, old)
	}
	return r.run(names, func(h keyHolder) error {
		if ids := newRule("", h.keys, *h.ids, 1).idsOf(r.key.key); len(ids) > 0 && r.has(h, goes) {
			return fmt.Errorf("%w: key %q signs it already, and would count once where two did", ErrInvalid, r.key.name)
		}
		return r.replace(h, goes)
	})
}

// RotateOnline stages, in one edit, that snapshot and timestamp are signed by one new key alone, so that one publish moves
// them together with root: a stolen online key ends there, and clients drop what it has signed (spec 5.3.11). Hash bins
// that one of the replaced keys may sign get the new key in its place; with bins set they get it in place of all their
// keys. The private half must be at hand where the publish runs.
//
// new is as in RotateKey. ErrInvalid if the key signs them alone already, or if one of them needs several signatures;
// ErrNoRole if bins is set and there are none; ErrKeyMissing.
func (w *Workspace) RotateOnline(new string, bins bool) (*KeyRotation, error) {
	r, err := w.newRotation(new)
	if err != nil {
		return nil, err
	}
	names := []string{tuf.SNAPSHOT, tuf.TIMESTAMP}
	dropped, err := r.othersIn(names)
	if err != nil {
		return nil, err
	}
	isDropped := func(k *tuf.Key) bool {
		return slices.ContainsFunc(dropped, func(d *tuf.Key) bool { return sameKey(k, d) })
	}
	goes := isDropped
	if bins {
		goes = func(k *tuf.Key) bool { return !sameKey(k, r.key.key) }
	}
	inBins, err := r.rolesWith(goes, nil)
	if err != nil {
		return nil, err
	}
	switch has := slices.Contains(inBins, binsRole); {
	case has:
		names = append(names, binsRole)
	case bins:
		if _, err := w.Role(binsRole); err != nil {
			return nil, err
		}
	}
	if len(dropped) == 0 && len(names) == 2 {
		return nil, fmt.Errorf("%w: key %q signs snapshot and timestamp alone already", ErrInvalid, r.key.name)
	}
	return r.run(names, func(h keyHolder) error {
		if *h.threshold > 1 {
			return fmt.Errorf("%w: it needs %d signatures, and one key gives one", ErrInvalid, *h.threshold)
		}
		return r.replace(h, goes)
	})
}

// rotation is one edit that puts a key in the place of others.
type rotation struct {
	e       *edit
	key     namedKey
	old     []*tuf.Key // that were replaced
	changed []string   // the roles that had them
}

// newRotation begins an edit that gives roles a key, which its caller names.
func (w *Workspace) newRotation(nameOrURI string) (*rotation, error) {
	e, err := w.newEdit()
	if err != nil {
		return nil, err
	}
	key, err := e.newKey(nameOrURI)
	return &rotation{e: e, key: key}, err
}

// namedKey is a public key under its name in tufoci.yaml.
type namedKey struct {
	name, id string
	key      *tuf.Key
}

// run changes the roles named, and commits.
func (r *rotation) run(names []string, change func(keyHolder) error) (*KeyRotation, error) {
	if err := r.e.setKeys(names, change); err != nil {
		return nil, err
	}
	if err := r.e.commit(); err != nil {
		return nil, err
	}
	return r.result()
}

// replace puts the new key in the place of the first key that goes.
func (r *rotation) replace(h keyHolder, goes func(*tuf.Key) bool) error {
	var ids []string
	placed := false
	place := func() {
		if !placed {
			ids, placed = append(ids, r.key.id), true
		}
	}
	for _, id := range *h.ids {
		switch k := h.keys[id]; {
		case k != nil && sameKey(k, r.key.key):
			place()
		case k != nil && goes(k):
			place()
			r.note(k)
		default:
			ids = append(ids, id)
		}
	}
	if !placed || slices.Equal(ids, *h.ids) {
		return nil
	}
	if h.name == tuf.ROOT && len(ids) <= *h.threshold && !r.e.cfg.NoSpareKey {
		return fmt.Errorf("%.0wit needs %d of its %d keys, and the loss of one would end the repository: add a spare key first", ErrNoSpareKey, *h.threshold, len(ids))
	}
	h.keys[r.key.id], *h.ids = r.key.key, ids
	r.changed = append(r.changed, h.name)
	return nil
}

func (r *rotation) has(h keyHolder, goes func(*tuf.Key) bool) bool {
	return slices.ContainsFunc(*h.ids, func(id string) bool { return h.keys[id] != nil && goes(h.keys[id]) })
}

func (r *rotation) note(k *tuf.Key) {
	if !slices.ContainsFunc(r.old, func(other *tuf.Key) bool { return sameKey(k, other) }) {
		r.old = append(r.old, k)
	}
}

// oldKey finds the key to be replaced, by its name in tufoci.yaml or by its id in metadata.
func (r *rotation) oldKey(nameOrID string) (goes func(*tuf.Key) bool, err error) {
	old, _, err := r.e.w.publicKey(nameOrID)
	if err != nil {
		if old, err = r.keyOfID(nameOrID, err); err != nil {
			return nil, err
		}
	}
	if sameKey(old, r.key.key) {
		return nil, fmt.Errorf("%w: %q and %q are one key", ErrInvalid, nameOrID, r.key.name)
	}
	return func(k *tuf.Key) bool { return sameKey(k, old) }, nil
}

// keyOfID finds a key in the rules of the roles; unknown is the error if none has that id.
func (r *rotation) keyOfID(id string, unknown error) (*tuf.Key, error) {
	names, err := r.e.w.roleNames()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		rules, err := r.rules(name)
		if err != nil {
			return nil, err
		}
		for _, rule := range rules {
			if k := rule.keys[id]; k != nil {
				return k, nil
			}
		}
	}
	return nil, unknown
}

// rules are the thresholds of a role; those of one hash bin for all of them.
func (r *rotation) rules(name string) ([]rule, error) {
	v := r.e.w.view()
	if name == binsRole {
		bins, err := v.bins()
		if err != nil || bins == nil {
			return nil, err
		}
		name = bins.succinct.GetRoles()[0]
	}
	return v.rules(name)
}

// rolesWith lists the roles that have a key that goes: of all, or of those named, each of which must have one.
func (r *rotation) rolesWith(goes func(*tuf.Key) bool, among []string) ([]string, error) {
	all, err := r.e.w.roleNames()
	if err != nil {
		return nil, err
	}
	for _, name := range among {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%w: %q", ErrNoRole, name)
		}
	}
	var out []string
	for _, name := range all {
		if len(among) > 0 && !slices.Contains(among, name) {
			continue
		}
		rules, err := r.rules(name)
		if err != nil {
			return nil, err
		}
		switch has := slices.ContainsFunc(rules, func(rule rule) bool {
			return slices.ContainsFunc(rule.ids, func(id string) bool { return goes(rule.keys[id]) })
		}); {
		case has:
			out = append(out, name)
		case len(among) > 0:
			return nil, fmt.Errorf("%w: role %q does not have the key that is to be replaced", ErrInvalid, name)
		}
	}
	return out, nil
}

// othersIn lists the keys of roles but for the new one.
func (r *rotation) othersIn(names []string) ([]*tuf.Key, error) {
	var out []*tuf.Key
	for _, name := range names {
		rules, err := r.rules(name)
		if err != nil {
			return nil, err
		}
		for _, rule := range rules {
			for _, id := range rule.ids {
				if k := rule.keys[id]; !sameKey(k, r.key.key) {
					out = append(out, k)
				}
			}
		}
	}
	return out, nil
}

func (r *rotation) result() (*KeyRotation, error) {
	w := r.e.w
	all, err := w.roleNames()
	if err != nil {
		return nil, err
	}
	roles, err := w.keyRoles()
	if err != nil {
		return nil, err
	}
	out := &KeyRotation{
		New:   r.key.name,
		Roles: slices.DeleteFunc(all, func(role string) bool { return !slices.Contains(r.changed, role) }),
	}
	for _, k := range r.old {
		name := w.keyName(k)
		if name == "" {
			id, err := freshID(k)
			if err != nil {
				return nil, err
			}
			out.Old = append(out.Old, id)
			continue
		}
		out.Old = append(out.Old, name)
		if len(roles[name]) == 0 {
			out.Unused = append(out.Unused, name)
		}
	}
	return out, nil
}

// newKey finds the key that a caller names: a key of tufoci.yaml, or one that comes into it with the edit.
func (e *edit) newKey(nameOrURI string) (namedKey, error) {
	w := e.w
	if _, known := w.cfg.Keys[nameOrURI]; known || !strings.ContainsAny(nameOrURI, ":/.") {
		key, id, err := w.publicKey(nameOrURI)
		return namedKey{nameOrURI, id, key}, err
	}
	name, k, key, err := w.keyBehind(nameOrURI)
	if err != nil {
		return namedKey{}, err
	}
	id, err := key.ID()
	if err != nil {
		return namedKey{}, err
	}
	if known := w.keyName(key); known != "" {
		return namedKey{known, id, key}, nil
	}
	if err := w.newKeyName(name); err != nil {
		return namedKey{}, err
	}
	return namedKey{name, id, key}, e.setConfig(func(c *Config) error {
		if c.Keys == nil {
			c.Keys = map[string]KeyConfig{}
		}
		c.Keys[name] = k
		return nil
	})
}

// keyBehind reads a key by the URI of its private half or the file of its public one. Its name is that of the file.
func (w *Workspace) keyBehind(uri string) (name string, k KeyConfig, key *tuf.Key, err error) {
	name = nameOfURI(uri)
	if data, readErr := readBounded(uri, maxKeyFile); readErr == nil {
		key, _ = ParsePublicKey(data)
	}
	if key == nil {
		signer, err := w.newSigners().open(name, uri, nil)
		if err != nil {
			return "", KeyConfig{}, nil, err
		}
		key, k.URI = signer.Key(), uri
	}
	public, err := MarshalPublicKey(key)
	k.Public = string(public)
	return name, k, key, err
}
