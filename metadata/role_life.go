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
	h, err := newHeadState(head, nil)
	if err != nil {
		return nil, err
	}
	v := newParsedFiles().viewOf(h.role)
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
