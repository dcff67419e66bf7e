package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
)

// errNotFound ends a walk that no role answered.
var errNotFound = errors.New("not found")

type stop struct {
	role string
	by   *roleFile
}

// walk visits the roles that may speak for a name, in the order of TUF spec
// 5.6.7: pre-order depth first, terminating delegations honoured, a role that was
// visited skipped. It returns the role for which found is true, or errNotFound, with
// a LimitError if the limit visits ended it. A role that cannot be read or verified
// ends the walk: it might have answered.
func (v *View) walk(ctx context.Context, name string, read roleReader, found func(*roleFile) bool) (*roleFile, error) {
	todo := []stop{{role: tuf.TARGETS}}
	visited := map[string]bool{}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if visited[next.role] {
			continue
		}
		if most := v.limits.Visits; int64(len(visited)) == most {
			return nil, fmt.Errorf("%w within %d roles; there are more to visit: %w", errNotFound, most,
				&fetcher.LimitError{Title: "one lookup", Size: most + 1, Max: most, Unit: "roles", Limit: "visits"})
		}
		file := v.set.targets
		if next.by != nil {
			var err error
			if file, err = read(ctx, next.role, roleDelegator(next.by)); err != nil {
				return nil, err
			}
		}
		visited[next.role] = true
		if found(file) {
			return file, nil
		}
		children, terminating, err := delegatedFor(file, name)
		if err != nil {
			return nil, err
		}
		if terminating {
			todo = nil
		}
		// The last one is taken first.
		slices.Reverse(children)
		todo = append(todo, children...)
	}
	return nil, errNotFound
}

// delegatedFor returns the roles that a role delegates a name to, up to and
// including the first terminating one.
func delegatedFor(file *roleFile, name string) (children []stop, terminating bool, err error) {
	d := file.meta.Signed.Delegations
	if d == nil {
		return nil, false, nil
	}
	var roles []tuf.RoleResult
	err = guard(file.name, func() error {
		roles = d.GetRolesForTarget(name)
		return nil
	})
	for _, role := range roles {
		children = append(children, stop{role.Name, file})
		if role.Terminating {
			return children, true, err
		}
	}
	return children, false, err
}

// find returns the role that answers for a name by the plain rules of TUF.
func (v *View) find(ctx context.Context, name string, read roleReader) (*roleFile, error) {
	return v.walk(ctx, name, read, func(r *roleFile) bool {
		_, ok := r.meta.Signed.Targets[name]
		return ok
	})
}

// findEffective returns the role that answers for a name under the rules for
// reserved names.
func (v *View) findEffective(ctx context.Context, name string, read roleReader) (*roleFile, error) {
	if !Reserved(name) {
		return v.find(ctx, name, read)
	}
	if _, ok := v.set.targets.meta.Signed.Targets[name]; ok {
		return v.set.targets, nil
	}
	if v.mayDeny(revocationsRole, name) {
		file, err := read(ctx, revocationsRole, roleDelegator(v.set.targets))
		if err != nil {
			return nil, err
		}
		if _, ok := file.meta.Signed.Targets[name]; ok {
			return file, nil
		}
	}
	// Nobody else may answer. The walk only finds who tries to, to warn of it;
	// so what it runs into does not matter.
	_, err := v.walk(ctx, name, read, func(*roleFile) bool { return false })
	if ctx.Err() != nil {
		return nil, err
	}
	return nil, errNotFound
}

// mayDeny reports whether a delegated role may list a reserved name: the role
// revocations, to which targets delegates exactly revocations/*, may list what
// that pattern matches.
func (v *View) mayDeny(role, name string) bool {
	rest, ok := strings.CutPrefix(name, revocationsPrefix)
	return role == revocationsRole && ok && !strings.Contains(rest, "/") && v.delegatesRevocations()
}

// delegatesRevocations reports whether there is a role that may only deny.
func (v *View) delegatesRevocations() bool {
	d := v.set.targets.meta.Signed.Delegations
	return d != nil && slices.ContainsFunc(d.Roles, func(r tuf.DelegatedRole) bool {
		return r.Name == revocationsRole && slices.Equal(r.Paths, []string{revocationsPath})
	})
}

// edge is one delegation.
type edge struct {
	by   *roleFile
	role string
	rule *tuf.DelegatedRole // nil for a hash bin
}

// delegations returns what a role delegates to, in order. Of its hash bins only
// those that the snapshot lists: there may be billions.
func (v *View) delegations(file *roleFile) []edge {
	d := file.meta.Signed.Delegations
	if d == nil {
		return nil
	}
	var edges []edge
	if d.Roles != nil {
		for i := range d.Roles {
			edges = append(edges, edge{file, d.Roles[i].Name, &d.Roles[i]})
		}
		return edges
	}
	if d.SuccinctRoles == nil {
		return nil
	}
	for _, name := range sortedKeys(v.set.snapshot.Signed.Meta) {
		role := strings.TrimSuffix(name, ".json")
		if d.SuccinctRoles.IsDelegatedRole(role) {
			edges = append(edges, edge{file, role, nil})
		}
	}
	return edges
}

// reached is one role that a delegation reaches, with all of its delegators.
type reached struct {
	name  string
	edges []edge
	file  *roleFile // nil if it could not be read
	err   error
}

// reach reads all roles that a delegation reaches, each once, in pre-order.
// Errors are in the result, but for that of the context, and for more roles than the
// limit of that name.
func (v *View) reach(ctx context.Context) ([]*reached, error) {
	top := &reached{name: tuf.TARGETS, file: v.set.targets}
	all := []*reached{top}
	byName := map[string]*reached{tuf.TARGETS: top}
	var visit func(from *roleFile) error
	visit = func(from *roleFile) error {
		edges := v.delegations(from)
		v.prefetchRoles(ctx, edges)
		for _, e := range edges {
			r := byName[e.role]
			if r == nil {
				r = &reached{name: e.role}
				byName[e.role] = r
				if all = append(all, r); int64(len(all)) > v.limits.Roles {
					return &fetcher.LimitError{Title: "the repository", Size: int64(len(all)), Max: v.limits.Roles, Unit: "roles", Limit: "roles"}
				}
			}
			r.edges = append(r.edges, e)
			if r.file != nil {
				continue
			}
			if r.file, r.err = v.role(ctx, e.role, roleDelegator(from)); r.err != nil {
				if ctx.Err() != nil {
					return r.err
				}
				continue
			}
			if err := visit(r.file); err != nil {
				return err
			}
		}
		return nil
	}
	return all, visit(top.file)
}

// remembering returns a reader that does not try again what failed in reach.
func (v *View) remembering(all []*reached) roleReader {
	failed := map[string]error{}
	for _, r := range all {
		if r.file == nil && r.err != nil {
			failed[r.name] = r.err
		}
	}
	return func(ctx context.Context, name string, by signer) (*roleFile, error) {
		if err := failed[name]; err != nil {
			return nil, err
		}
		return v.role(ctx, name, by)
	}
}

// prefetchRoles starts reading the roles that are not stored.
func (v *View) prefetchRoles(ctx context.Context, edges []edge) {
	if v.origin == nil || len(edges) < 2 {
		return
	}
	var titles []string
	for _, e := range edges {
		info := metaOf(v.set.snapshot, e.role)
		if info == nil {
			continue
		}
		if stored := v.store.role(e.role); stored == nil || checkBytes(e.role, info, stored) != nil {
			titles = append(titles, v.roleTitle(e.role, info.Version))
		}
	}
	v.origin.prefetch(ctx, titles...)
}
