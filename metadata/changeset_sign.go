package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Payload is what the signatures of a role are over. ErrNoRole for one that is not in the changeset.
func (c *Changeset) Payload(role string) ([]byte, error) {
	f := c.next[role]
	if f == nil {
		return nil, fmt.Errorf("%w: %q is not among what is to be signed", ErrNoRole, role)
	}
	return f.payload()
}

// payload is what the signatures of the file are over.
func (f *roleFile) payload() ([]byte, error) {
	e, err := f.envelope()
	if err != nil {
		return nil, err
	}
	return e.payload()
}

// Signatures counts the signatures of every role.
func (c *Changeset) Signatures() ([]RoleSignatures, error) {
	out := make([]RoleSignatures, 0, len(c.roles))
	for _, role := range c.roles {
		rules, err := c.rules(role)
		if err != nil {
			return nil, err
		}
		s, err := countSignatures(c.next[role], rules, c.keyInfo)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Sign signs each role with those of the keys that may sign it, and returns the signatures; one that is there already is
// not made again. All or nothing. ErrKeyMissing for a key that may sign none of the roles.
func (c *Changeset) Sign(ctx context.Context, keys ...SigningKey) ([]DetachedSignature, error) {
	add := c.adding()
	var made []DetachedSignature
	for _, key := range keys {
		used := false
		for _, role := range c.roles {
			s, err := add.sign(ctx, role, key)
			if err != nil {
				return nil, fmt.Errorf("signing %q with key %q: %w", role, key.Name, err)
			}
			if s != nil {
				used, made = true, append(made, *s)
			}
		}
		if !used {
			return nil, fmt.Errorf("%w: key %q may sign none of the roles: %s", ErrKeyMissing, key.Name, c.accepts())
		}
	}
	return made, add.commit()
}

// Add adds signatures that were made elsewhere, each to the roles whose bytes it is over, and says which these are. All or
// nothing; one that is there already is no error. ErrSignature with the reason for one that does not verify, is of a key
// that no rule knows, or over other bytes.
func (c *Changeset) Add(signatures ...DetachedSignature) (roles []string, err error) {
	add := c.adding()
	for _, s := range signatures {
		if err := s.check(); err != nil {
			return nil, err
		}
		found, err := add.detached(s)
		if err != nil {
			return nil, err
		}
		roles = distinct(roles, found)
	}
	return roles, add.commit()
}

// AddFile adds the signature in a file of any form that a tool writes, by the key of a name, or of a key id, in the
// changeset. ErrKeyMissing for a key that no rule knows, ErrSignature as Add.
func (c *Changeset) AddFile(keyName string, data []byte) (roles []string, err error) {
	key, err := c.named(keyName)
	if err != nil {
		return nil, err
	}
	add := c.adding()
	var reasons []error
	for _, role := range c.roles {
		rules, err := c.rules(role)
		if err != nil {
			return nil, err
		}
		if !inRules(rules, key) {
			continue
		}
		payload, err := c.Payload(role)
		if err != nil {
			return nil, err
		}
		sig, err := findSignature(key, payload, data)
		if err != nil {
			reasons = append(reasons, fmt.Errorf("key %q, %s: %w", keyName, c.label(role), err))
			continue
		}
		if err := add.add(role, key, sig); err != nil {
			return nil, err
		}
		roles = append(roles, role)
	}
	if len(roles) == 0 {
		return nil, errors.Join(reasons...)
	}
	return roles, add.commit()
}

// Merge adds the signatures of another copy of the same changeset. ErrSignature for one that is over other bytes.
func (c *Changeset) Merge(other *Changeset) (roles []string, err error) {
	add := c.adding()
	if !slices.Equal(c.roles, other.roles) {
		return nil, fmt.Errorf("%w: it is of other roles", ErrSignature)
	}
	for _, role := range c.roles {
		added, err := add.merge(role, other.next[role])
		if err != nil {
			return nil, err
		}
		if added {
			roles = append(roles, role)
		}
	}
	return roles, add.commit()
}

// label is "root v4".
func (c *Changeset) label(role string) string {
	return fmt.Sprintf("%s v%d", role, c.next[role].version)
}

// named finds a key by its name or its id.
func (c *Changeset) named(nameOrID string) (*tuf.Key, error) {
	id := nameOrID
	for known, name := range c.names {
		if name == nameOrID {
			id = known
		}
	}
	key, err := c.key(id)
	if err == nil && key == nil {
		err = fmt.Errorf("%w: key %q may sign none of the roles: %s", ErrKeyMissing, nameOrID, c.accepts())
	}
	return key, err
}

// accepts says which keys count for which role.
func (c *Changeset) accepts() string {
	var out []string
	for _, role := range c.roles {
		rules, err := c.rules(role)
		if err != nil {
			continue
		}
		var keys []string
		for _, r := range rules {
			for _, id := range r.ids {
				keys = append(keys, c.keyInfo(id, r.keys[id], false).String())
			}
		}
		out = append(out, fmt.Sprintf("%s takes %s", role, strings.Join(distinct(keys), ", ")))
	}
	return strings.Join(out, "; ")
}

// adding collects signatures, so that a bad one among them adds none.
type adding struct {
	c    *Changeset
	open map[string]*envelope
}

func (c *Changeset) adding() *adding { return &adding{c, map[string]*envelope{}} }

// envelope opens a role once.
func (a *adding) envelope(role string) (*envelope, error) {
	if a.open[role] == nil {
		e, err := a.c.next[role].envelope()
		if err != nil {
			return nil, err
		}
		a.open[role] = &e
	}
	return a.open[role], nil
}

// parts are what a signature of a role is judged by.
func (a *adding) parts(role string) (*envelope, []rule, []byte, error) {
	e, err := a.envelope(role)
	if err != nil {
		return nil, nil, nil, err
	}
	rules, err := a.c.rules(role)
	if err != nil {
		return nil, nil, nil, err
	}
	payload, err := e.payload()
	return e, rules, payload, err
}

// sign signs a role, or finds the signature that is there; nil for a key that may not sign the role.
func (a *adding) sign(ctx context.Context, role string, key Signer) (*DetachedSignature, error) {
	e, rules, payload, err := a.parts(role)
	if err != nil || !inRules(rules, key.Key()) {
		return nil, err
	}
	sig := e.by(key.Key(), payload, rules)
	if sig == nil {
		if sig, err = key.Sign(ctx, payload); err != nil {
			return nil, err
		}
	}
	if err := e.add(key.Key(), payload, sig, rules); err != nil {
		return nil, err
	}
	return newDetached(key.Key(), checksum(payload), payload, sig)
}

// detached adds a signature to the roles whose bytes it is over.
func (a *adding) detached(s DetachedSignature) (roles []string, err error) {
	var sums []string
	var refused error
	for _, role := range a.c.roles {
		e, rules, payload, err := a.parts(role)
		if err != nil {
			return nil, err
		}
		sum := checksum(payload)
		sums = append(sums, fmt.Sprintf("%s has %s", a.c.label(role), sum))
		switch {
		case sum != s.Payload:
			continue
		case !inRules(rules, s.Key):
			refused = fmt.Errorf("%w: key %s may not sign: %s", ErrSignature, short(s.KeyID), a.c.accepts())
			continue
		}
		if err := e.add(s.Key, payload, s.Sig, rules); err != nil {
			return nil, fmt.Errorf("key %s: %w", short(s.KeyID), err)
		}
		roles = append(roles, role)
	}
	switch {
	case len(roles) > 0:
		return roles, nil
	case refused != nil:
		return nil, refused
	}
	return nil, fmt.Errorf("%w: it is over other bytes, with sha256 %s; %s", ErrSignature, s.Payload, strings.Join(sums, ", "))
}

// add adds a signature to one role.
func (a *adding) add(role string, key *tuf.Key, sig []byte) error {
	e, rules, payload, err := a.parts(role)
	if err != nil {
		return err
	}
	return e.add(key, payload, sig, rules)
}

// merge adds the signatures that a file of the same role has.
func (a *adding) merge(role string, f *roleFile) (added bool, err error) {
	e, rules, payload, err := a.parts(role)
	if err != nil {
		return false, err
	}
	other, err := f.envelope()
	if err != nil {
		return false, err
	}
	if theirs, err := other.payload(); err != nil || checksum(theirs) != checksum(payload) {
		return false, fmt.Errorf("%w: %s v%d is over other bytes", ErrSignature, role, f.version)
	}
	before := len(e.Signatures)
	if err := e.merge(other.Signatures, payload, rules); err != nil {
		return false, fmt.Errorf("%s: %w", role, err)
	}
	return len(e.Signatures) > before, nil
}

// commit makes the signatures those of the changeset.
func (a *adding) commit() error {
	next := map[string]*roleFile{}
	for role, e := range a.open {
		f, err := fileWith(role, e)
		if err != nil {
			return err
		}
		next[role] = f
	}
	maps.Copy(a.c.next, next)
	return nil
}

// fileWith is the file of a role with the signatures of an envelope.
func fileWith(role string, e *envelope) (*roleFile, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return newRoleFile(role, data)
}
