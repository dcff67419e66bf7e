package trust

import (
	"context"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Role describes one role of the repository.
type Role struct {
	Name string
	RoleStatus
	// KeyIDs and Threshold are what its first delegator asks for.
	KeyIDs    []string
	Threshold int
	// Delegators are the roles that delegate to it; root for top-level roles,
	// none for root.
	Delegators []string
	// Paths and Terminating are of the first delegator. A hash bin has no paths
	// and is terminating.
	Paths       []string
	Terminating bool
	// Bins is the number of hash bins that it delegates to, 0 for none.
	Bins int64
	// Delegations are the names of the roles that it delegates to, in order;
	// not those of its bins.
	Delegations []string
	// Targets is the number of entries in its own list.
	Targets int
	// Err says why a delegated role could not be read or verified.
	Err error
}

// Roles describes all roles that a delegation reaches: root, timestamp, snapshot,
// targets, then the others in pre-order. A role that cannot be read has an Err.
func (v *View) Roles(ctx context.Context) ([]Role, error) {
	defer v.flush(ctx)
	all, err := v.reach(ctx)
	if err != nil {
		return nil, err
	}
	status := v.set.status()
	roles := []Role{
		v.topLevel(tuf.ROOT, status.Root),
		v.topLevel(tuf.TIMESTAMP, status.Timestamp),
		v.topLevel(tuf.SNAPSHOT, status.Snapshot),
		v.topLevel(tuf.TARGETS, status.Targets),
	}
	roles[0].Delegators = nil
	describe(&roles[3], v.set.targets)
	for _, r := range all[1:] {
		roles = append(roles, delegated(r))
	}
	return roles, nil
}

func (v *View) topLevel(name string, status RoleStatus) Role {
	rule := v.set.roots.last().meta.Signed.Roles[name]
	return Role{
		Name: name, RoleStatus: status, Delegators: []string{tuf.ROOT},
		KeyIDs: slices.Clone(rule.KeyIDs), Threshold: rule.Threshold,
	}
}

func delegated(r *reached) Role {
	role := Role{Name: r.name, Err: r.err}
	for _, e := range r.edges {
		role.Delegators = append(role.Delegators, e.by.name)
	}
	first := r.edges[0]
	if first.rule != nil {
		role.KeyIDs, role.Threshold = slices.Clone(first.rule.KeyIDs), first.rule.Threshold
		role.Paths, role.Terminating = slices.Clone(first.rule.Paths), first.rule.Terminating
	} else if bins := first.by.meta.Signed.Delegations.SuccinctRoles; bins != nil {
		role.KeyIDs, role.Threshold, role.Terminating = slices.Clone(bins.KeyIDs), bins.Threshold, true
	}
	if r.file != nil {
		role.RoleStatus = statusOf(r.file.version(), r.file.meta.Signed.Expires, r.file.data)
		describe(&role, r.file)
	}
	return role
}

// describe adds what a role's own file says.
func describe(role *Role, file *roleFile) {
	role.Targets = len(file.meta.Signed.Targets)
	d := file.meta.Signed.Delegations
	if d == nil {
		return
	}
	for _, to := range d.Roles {
		role.Delegations = append(role.Delegations, to.Name)
	}
	if d.Roles == nil && d.SuccinctRoles != nil {
		role.Bins = int64(1) << d.SuccinctRoles.BitLength
	}
}
