package metadata

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// RefreshOptions steer Refresh.
type RefreshOptions struct {
	Keys             []SigningKey // names must differ
	Now              time.Time
	TimestampVersion int64      // least version of the new timestamp; 0: the next one
	Above            int64      // a timestamp that is not above this version is renewed, and the snapshot, due or not
	Within           Window     // default: what each role states
	Force            bool       // renew every role whose threshold the keys meet, due or not
	Leave            []string   // roles that are not renewed here, since somebody has the next version at work
	Proposals        []Proposal // taken over before anything is renewed: all of them, or the refresh fails
}

// Refresh makes the next state of a repository without a workspace: the head with timestamp, snapshot and every other
// role renewed that is inside its renewal window and whose threshold the keys meet, root aside. Roles keep all else that
// they say, also what this program does not know, and the period that they state. Those that are not renewed are taken
// over byte for byte. Roles that are due and not renewed are in Release.Waiting.
//
// Errors: *NoKeysError when there is something to do and the keys cannot sign it, *LintError, ErrHead, and those of
// opening private keys.
func Refresh(ctx context.Context, head *Head, o RefreshOptions) (*Release, error) {
	h, err := newHeadState(head, nil)
	if err != nil {
		return nil, err
	}
	r := &refresh{o: o}
	r.assembly = newAssembly(r, newParsedFiles(), h, o.Now, o.TimestampVersion)
	r.above = o.Above
	release, err := r.run(ctx, r.takeProposals, r.renewRoles, r.makeSnapshot, r.makeTimestamp, r.complete, r.wait, r.lint)
	if err != nil {
		return nil, err
	}
	release.Waiting = r.waiting
	return release, nil
}

// WaitingRole is a role that is due and was not renewed.
type WaitingRole struct {
	Role    string
	Version int64
	Expires time.Time
	// Rules are its thresholds: Have counts the keys at hand, which are Signed.
	Rules []SignatureRule
}

// NoKeysError lists roles that are to be renewed and cannot be, with the keys that would do. It Is ErrKeyMissing.
type NoKeysError struct {
	Roles []WaitingRole
}

func (e *NoKeysError) Error() string {
	parts := make([]string, len(e.Roles))
	for i, r := range e.Roles {
		parts[i] = r.String()
	}
	return "no key at hand for " + strings.Join(parts, "; ")
}

// Is reports that the error is an ErrKeyMissing.
func (e *NoKeysError) Is(target error) bool { return target == ErrKeyMissing }

// String says which keys the role needs.
func (r WaitingRole) String() string {
	rules := make([]string, len(r.Rules))
	for i, rule := range r.Rules {
		ids := make([]string, len(rule.Keys))
		for k, key := range rule.Keys {
			ids[k] = key.ID
		}
		rules[i] = fmt.Sprintf("%d of %d required by %s, which takes %s", rule.Have, rule.Need, rule.By, strings.Join(ids, ", "))
	}
	return fmt.Sprintf("%s v%d (%s)", r.Role, r.Version, strings.Join(rules, "; "))
}

// refresh is one run of Refresh: an assembly with keys that were given, and what the roles themselves state.
type refresh struct {
	*assembly
	o       RefreshOptions
	waiting []WaitingRole
}

// online: all roles but root, which is a decision of people.
func (r *refresh) online(role string, _ bool) bool {
	return role != tuf.ROOT && !slices.Contains(r.o.Leave, role)
}

func (r *refresh) lifeOf(role string, isBin bool, f *roleFile) (life, error) {
	return statedLife(role, isBin, f)
}

func (r *refresh) due(f *roleFile, l life, now time.Time) bool {
	return r.o.Force || f.expires.Sub(now) < r.o.Within.of(l)
}

func (r *refresh) atHand(rules ...rule) []string {
	var names []string
	for _, k := range r.o.Keys {
		if inRules(rules, k.Key()) {
			names = append(names, k.Name)
		}
	}
	return names
}

func (r *refresh) sign(ctx context.Context, f *roleFile, rules []rule, names []string, enough bool) (*roleFile, []string, error) {
	return signFile(ctx, f, rules, names, enough, func(name string) (Signer, error) {
		i := slices.IndexFunc(r.o.Keys, func(k SigningKey) bool { return k.Name == name })
		return r.o.Keys[i].Signer, nil
	})
}

func (r *refresh) keyInfo(id string, key *tuf.Key, signed bool) KeyInfo {
	return anonymous(id, key, signed)
}

// anonymous describes a key that only metadata knows.
func anonymous(id string, key *tuf.Key, signed bool) KeyInfo {
	return KeyInfo{ID: id, Type: key.Type, Scheme: key.Scheme, Signed: signed}
}

// blob is what the head came with: it has all target files, and some with their bytes.
func (r *refresh) blob(n entry) ([]byte, error) {
	sum := FileHash(n.Hashes)
	f := r.head.targets[TargetTitle(n.Path, sum)]
	if f.Data == nil || !hasFileHash(f.Data, sum) {
		return nil, nil
	}
	return f.Data, nil
}

// complete fails if a role was renewed and snapshot or timestamp cannot follow.
func (r *refresh) complete(context.Context) error {
	var lacking []WaitingRole
	for _, n := range r.needs {
		w, err := r.waitingRole(n.Role)
		if err != nil {
			return err
		}
		lacking = append(lacking, w)
	}
	if len(lacking) > 0 {
		return &NoKeysError{Roles: lacking}
	}
	return nil
}

// wait notes the roles that are due and were not renewed. It fails if nothing was renewed although timestamp or snapshot
// should have been, or although something else is due and no key for the timestamp is at hand, or if none of the keys
// given may sign anything here: then the keys are the wrong ones. A role that waits for people is no failure: whoever renews the timestamp goes on with that.
func (r *refresh) wait(context.Context) error {
	roles, err := r.view.targetRoles()
	if err != nil {
		return err
	}
	wrong := r.o.Force
	for _, role := range append([]string{tuf.TIMESTAMP, tuf.SNAPSHOT, tuf.ROOT}, roles...) {
		f := r.next[role]
		if f == nil || r.renewed(role) {
			continue
		}
		l, err := r.life(role)
		if err != nil {
			return err
		}
		if f.expires.Sub(r.now) >= r.o.Within.of(l) {
			continue
		}
		w, err := r.waitingRole(role)
		if err != nil {
			return err
		}
		r.waiting = append(r.waiting, w)
		wrong = wrong || role == tuf.TIMESTAMP || role == tuf.SNAPSHOT
	}
	if len(r.changed) > 0 {
		return nil
	}
	timestamp, err := r.waitingRole(tuf.TIMESTAMP)
	if err != nil {
		return err
	}
	strangers, err := r.strangers()
	if err != nil {
		return err
	}
	if (wrong || strangers) && len(r.waiting) == 0 { // forced, or nothing to do with this repository
		return &NoKeysError{Roles: []WaitingRole{timestamp}}
	}
	if wrong || strangers || len(r.waiting) > 0 && timestamp.Rules[0].Have == 0 {
		return &NoKeysError{Roles: r.waiting}
	}
	return nil
}

func (r *refresh) renewed(role string) bool {
	return slices.ContainsFunc(r.changed, func(c RoleChange) bool { return c.Role == role })
}

// waitingRole counts the keys at hand for a role of the head.
func (r *refresh) waitingRole(role string) (WaitingRole, error) {
	rules, err := r.view.rules(role)
	if err != nil {
		return WaitingRole{}, err
	}
	f := r.head.role(role)
	return WaitingRole{Role: role, Version: f.version, Expires: f.expires, Rules: describeAtHand(rules, r.o.Keys)}, nil
}
