package metadata

import (
	"encoding/json"
	"fmt"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/period"
)

// foreignPeriods are the members by which tuf-on-ci states, in days, how long versions of a role live, and how long
// before their end new ones are signed: in targets roles and root of themselves, and in root of the online roles.
type foreignPeriods struct {
	Expiry  json.Number `json:"x-tuf-on-ci-expiry-period"`
	Signing json.Number `json:"x-tuf-on-ci-signing-period"`
}

// metadataPeriods writes down how long versions of the roles live, where that is not what the profile says.
func (n *adoption) metadataPeriods() error {
	roles, err := n.w.baseView().targetRoles()
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, role := range append([]string{tuf.ROOT, tuf.SNAPSHOT, tuf.TIMESTAMP}, roles...) {
		f := n.head.role(role)
		if f == nil {
			continue
		}
		name := role
		if _, isBin, err := n.w.baseView().binParent(role); err != nil {
			return err
		} else if isBin {
			name = binsRole
		}
		if done[name] {
			continue
		}
		done[name] = true
		l, err := n.periodsOf(name, f)
		if err != nil {
			return err
		}
		if expires, renew := n.w.cfg.Periods(name); l == (life{expires, renew}) {
			continue
		}
		if err := n.w.cfg.SetPeriods(name, l.period, l.renewWithin); err != nil {
			return err
		}
	}
	return nil
}

// periodsOf is what a role states, in the words of this program or of tuf-on-ci. Of one that states nothing it is what
// the profile says, unless it has more life left than that: then it is that life, in whole days.
func (n *adoption) periodsOf(name string, f *roleFile) (life, error) {
	expires, renew := n.w.cfg.Periods(name)
	l := life{expires, renew}
	if f.period > 0 {
		return statedLife(f.role, name == binsRole, f)
	}
	stated, err := n.foreignPeriods(f)
	if err != nil {
		return life{}, err
	}
	if d, ok := days(stated.Expiry); ok {
		l = life{d, min(renew, d/7*6).Truncate(time.Second)}
		if d, ok := days(stated.Signing); ok && d < l.period {
			l.renewWithin = d
		}
		return l, nil
	}
	if left := f.expires.Sub(n.w.now()); left > l.period && left <= period.Longest-day {
		l.period = (left + day - 1).Truncate(day)
	}
	return l, nil
}

func (n *adoption) foreignPeriods(f *roleFile) (foreignPeriods, error) {
	if f.role == tuf.SNAPSHOT || f.role == tuf.TIMESTAMP {
		var root struct {
			Signed struct {
				Roles map[string]foreignPeriods `json:"roles"`
			} `json:"signed"`
		}
		err := lenient(n.head.role(tuf.ROOT), &root)
		return root.Signed.Roles[f.role], err
	}
	var file struct {
		Signed foreignPeriods `json:"signed"`
	}
	err := lenient(f, &file)
	return file.Signed, err
}

// lenient reads members that others define: what is not of the type that is expected does not count.
func lenient(f *roleFile, to any) error {
	data, err := bytesOf(f)
	if err != nil {
		return fmt.Errorf("role %q: %w", f.role, err)
	}
	_ = json.Unmarshal(data, to)
	return nil
}

// days reads a whole number of days, of a length that a period can have.
func days(n json.Number) (time.Duration, bool) {
	count, err := n.Int64()
	if err != nil || count < 1 || count > int64(period.Longest/day) {
		return 0, false
	}
	return time.Duration(count) * day, true
}
