package metadata

import (
	"encoding/json"
	"fmt"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/period"
)

// RoleLife says of one role of a repository when it ends, and who can renew it.
type RoleLife struct {
	Role    string
	Version int64
	Expires time.Time
	// Period and RenewWithin are what the file states, else the defaults of profile standard.
	Period, RenewWithin time.Duration
	// Online: it is renewed by a machine, as snapshot, timestamp and hash bins are. Whether a machine has the keys of
	// others too, metadata does not say.
	Online bool
	Rules  []SignatureRule // Have and Signed count the signatures of the file
}

// Floor is how much life a role should have left at the least: less says that whoever renews it does not. Online roles
// are renewed as soon as they may be, so they get a sixth of their window; the others have all of it for their people.
func (r RoleLife) Floor() time.Duration {
	if r.Online {
		return r.RenewWithin / 6 * 5
	}
	return r.RenewWithin
}

// Lives describes the roles of a verified repository: root, targets and the roles that it delegates to, in the order of
// the walk, snapshot, timestamp. ErrHead.
func Lives(head *Head) ([]RoleLife, error) {
	_, lives, err := livesOf(head)
	return lives, err
}

// LivesAtHand is Lives for a holder of keys: Have and Signed count the keys at hand in place of the signatures.
func LivesAtHand(head *Head, keys []SigningKey) ([]RoleLife, error) {
	v, lives, err := livesOf(head)
	if err != nil {
		return nil, err
	}
	for i := range lives {
		rules, err := v.rules(lives[i].Role)
		if err != nil {
			return nil, err
		}
		lives[i].Rules = describeAtHand(rules, keys)
	}
	return lives, nil
}

// AtHand reports, of a role of LivesAtHand, whether the keys at hand can renew it.
func (r RoleLife) AtHand() bool { return RoleSignatures{Rules: r.Rules}.Complete() }

// describeAtHand describes rules: Have counts the keys at hand, which are Signed.
func describeAtHand(rules []rule, keys []SigningKey) []SignatureRule {
	var out []SignatureRule
	for _, rule := range rules {
		hands := map[string]bool{}
		for _, k := range keys {
			for _, id := range rule.idsOf(k.Key()) {
				hands[id] = true
			}
		}
		out = append(out, rule.describe(hands, anonymous))
	}
	return out
}

func livesOf(head *Head) (*view, []RoleLife, error) {
	h, err := newHeadState(head, nil)
	if err != nil {
		return nil, nil, err
	}
	v := newParsedFiles().viewOf(h.role)
	lives, err := v.lives(h)
	return v, lives, err
}

func (v *view) lives(h *headState) ([]RoleLife, error) {
	roles, err := v.targetRoles()
	if err != nil {
		return nil, err
	}
	roles = append(append([]string{tuf.ROOT}, roles...), tuf.SNAPSHOT, tuf.TIMESTAMP)
	var out []RoleLife
	for _, role := range roles {
		f := h.role(role)
		if f == nil {
			continue // a hash bin that nobody has made
		}
		l, err := v.lifeOf(f)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func (v *view) lifeOf(f *roleFile) (RoleLife, error) {
	isBin := false
	if !isTopLevel(f.role) {
		var err error
		if _, isBin, err = v.binParent(f.role); err != nil {
			return RoleLife{}, err
		}
	}
	l, err := statedLife(f.role, isBin, f)
	if err != nil {
		return RoleLife{}, err
	}
	rules, err := v.rules(f.role)
	if err != nil {
		return RoleLife{}, err
	}
	counted, err := countSignatures(f, rules, anonymous)
	return RoleLife{
		Role: f.role, Version: f.version, Expires: f.expires, Period: l.period, RenewWithin: l.renewWithin,
		Online: isBin || f.role == tuf.SNAPSHOT || f.role == tuf.TIMESTAMP, Rules: counted.Rules,
	}, err
}

// statedLife is what a role says of its period and its window, else the defaults of profile standard. Others may have
// made the file: what is out of all bounds, or no number, does not count.
func statedLife(role string, isBin bool, f *roleFile) (life, error) {
	data, err := bytesOf(f)
	if err != nil {
		return life{}, err
	}
	var file struct {
		Signed struct {
			Period json.RawMessage `json:"x-tufoci-expires"`
			Renew  json.RawMessage `json:"x-tufoci-renew-within"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return life{}, fmt.Errorf("role %q: %w: %v", role, ErrDamaged, err)
	}
	if isBin {
		role = binsRole
	}
	p := profilePeriods(ProfileStandard, role)
	l := life{p.Expires, p.RenewWithin}
	if stated, ok := statedSeconds(file.Signed.Period); ok && stated > 0 {
		l = life{stated, min(l.renewWithin, stated/7*6).Truncate(time.Second)}
	}
	if stated, ok := statedSeconds(file.Signed.Renew); ok && stated < l.period {
		l.renewWithin = stated
	}
	return l, nil
}

func statedSeconds(raw json.RawMessage) (time.Duration, bool) {
	var n int64
	if raw == nil || json.Unmarshal(raw, &n) != nil || n < 0 || n > int64(period.Longest/time.Second) {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}
