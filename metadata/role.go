package metadata

import (
	"fmt"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// KeyInfo is one public key that may sign a role.
type KeyInfo struct {
	ID     string // TUF key id, 64 hex characters
	Name   string // name in tufoci.yaml, "" when it is not there
	URI    string // URI in tufoci.yaml, "" when held elsewhere
	Owner  string // who holds it, as tufoci.yaml says
	Seen   KeySeen
	Type   string // ed25519, ecdsa, rsa
	Scheme string
	Signed bool // its signature over the staged bytes is there and verifies
}

// String is the name, if it has one, the first digits of the id, and where to look for the private key.
func (k KeyInfo) String() string {
	short := k.ID[:min(len(k.ID), 8)]
	if k.Name == "" {
		return short
	}
	where := []string{k.Seen.text(k.URI)}
	if k.Owner != "" {
		where = []string{k.Owner, where[0]}
	}
	text := k.Name + " " + short
	if k.URI != "" {
		text += " " + k.URI
	}
	return text + " (" + strings.Join(where, "; ") + ")"
}

// RoleInfo is a role as it would be published.
type RoleInfo struct {
	Name        string
	Parent      string // "" for the top-level roles
	Version     int64  // of the staged bytes, else of the base; 0 before the first publish of an online role
	Expires     time.Time
	Period      time.Duration // life of a new version
	RenewWithin time.Duration
	Threshold   int
	Keys        []KeyInfo
	Paths       []string
	Terminating bool
	Bins        int    // number of hash bins that this role delegates, 0 for most
	BinPrefix   string // name prefix of these bins
	Targets     int    // entries in its own list; -1 for all bins together
	Staged      bool
	Delegations []string // names, in order of priority
}

// Roles lists all roles in the order in which a lookup walks them; all bins together are one entry named "bins".
func (w *Workspace) Roles() ([]RoleInfo, error) {
	names, err := w.roleNames()
	if err != nil {
		return nil, err
	}
	var out []RoleInfo
	for _, name := range names {
		r, err := w.Role(name)
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}

// roleNames lists root, targets, the delegated roles in the order of the walk, snapshot and timestamp. Hash bins are
// one name.
func (w *Workspace) roleNames() ([]string, error) {
	edges, err := w.view().edges()
	if err != nil {
		return nil, err
	}
	names := []string{tuf.ROOT, tuf.TARGETS}
	seen := map[string]bool{}
	for _, d := range edges {
		name := binsRole
		if d.role != nil {
			name = d.role.Name
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return append(names, tuf.SNAPSHOT, tuf.TIMESTAMP), nil
}

// Role describes one role; a hash bin by its own name, all of them by "bins". ErrNoRole.
func (w *Workspace) Role(name string) (*RoleInfo, error) {
	v := w.view()
	period, renew := w.cfg.Periods(name)
	info := &RoleInfo{Name: name, Period: period, RenewWithin: renew, Staged: w.staged[name] != nil}
	if name == binsRole {
		info.Targets = -1
		return info, w.describeBins(v, info)
	}
	if _, isBin, err := v.binParent(name); err != nil {
		return nil, err
	} else if isBin {
		info.Period, info.RenewWithin = w.cfg.Periods(binsRole)
	}
	rules, err := v.rules(name)
	if err != nil {
		return nil, err
	}
	if info.Keys, err = w.keyInfos(name, rules...); err != nil {
		return nil, err
	}
	info.Threshold = rules[0].threshold
	if f := w.current(name); f != nil {
		info.Version, info.Expires = f.version, f.expires
	}
	if typeOf(name) != tuf.TARGETS {
		return info, nil
	}
	return info, describeTargets(v, info)
}

// describeTargets adds what only a targets role has.
func describeTargets(v *view, info *RoleInfo) error {
	md, err := v.targets(info.Name)
	if err != nil {
		return err
	}
	if md != nil {
		info.Targets = len(md.Signed.Targets)
	}
	edges, err := v.delegators(info.Name)
	if err != nil {
		return err
	}
	for _, d := range edges[:min(1, len(edges))] {
		info.Parent, info.Terminating = d.parent, d.terminating()
		if d.role != nil {
			info.Paths = d.role.Paths
		}
	}
	below, err := v.delegations(info.Name)
	if err != nil {
		return err
	}
	for _, d := range below {
		if d.succinct != nil {
			_, info.Bins = d.succinct.GetSuffixLen()
			info.BinPrefix = d.succinct.NamePrefix
		} else {
			info.Delegations = append(info.Delegations, d.role.Name)
		}
	}
	return nil
}

// describeBins describes all bins at once: the version is the newest, the expiry that of the bin that expires first.
func (w *Workspace) describeBins(v *view, info *RoleInfo) error {
	bins, err := v.bins()
	if err != nil {
		return err
	}
	if bins == nil {
		return fmt.Errorf("%w: there are no hash bins", ErrNoRole)
	}
	md, err := v.targets(bins.parent)
	if err != nil {
		return err
	}
	r := delegationRule(bins.parent, md, *bins)
	if info.Keys, err = w.keyInfos("", r); err != nil {
		return err
	}
	info.Parent, info.Threshold, info.Terminating = bins.parent, r.threshold, true
	_, info.Bins = bins.succinct.GetSuffixLen()
	info.BinPrefix = bins.succinct.NamePrefix
	for _, name := range bins.succinct.GetRoles() {
		info.Staged = info.Staged || w.staged[name] != nil
		f := w.current(name)
		if f == nil {
			continue
		}
		info.Version = max(info.Version, f.version)
		if info.Expires.IsZero() || f.expires.Before(info.Expires) {
			info.Expires = f.expires
		}
	}
	return nil
}
