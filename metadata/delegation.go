package metadata

import (
	"fmt"
	"slices"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// DelegationOptions describes a new delegated role.
type DelegationOptions struct {
	Name        string
	Parent      string   // default targets
	Paths       []string // TUF path patterns outside images/
	Images      []string // "shop/api" or "shop/*"
	Keys        []string // names in tufoci.yaml; at least Threshold
	Threshold   int      // default 1
	Terminating bool
	Expires     time.Duration // default of the profile
	RenewWithin time.Duration // default of the profile
}

// AddDelegation stages a new delegated role, empty, and its parent with the delegation: after the roles that are there,
// but before the role images, whose patterns match every image. ErrRoleExists, ErrNoRole, ErrInvalid, ErrReserved,
// ErrKeyMissing.
func (w *Workspace) AddDelegation(o DelegationOptions) error {
	if o.Parent == "" {
		o.Parent = tuf.TARGETS
	}
	if o.Threshold == 0 {
		o.Threshold = 1
	}
	if err := checkRoleName(o.Name); err != nil {
		return err
	}
	paths, err := delegatedPatterns(o)
	if err != nil {
		return err
	}
	role := tuf.DelegatedRole{Name: o.Name, Threshold: o.Threshold, Terminating: o.Terminating, Paths: paths}
	e, err := w.newEdit()
	if err != nil {
		return err
	}
	if err := e.setPeriods([]string{o.Name}, RoleEdit{Expires: o.Expires, RenewWithin: o.RenewWithin}); err != nil {
		return err
	}
	return e.addDelegation(o.Parent, role, o.Keys, newTargets())
}

// addDelegation stages the child and then its parent with the delegation.
func (e *edit) addDelegation(parent string, role tuf.DelegatedRole, keyNames []string, child *tuf.Metadata[tuf.TargetsType]) error {
	v := e.w.view()
	if err := checkNewRole(v, role.Name); err != nil {
		return err
	}
	md, err := e.parentOf(v, parent)
	if err != nil {
		return err
	}
	keys, err := e.w.delegationKeys(keyNames, role.Threshold)
	if err != nil {
		return fmt.Errorf("role %q: %w", role.Name, err)
	}
	if md.Signed.Delegations == nil {
		md.Signed.Delegations = &tuf.Delegations{Keys: map[string]*tuf.Key{}}
	}
	d := md.Signed.Delegations
	for i, key := range keys.keys {
		d.Keys[keys.ids[i]] = key
	}
	role.KeyIDs = keys.ids
	d.Roles = slices.Insert(d.Roles, delegationPlace(d.Roles), role)
	if err := stage(e, role.Name, child); err != nil {
		return err
	}
	if err := stage(e, parent, md); err != nil {
		return err
	}
	return e.commit()
}

// delegationPlace is where a new role goes: last, but before the role images.
func delegationPlace(roles []tuf.DelegatedRole) int {
	if i := slices.IndexFunc(roles, func(r tuf.DelegatedRole) bool { return r.Name == imagesRole }); i >= 0 {
		return i
	}
	return len(roles)
}

// checkNewRole refuses a name that a role or a bin has. A role that was published once and is delegated no more keeps
// its name: clients that saw it refuse lower versions.
func checkNewRole(v *view, name string) error {
	edges, err := v.delegators(name)
	if err != nil {
		return err
	}
	if len(edges) > 0 {
		return fmt.Errorf("%w: %q", ErrRoleExists, name)
	}
	return nil
}

// parentOf parses the role that is to delegate, for the caller to change.
func (e *edit) parentOf(v *view, parent string) (*tuf.Metadata[tuf.TargetsType], error) {
	if parent != tuf.TARGETS {
		edges, err := v.delegators(parent)
		switch {
		case err != nil:
			return nil, err
		case len(edges) == 0 || isTopLevel(parent):
			return nil, fmt.Errorf("%w: %q", ErrNoRole, parent)
		case edges[0].succinct != nil:
			return nil, fmt.Errorf("%w: the hash bin %q cannot delegate", ErrInvalid, parent)
		}
	}
	md, err := parseFile[tuf.TargetsType](e.w.current(parent))
	if err != nil {
		return nil, err
	}
	if d := md.Signed.Delegations; d != nil && d.SuccinctRoles != nil {
		return nil, fmt.Errorf("%w: %q delegates to hash bins, and to nothing else", ErrInvalid, parent)
	}
	return md, nil
}

// newTargets is an empty targets role.
func newTargets() *tuf.Metadata[tuf.TargetsType] { return tuf.Targets(time.Time{}) }

// namedKeys are public keys with their ids, in the order of their names.
type namedKeys struct {
	keys []*tuf.Key
	ids  []string
}

// byID is the form of the keys in a delegating role.
func (k namedKeys) byID() map[string]*tuf.Key {
	m := map[string]*tuf.Key{}
	for i, id := range k.ids {
		m[id] = k.keys[i]
	}
	return m
}

// delegationKeys finds the keys of a new role by name: at least as many different ones as the threshold.
func (w *Workspace) delegationKeys(names []string, threshold int) (namedKeys, error) {
	var out namedKeys
	for _, name := range names {
		key, id, err := w.publicKey(name)
		if err != nil {
			return namedKeys{}, err
		}
		if !slices.Contains(out.ids, id) {
			out.keys, out.ids = append(out.keys, key), append(out.ids, id)
		}
	}
	switch {
	case threshold < 1:
		return namedKeys{}, fmt.Errorf("%w: threshold %d", ErrInvalid, threshold)
	case len(out.ids) < threshold:
		return namedKeys{}, fmt.Errorf("%w: a threshold of %d with %d keys can never be met", ErrInvalid, threshold, len(out.ids))
	}
	return out, nil
}
