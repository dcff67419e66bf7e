package metadata

import (
	"context"
	"encoding/json"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// signRoles signs or checks root and the targets roles: those that are staged, those whose delegators changed, and hash
// bins that have no file yet. The files of all others are not opened.
func (a *assembly) signRoles(ctx context.Context) error {
	roles, err := a.toCheck()
	if err != nil {
		return err
	}
	for _, role := range roles {
		if err := a.checkRole(ctx, role); err != nil {
			return err
		}
	}
	return nil
}

// toCheck lists the roles to be signed or checked, delegators first.
func (a *assembly) toCheck() ([]string, error) {
	var roles []string
	add := func(role string) {
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	if a.staged[tuf.ROOT] != nil {
		add(tuf.ROOT)
		add(tuf.TARGETS)
	}
	if a.staged[tuf.TARGETS] != nil {
		add(tuf.TARGETS)
	}
	edges, err := a.view.edges()
	if err != nil {
		return nil, err
	}
	for _, d := range edges {
		if d.succinct != nil {
			if err := a.binsToCheck(d, add); err != nil {
				return nil, err
			}
			continue
		}
		if a.staged[d.role.Name] != nil || a.staged[d.parent] != nil && a.next[d.role.Name] != nil {
			add(d.role.Name)
		}
	}
	return roles, nil
}

// binsToCheck adds the bins that are staged or new; all of them if they have another key now.
func (a *assembly) binsToCheck(d delegation, add func(string)) error {
	rekeyed := false
	if a.staged[d.parent] != nil {
		old, err := a.headBins()
		if err != nil {
			return err
		}
		md, err := a.view.targets(d.parent)
		if err != nil {
			return err
		}
		rekeyed = old == nil || !old.equal(delegationRule(d.parent, md, d))
	}
	for _, bin := range d.succinct.GetRoles() {
		if rekeyed || a.staged[bin] != nil || a.next[bin] == nil {
			add(bin)
		}
	}
	return nil
}

// checkRole signs the role if publish may, and notes what is missing if it may not.
func (a *assembly) checkRole(ctx context.Context, role string) error {
	rules, err := a.rules(role)
	if err != nil {
		return err
	}
	_, isBin, err := a.view.binParent(role)
	if err != nil {
		return err
	}
	f, why := a.next[role], whyRenewed
	if f == nil {
		why = whyOnline
		if f, err = emptyTargets(role); err != nil {
			return err
		}
	} else {
		met, err := f.meets(rules)
		if err != nil {
			return err
		}
		if a.staged[role] != nil {
			why = whyStaged
		}
		if met {
			if why == whyStaged {
				a.put(f, why)
			}
			return nil
		}
	}
	if !a.by.online(role, isBin) {
		return a.need(f, rules)
	}
	return a.signOnline(ctx, f, rules, why)
}

// signOnline makes a version of the role and signs it with the keys at hand, or notes which are missing. What is staged
// and has signatures keeps its bytes.
func (a *assembly) signOnline(ctx context.Context, f *roleFile, rules []rule, why string) error {
	signed, met, err := a.attempt(ctx, f, rules)
	if err != nil {
		return err
	}
	if !met {
		return a.need(signed, rules)
	}
	a.put(signed, why)
	a.toSave = append(a.toSave, signed)
	return nil
}

// attempt is signOnline without its consequences.
func (a *assembly) attempt(ctx context.Context, f *roleFile, rules []rule) (signed *roleFile, met bool, err error) {
	if f, err = a.version(f); err != nil {
		return nil, false, err
	}
	signed, _, err = a.by.sign(ctx, f, rules, a.by.atHand(rules...), true)
	if err != nil {
		return nil, false, err
	}
	met, err = signed.meets(rules)
	return signed, met, err
}

// version is the version to sign: the staged one if it has signatures, else a new one with a full life from now on.
func (a *assembly) version(f *roleFile) (*roleFile, error) {
	data, err := bytesOf(f)
	if err != nil {
		return nil, err
	}
	if a.staged[f.role] == f {
		if e, err := openEnvelope(data); err != nil || len(e.Signatures) > 0 {
			return f, err
		}
	}
	l, err := a.life(f.role)
	if err != nil {
		return nil, err
	}
	version := max(a.head.version(f.role)+1, a.least[f.role])
	if data, err = nextVersion(data, version, a.now, l); err != nil {
		return nil, err
	}
	return newRoleFile(f.role, data)
}

// life is how long new versions of the role live.
func (a *assembly) life(role string) (life, error) {
	isBin := false
	if !isTopLevel(role) {
		var err error
		if _, isBin, err = a.view.binParent(role); err != nil {
			return life{}, err
		}
	}
	return a.by.lifeOf(role, isBin, a.next[role])
}

// rules are the thresholds of a role in the release. A new root must meet those of its predecessor too (spec 5.3.4).
func (a *assembly) rules(role string) ([]rule, error) {
	rules, err := a.view.rules(role)
	if err != nil || role != tuf.ROOT || a.head == nil {
		return rules, err
	}
	old, err := parseFile[tuf.RootType](a.head.role(tuf.ROOT))
	if err != nil {
		return nil, err
	}
	return append([]rule{rootRule(old, tuf.ROOT)}, rules...), nil
}

// renewRoles signs online roles anew that are inside their renewal window. A key that is not at hand is no error: the
// role lives a little longer.
func (a *assembly) renewRoles(ctx context.Context) error {
	roles, err := a.view.targetRoles()
	if err != nil {
		return err
	}
	for _, role := range append([]string{tuf.ROOT}, roles...) {
		f := a.next[role]
		if f == nil || slices.ContainsFunc(a.changed, func(c RoleChange) bool { return c.Role == role }) {
			continue
		}
		_, isBin, err := a.view.binParent(role)
		if err != nil {
			return err
		}
		l, err := a.life(role)
		if err != nil {
			return err
		}
		if !a.by.online(role, isBin) || !a.by.due(f, l, a.now) {
			continue
		}
		rules, err := a.rules(role)
		if err != nil {
			return err
		}
		if len(a.by.atHand(rules...)) == 0 {
			continue
		}
		signed, met, err := a.attempt(ctx, f, rules)
		if err != nil {
			return err
		}
		if met {
			a.put(signed, whyRenewed)
			a.toSave = append(a.toSave, signed)
		}
	}
	return nil
}

// emptyTargets is the content of a role that lists nothing yet.
func emptyTargets(role string) (*roleFile, error) {
	data, err := encode(newTargets())
	if err != nil {
		return nil, err
	}
	return &roleFile{role: role, read: func() ([]byte, error) { return data, nil }}, nil
}

// isEmptyTargets reports whether a role lists nothing.
func isEmptyTargets(f *roleFile) (bool, error) {
	md, err := parseFile[tuf.TargetsType](f)
	return err == nil && len(md.Signed.Targets) == 0 && md.Signed.Delegations == nil, err
}

// samePayload reports whether two files differ in signatures only.
func samePayload(a, b *roleFile) (bool, error) {
	var parts [2]json.RawMessage
	for i, f := range []*roleFile{a, b} {
		e, err := f.envelope()
		if err != nil {
			return false, err
		}
		if parts[i], err = e.payload(); err != nil {
			return false, err
		}
	}
	return string(parts[0]) == string(parts[1]), nil
}
