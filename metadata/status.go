package metadata

import (
	"fmt"
	"maps"
	"slices"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/internal/period"
)

// Status is the workspace at one glance.
type Status struct {
	Repository, Channel string
	Published           *BaseInfo // nil before the first publish, whatever was adopted
	Roles               []RoleStatus
	Added, Removed      []Target // staged entries: new or changed, gone
	Proposed            []ProposalStatus
	Drift               []string // where tufoci.yaml and the metadata differ, one sentence each
	Frozen              []Freeze // what people are signing elsewhere
}

// BaseInfo says which bundle the base is.
type BaseInfo struct {
	Digest    string
	Tag       string
	FetchedAt time.Time
}

// RoleStatus is one row of the table: a role, or all hash bins of a role.
type RoleStatus struct {
	Role          string
	Bins          int   // > 0: the row stands for that many bins
	BaseVersion   int64 // 0: never published
	StagedVersion int64 // 0: nothing staged; what publish makes by itself counts as staged before the first publish
	Signed, Need  int   // distinct keys; for root under its own rules
	OldSigned     int   // staged root only: by the rules of the published root
	OldNeed       int   // 0 when there is no published root
	Expires       time.Time
	Period        time.Duration
	Due           bool // inside its renewal window
	Online        bool // signed by publish
	Keys          []KeyInfo
}

// Status tells what is staged, who must sign and what expires when. It opens hash bins only if they are staged.
func (w *Workspace) Status() (*Status, error) {
	st := &Status{Repository: w.cfg.Repository, Channel: w.cfg.Channel, Frozen: w.Frozen()}
	if w.base != nil && w.base.info.Digest != "" {
		info := w.base.info
		st.Published = &info
	}
	names, err := w.roleNames()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		row, err := w.roleStatus(name)
		if err != nil {
			return nil, err
		}
		st.Roles = append(st.Roles, *row)
	}
	if st.Added, st.Removed, err = w.stagedTargets(); err != nil {
		return nil, err
	}
	if st.Proposed, err = w.proposalStatus(); err != nil {
		return nil, err
	}
	st.Drift, err = w.drift(names)
	return st, err
}

func (w *Workspace) roleStatus(name string) (*RoleStatus, error) {
	if name == binsRole {
		return w.binsStatus()
	}
	rules, err := w.rulesOf(name)
	if err != nil {
		return nil, err
	}
	row := &RoleStatus{Role: name, Online: w.online(name, false), BaseVersion: w.base.version(name)}
	var renew time.Duration
	row.Period, renew = w.cfg.Periods(name)
	if row.Keys, err = w.keyInfos(name, rules...); err != nil {
		return nil, err
	}
	f := w.current(name)
	row.Need = rules[len(rules)-1].threshold
	if f == nil {
		row.StagedVersion, row.Expires = 1, seconds(w.now().Add(row.Period))
		return row, nil
	}
	row.Expires = f.expires
	row.Due = f.expires.Sub(w.now()) < renew
	if w.staged[name] != nil {
		row.StagedVersion = f.version
	}
	counted, err := w.count(f, rules)
	if err != nil {
		return nil, err
	}
	if n := len(counted.Rules); n > 1 {
		row.OldSigned, row.OldNeed = counted.Rules[0].Have, counted.Rules[0].Need
	}
	row.Signed = counted.Rules[len(counted.Rules)-1].Have
	return row, nil
}

// binsStatus is the row of all hash bins: the highest versions, the earliest expiry. Bins that are not staged are not
// opened, so that their published signatures count as what they need.
func (w *Workspace) binsStatus() (*RoleStatus, error) {
	info, err := w.Role(binsRole)
	if err != nil {
		return nil, err
	}
	bins, err := w.view().bins()
	if err != nil {
		return nil, err
	}
	row := &RoleStatus{
		Role: binsRole, Bins: info.Bins, Need: info.Threshold, Signed: info.Threshold, Keys: info.Keys,
		Expires: info.Expires, Period: info.Period, Online: true,
	}
	rules, err := w.view().rules(bins.succinct.GetRoles()[0])
	if err != nil {
		return nil, err
	}
	for _, name := range bins.succinct.GetRoles() {
		row.BaseVersion = max(row.BaseVersion, w.base.version(name))
		f := w.staged[name]
		switch {
		case f == nil && w.base.role(name) == nil:
			row.StagedVersion, row.Signed = max(row.StagedVersion, 1), 0
		case f != nil:
			row.StagedVersion = max(row.StagedVersion, f.version)
			counted, err := w.count(f, rules)
			if err != nil {
				return nil, err
			}
			row.Signed = min(row.Signed, counted.Rules[0].Have)
		}
	}
	if row.Expires.IsZero() {
		row.Expires = seconds(w.now().Add(row.Period))
	}
	row.Due = row.Expires.Sub(w.now()) < info.RenewWithin
	return row, nil
}

// stagedTargets compares the entries of staged roles with those of the base.
func (w *Workspace) stagedTargets() (added, removed []Target, err error) {
	names, err := w.stagedNames()
	if err != nil {
		return nil, nil, err
	}
	now, before := w.view(), w.baseView()
	for _, role := range names {
		if role == tuf.ROOT {
			continue
		}
		next, err := now.entries(role)
		if err != nil {
			return nil, nil, err
		}
		old, err := before.entries(role)
		if err != nil {
			return nil, nil, err
		}
		for path, t := range next {
			if !equalTargets(old[path], t) {
				target := newTarget(role, path, t)
				target.Staged = true
				added = append(added, target)
			}
		}
		for path, t := range old {
			if next[path] == nil {
				removed = append(removed, newTarget(role, path, t))
			}
		}
	}
	sortTargets(added)
	sortTargets(removed)
	return added, removed, nil
}

// drift lists where tufoci.yaml and the newest metadata differ. Keys and thresholds of the metadata are in force; the
// periods of tufoci.yaml hold for the next version.
func (w *Workspace) drift(names []string) ([]string, error) {
	var out []string
	for _, role := range slices.Sorted(maps.Keys(w.cfg.Roles)) {
		if !slices.Contains(names, role) && role != binsRole {
			out = append(out, fmt.Sprintf("tufoci.yaml has periods for role %q, which does not exist", role))
		}
	}
	for _, role := range names {
		if f := w.current(role); f != nil && f.period != 0 {
			if life, _ := w.cfg.Periods(role); f.period != life {
				out = append(out, fmt.Sprintf("%s v%d lives for %s, tufoci.yaml says %s", role, f.version, period.Format(f.period), period.Format(life)))
			}
		}
		info, err := w.Role(role)
		if err != nil {
			return nil, err
		}
		for _, k := range info.Keys {
			if k.Name == "" {
				out = append(out, fmt.Sprintf("%s may be signed by key %s, which has no name in tufoci.yaml", role, k.ID))
			}
		}
	}
	return out, nil
}
