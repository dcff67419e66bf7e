package metadata

import "fmt"

// Payload is what the signatures of a staged role are over, for a key that no program here can reach. ErrInvalid for a role
// with nothing staged.
func (w *Workspace) Payload(role string) ([]byte, error) {
	_, _, payload, err := w.stagedParts(role)
	return payload, err
}

// AddSignature adds a signature to a staged role, by the key of a name in tufoci.yaml or of a key id. data is what some
// tool wrote: hex, base64, bytes as they are, or the JSON of a DetachedSignature. One that is there already is no error,
// and no other is lost. ErrInvalid, ErrKeyMissing for an unknown key, ErrSignature with the reason.
func (w *Workspace) AddSignature(role, keyName string, data []byte) (RoleSignatures, error) {
	if err := w.writable(); err != nil {
		return RoleSignatures{}, err
	}
	e, rules, payload, err := w.stagedParts(role)
	if err != nil {
		return RoleSignatures{}, err
	}
	key := keyIn(rules, keyName)
	if key == nil {
		if key, _, err = w.publicKey(keyName); err != nil {
			return RoleSignatures{}, err
		}
	}
	if !inRules(rules, key) {
		return RoleSignatures{}, fmt.Errorf("%w: %w", ErrSignature, w.uselessKey(keyName, []string{role}))
	}
	sig, err := findSignature(key, payload, data)
	if err != nil {
		return RoleSignatures{}, fmt.Errorf("key %q, %s v%d: %w", keyName, role, w.staged[role].version, err)
	}
	if err := e.add(key, payload, sig, rules); err != nil {
		return RoleSignatures{}, err
	}
	if err := w.saveEnvelopes(map[string]*envelope{role: e}, []string{role}); err != nil {
		return RoleSignatures{}, err
	}
	counted, err := w.signaturesOf([]string{role})
	if err != nil {
		return RoleSignatures{}, err
	}
	return counted[0], nil
}

// AddSignatures adds the signatures of a changeset to what is staged, which must be what the changeset froze, on the same
// base. All or nothing, and no other signature is lost. *ConflictError where the base has moved, ErrChanged where something
// else is staged now.
func (w *Workspace) AddSignatures(c *Changeset) ([]RoleSignatures, error) {
	if err := w.writable(); err != nil {
		return nil, err
	}
	if err := w.onBaseOf(c); err != nil {
		return nil, err
	}
	open := map[string]*envelope{}
	for _, role := range c.roles {
		frozen, err := c.Payload(role)
		if err != nil {
			return nil, err
		}
		if w.staged[role] == nil {
			return nil, fmt.Errorf("%w: nothing is staged in %s any more", ErrChanged, role)
		}
		e, rules, payload, err := w.stagedParts(role)
		if err != nil {
			return nil, err
		}
		if checksum(frozen) != checksum(payload) {
			return nil, fmt.Errorf("%w: %s v%d as staged has sha256 %s, as signed %s", ErrChanged, role, w.staged[role].version, checksum(payload), checksum(frozen))
		}
		signed, err := c.next[role].envelope()
		if err != nil {
			return nil, err
		}
		if err := e.merge(signed.Signatures, payload, rules); err != nil {
			return nil, fmt.Errorf("%s: %w", role, err)
		}
		open[role] = e
	}
	if err := w.saveEnvelopes(open, c.roles); err != nil {
		return nil, err
	}
	return w.signaturesOf(c.roles)
}

// onBaseOf compares what was published when a changeset was made with the base. *ConflictError.
func (w *Workspace) onBaseOf(c *Changeset) error {
	above, err := c.view().above(c.roles)
	if err != nil {
		return err
	}
	var moved []RoleConflict
	for _, role := range distinct(c.roles, above) {
		then, now := c.base[role], w.base.role(role)
		if then == nil && now == nil || then != nil && now != nil && then.sum == now.sum {
			continue
		}
		staged, published := c.Version(role)
		moved = append(moved, RoleConflict{Role: role, BaseVersion: published, StagedVersion: staged, HeadVersion: w.base.version(role)})
	}
	if len(moved) > 0 {
		return &ConflictError{Roles: moved}
	}
	return nil
}

// stagedParts opens a staged role, with the rules that it must meet and what its signatures are over. ErrInvalid.
func (w *Workspace) stagedParts(role string) (*envelope, []rule, []byte, error) {
	if _, err := w.stagedRoles([]string{role}); err != nil {
		return nil, nil, nil, err
	}
	rules, err := w.rulesOf(role)
	if err != nil {
		return nil, nil, nil, err
	}
	e, err := w.staged[role].envelope()
	if err != nil {
		return nil, nil, nil, err
	}
	payload, err := e.payload()
	return &e, rules, payload, err
}

// saveEnvelopes writes staged files with more signatures.
func (w *Workspace) saveEnvelopes(open map[string]*envelope, roles []string) error {
	var files []*roleFile
	for _, role := range roles {
		f, err := fileWith(role, open[role])
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	return w.saveStaged(files)
}
