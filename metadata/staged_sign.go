package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// RoleSignatures counts the signatures of a staged role.
type RoleSignatures struct {
	Role    string
	Version int64
	Rules   []SignatureRule // one; for a root after the first two: old, then new
}

// SignatureRule is one threshold that must be met.
type SignatureRule struct {
	By   string // the role whose delegation this is: "root v3", "targets v41"
	Have int
	Need int
	Keys []KeyInfo // all keys that count; Signed tells which have
}

// Complete reports whether every threshold is met.
func (s RoleSignatures) Complete() bool {
	for _, r := range s.Rules {
		if r.Have < r.Need {
			return false
		}
	}
	return len(s.Rules) > 0
}

func (s RoleSignatures) String() string {
	rules := make([]string, len(s.Rules))
	for i, r := range s.Rules {
		rules[i] = fmt.Sprintf("signed by %d of %d required under %s", r.Have, r.Need, r.By)
	}
	return fmt.Sprintf("%s v%d: %s", s.Role, s.Version, strings.Join(rules, ", "))
}

// Sign adds signatures to the staged roles named (all staged ones when empty) with the keys named, or with every key of
// tufoci.yaml that is at hand and may sign when keys is empty. A key is a name of tufoci.yaml or a key URI. All or
// nothing; the roles come back with their counts. ErrInvalid for a role with nothing staged, ErrKeyMissing for a key
// that may sign none of the roles.
func (w *Workspace) Sign(ctx context.Context, roles, keys []string) ([]RoleSignatures, error) {
	if err := w.writable(); err != nil {
		return nil, err
	}
	roles, err := w.stagedRoles(roles)
	if err != nil {
		return nil, err
	}
	open := w.newSigners()
	used := map[string]bool{}
	var signed []*roleFile
	for _, role := range roles {
		rules, err := w.rulesOf(role)
		if err != nil {
			return nil, err
		}
		names := keys
		if len(keys) == 0 {
			names = open.atHand(rules...)
		}
		f, by, err := open.sign(ctx, w.staged[role], rules, names, false)
		if errors.Is(err, ErrKeyMissing) {
			return nil, w.missingKey(err, role)
		}
		if err != nil {
			return nil, err
		}
		for _, name := range by {
			used[name] = true
		}
		signed = append(signed, f)
	}
	for _, name := range keys {
		if !used[name] {
			return nil, w.uselessKey(name, roles)
		}
	}
	w.recordSeen()
	if err := w.saveStaged(signed); err != nil {
		return nil, err
	}
	return w.signaturesOf(roles)
}

// stagedRoles are the roles to sign, in the order of roleNames.
func (w *Workspace) stagedRoles(roles []string) ([]string, error) {
	all, err := w.stagedNames()
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		if !slices.Contains(all, role) {
			return nil, fmt.Errorf("%w in role %q", ErrNotStaged, role)
		}
	}
	switch {
	case len(roles) > 0:
		return roles, nil
	case len(all) == 0:
		return nil, ErrNotStaged
	}
	return all, nil
}

// stagedNames lists the staged roles that a walk reaches, in the order of the walk.
func (w *Workspace) stagedNames() ([]string, error) {
	reached, err := w.view().targetRoles()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(append([]string{tuf.ROOT}, reached...), func(role string) bool { return w.staged[role] == nil }), nil
}

// rulesOf are the thresholds of what is staged of a role. A root must meet those of its predecessor too (spec 5.3.4).
func (w *Workspace) rulesOf(role string) ([]rule, error) {
	if w.staged[role] == nil {
		return w.view().rules(role)
	}
	return w.view().rulesAfter(role, w.base.role(role))
}

// sign signs a file with those of the keys named that a rule knows, and returns these. With enough it stops once the
// thresholds are met.
func (s *signers) sign(ctx context.Context, f *roleFile, rules []rule, names []string, enough bool) (*roleFile, []string, error) {
	signed, by, err := signFile(ctx, f, rules, names, enough, s.named)
	s.noteSigned(by)
	return signed, by, err
}

// signFile is signers.sign, with the keys that open returns by name.
func signFile(ctx context.Context, f *roleFile, rules []rule, names []string, enough bool, open func(name string) (Signer, error)) (*roleFile, []string, error) {
	e, err := f.envelope()
	if err != nil {
		return nil, nil, err
	}
	var by []string
	for _, name := range names {
		if met, err := e.meets(rules); err != nil {
			return nil, nil, err
		} else if met && enough {
			break
		}
		signer, err := open(name)
		if err != nil {
			return nil, nil, err
		}
		ok, err := e.sign(ctx, signer, rules)
		if err != nil {
			return nil, nil, fmt.Errorf("signing %q with key %q: %w", f.role, name, err)
		}
		if ok {
			by = append(by, name)
		}
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, nil, err
	}
	signed, err := newRoleFile(f.role, data)
	return signed, by, err
}

// uselessKey says which keys would have counted.
func (w *Workspace) uselessKey(name string, roles []string) error {
	accepts, err := w.accepts(roles)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: key %q may sign none of the roles: %s", ErrKeyMissing, name, accepts)
}

// accepts says which keys the roles take, and where to look for them.
func (w *Workspace) accepts(roles []string) (string, error) {
	var accepts []string
	for _, role := range roles {
		rules, err := w.rulesOf(role)
		if err != nil {
			return "", err
		}
		infos, err := w.keyInfos(role, rules...)
		if err != nil {
			return "", err
		}
		var keys []string
		for _, k := range infos {
			keys = append(keys, k.String())
		}
		accepts = append(accepts, fmt.Sprintf("%s takes %s", role, strings.Join(keys, ", ")))
	}
	return strings.Join(accepts, "; "), nil
}

// Signatures counts the signatures of every staged role.
func (w *Workspace) Signatures() ([]RoleSignatures, error) {
	names, err := w.stagedNames()
	if err != nil {
		return nil, err
	}
	return w.signaturesOf(names)
}

func (w *Workspace) signaturesOf(roles []string) ([]RoleSignatures, error) {
	out := make([]RoleSignatures, 0, len(roles))
	for _, role := range roles {
		rules, err := w.rulesOf(role)
		if err != nil {
			return nil, err
		}
		s, err := w.count(w.current(role), rules)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// count counts the signatures of a file by each rule.
func (w *Workspace) count(f *roleFile, rules []rule) (RoleSignatures, error) {
	return countSignatures(f, rules, w.keyInfo)
}

func countSignatures(f *roleFile, rules []rule, info func(id string, key *tuf.Key, signed bool) KeyInfo) (RoleSignatures, error) {
	out := RoleSignatures{Role: f.role, Version: f.version}
	for _, r := range rules {
		signed, err := f.signed(r)
		if err != nil {
			return RoleSignatures{}, err
		}
		out.Rules = append(out.Rules, r.describe(signed, info))
	}
	return out, nil
}

// describe counts the keys of a rule that have signed.
func (r rule) describe(signed map[string]bool, info func(id string, key *tuf.Key, signed bool) KeyInfo) SignatureRule {
	out := SignatureRule{By: r.by, Have: r.count(signed), Need: r.threshold}
	for _, id := range r.ids {
		out.Keys = append(out.Keys, info(id, r.keys[id], signed[id]))
	}
	return out
}
