package trust

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/material"
)

// maxRevocations bounds all lists of revocations together, in bytes: the role that may
// only deny can list many.
const maxRevocations = 4 * material.MaxRevocationsSize

// Reserved returns the effective targets under reserved names, sorted: those that
// the own list of the role targets has, and of the role revocations what it may
// list. It reads no other role. If that one cannot be read, the error is
// ErrRevocations, with what caused it in the chain.
func (v *View) Reserved(ctx context.Context) ([]Target, error) {
	defer v.flush(ctx)
	all, err := v.reserved(ctx)
	if err != nil {
		return nil, err
	}
	var targets []Target
	for _, l := range all {
		// Of a name that both list, the entry of targets, which comes first.
		if !slices.ContainsFunc(targets, func(t Target) bool { return t.Path == l.name && t.Role != l.role.name }) {
			targets = append(targets, *newTarget(l.role, l.name))
		}
	}
	slices.SortFunc(targets, func(a, b Target) int { return cmp.Compare(a.Path, b.Path) })
	return targets, nil
}

// listed is a name in the list of a role.
type listed struct {
	role *roleFile
	name string
}

// reserved returns the reserved names that targets and the role revocations may
// list, in this order. A name can be in both.
func (v *View) reserved(ctx context.Context) ([]listed, error) {
	var all []listed
	for _, name := range sortedKeys(v.set.targets.meta.Signed.Targets) {
		if Reserved(name) {
			all = append(all, listed{v.set.targets, name})
		}
	}
	if !v.delegatesRevocations() {
		return all, nil
	}
	role, err := v.role(ctx, revocationsRole, roleDelegator(v.set.targets))
	if err != nil {
		return nil, unreadable(&VerificationError{Role: revocationsRole, Err: err})
	}
	for _, name := range sortedKeys(role.meta.Signed.Targets) {
		if v.mayDeny(revocationsRole, name) {
			all = append(all, listed{role, name})
		}
	}
	return all, nil
}

func unreadable(e *VerificationError) *VerificationError {
	e.Kind = ErrRevocations
	return e
}

// Revocations returns all revocations of the repository: revocations.json and the
// files below revocations/, together. If one that is listed cannot be read or
// parsed, or the role revocations cannot, nothing is returned but an error that is
// ErrRevocations, with what caused it in the chain: an unreadable list fails closed.
// A file that targets and the role revocations both list is read from both: neither
// hides what the other denies.
//
// The state remembers entries; one that a list no longer has is warned of.
func (v *View) Revocations(ctx context.Context) (*material.Revocations, error) {
	defer v.flush(ctx)
	all, err := v.reserved(ctx)
	if err != nil {
		return nil, err
	}
	v.warnWiderRevocations()
	all = slices.DeleteFunc(all, func(l listed) bool {
		return l.name != material.RevocationsName && !strings.HasPrefix(l.name, revocationsPrefix)
	})
	var total int64
	for _, l := range all {
		if total += l.role.meta.Signed.Targets[l.name].Length; total > maxRevocations {
			return nil, unreadable(v.mismatch(l.role, l.name, nil, fmt.Errorf("lists of more than %d bytes together", maxRevocations)))
		}
	}
	v.prefetchListed(ctx, all)
	together := &material.Revocations{}
	for _, l := range all {
		list, err := v.revocationList(ctx, l)
		if err != nil {
			return nil, unreadable(v.mismatch(l.role, l.name, nil, err))
		}
		together.Add(list)
	}
	v.rememberRevocations(ctx, together)
	return together, nil
}

func (v *View) revocationList(ctx context.Context, l listed) (*material.Revocations, error) {
	if length := l.role.meta.Signed.Targets[l.name].Length; length > material.MaxRevocationsSize {
		return nil, fmt.Errorf("%d bytes, the limit is %d", length, material.MaxRevocationsSize)
	}
	data, _, err := v.content(ctx, l.role, l.name)
	if err != nil {
		return nil, err
	}
	list, err := material.ParseRevocations(data)
	if err != nil {
		return nil, err
	}
	from := fmt.Sprintf("%s, %s v%d", l.name, l.role.name, l.role.version())
	for i := range list.Images {
		list.Images[i].List = from
	}
	for i := range list.Certificates {
		list.Certificates[i].List = from
	}
	return list, nil
}

// prefetchListed starts reading files, of which there may be several.
func (v *View) prefetchListed(ctx context.Context, all []listed) {
	var titles []string
	for _, l := range all {
		if t, err := v.targetTitles(l.name, l.role.meta.Signed.Targets[l.name]); err == nil {
			titles = append(titles, t[0])
		}
	}
	if len(titles) > 1 {
		v.origin.prefetch(ctx, titles...)
	}
}

// warnWiderRevocations warns of a role that looks as if it could deny.
func (v *View) warnWiderRevocations() {
	d := v.set.targets.meta.Signed.Delegations
	if d == nil || v.delegatesRevocations() {
		return
	}
	if slices.ContainsFunc(d.Roles, func(r tuf.DelegatedRole) bool { return r.Name == revocationsRole }) {
		v.warnings.add(fmt.Sprintf("role %q is not delegated exactly %s: what it lists revokes nothing", revocationsRole, revocationsPath))
	}
}
