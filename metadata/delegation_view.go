package metadata

import (
	"fmt"
	"math/bits"
	"path"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxVisits is how many roles a lookup visits before clients give up.
const maxVisits = 32

// view is a repository in one state: the base, what is staged over it, or what a release will be. Roles are parsed when
// they are asked for; what it returns is not to be changed.
type view struct {
	root func() (*tuf.Metadata[tuf.RootType], error)
	// targets returns nil for a role without a file.
	targets func(role string) (*tuf.Metadata[tuf.TargetsType], error)

	walked []delegation // what edges returns, once it was asked for
}

// delegation is one edge: a role that its parent trusts, or all hash bins of the parent.
type delegation struct {
	parent   string
	role     *tuf.DelegatedRole // nil for hash bins
	succinct *tuf.SuccinctRoles // nil for a role
}

// matches reports whether the delegation covers the path, and by which role.
func (d delegation) matches(path string) (role string, ok bool) {
	if d.succinct != nil {
		return binOf(d.succinct, path), true
	}
	for _, pattern := range d.role.Paths {
		if matchPattern(pattern, path) {
			return d.role.Name, true
		}
	}
	return "", false
}

func (d delegation) terminating() bool { return d.succinct != nil || d.role.Terminating }

// delegations lists the edges of one role in order of priority. Bins have none: their files are not opened.
func (v *view) delegations(role string) ([]delegation, error) {
	md, err := v.targets(role)
	if err != nil || md == nil || md.Signed.Delegations == nil {
		return nil, err
	}
	if s := md.Signed.Delegations.SuccinctRoles; s != nil {
		// Others may have made the role. Bins are named one by one here, and there may be billions.
		if s.BitLength < 1 || s.BitLength > bits.Len(maxBins)-1 {
			return nil, fmt.Errorf("%w: role %q delegates hash bins with a bit_length of %d, at most %d is supported", ErrInvalid, role, s.BitLength, bits.Len(maxBins)-1)
		}
		return []delegation{{parent: role, succinct: s}}, nil
	}
	var out []delegation
	for i := range md.Signed.Delegations.Roles {
		out = append(out, delegation{parent: role, role: &md.Signed.Delegations.Roles[i]})
	}
	return out, nil
}

// edges lists all delegations that a walk from targets reaches, in the order of the walk, each role expanded once.
func (v *view) edges() ([]delegation, error) {
	if v.walked != nil {
		return v.walked, nil
	}
	out := []delegation{}
	seen := map[string]bool{}
	var expand func(role string) error
	expand = func(role string) error {
		if seen[role] {
			return nil
		}
		seen[role] = true
		edges, err := v.delegations(role)
		if err != nil {
			return err
		}
		for _, d := range edges {
			out = append(out, d)
			if d.role != nil {
				if err := expand(d.role.Name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := expand(tuf.TARGETS); err != nil {
		return nil, err
	}
	v.walked = out
	return out, nil
}

// delegators lists the edges that lead to the role, which may be a bin.
func (v *view) delegators(role string) ([]delegation, error) {
	edges, err := v.edges()
	if err != nil {
		return nil, err
	}
	var out []delegation
	for _, d := range edges {
		if d.succinct != nil && d.succinct.IsDelegatedRole(role) || d.role != nil && d.role.Name == role {
			out = append(out, d)
		}
	}
	return out, nil
}

// rules are the thresholds that the role must meet. A root is under the rules of its predecessor too: see rulesAfter.
func (v *view) rules(role string) ([]rule, error) {
	if isTopLevel(role) {
		root, err := v.root()
		if err != nil {
			return nil, err
		}
		return []rule{rootRule(root, role)}, nil
	}
	edges, err := v.delegators(role)
	if err != nil {
		return nil, err
	}
	if len(edges) == 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoRole, role)
	}
	var rules []rule
	for _, d := range edges {
		md, err := v.targets(d.parent)
		if err != nil {
			return nil, err
		}
		rules = append(rules, delegationRule(d.parent, md, d))
	}
	return rules, nil
}

// rulesAfter are the thresholds of the version of a role that follows before, nil for the first: a root must meet those of
// its predecessor too, which come first (spec 5.3.4).
func (v *view) rulesAfter(role string, before *roleFile) ([]rule, error) {
	rules, err := v.rules(role)
	if err != nil || role != tuf.ROOT || before == nil {
		return rules, err
	}
	old, err := parseFile[tuf.RootType](before)
	if err != nil {
		return nil, err
	}
	return append([]rule{rootRule(old, tuf.ROOT)}, rules...), nil
}

// visits lists the roles in which a client looks for the path, in order (spec 5.6.7).
func (v *view) visits(path string) ([]string, error) {
	var order []string
	stack := []string{tuf.TARGETS}
	for len(stack) > 0 && len(order) < maxVisits {
		role := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if slices.Contains(order, role) {
			continue
		}
		order = append(order, role)
		if _, isBin, err := v.binParent(role); err != nil {
			return nil, err
		} else if isBin {
			continue
		}
		edges, err := v.delegations(role)
		if err != nil {
			return nil, err
		}
		var children []string
		for _, d := range edges {
			child, ok := d.matches(path)
			if !ok {
				continue
			}
			children = append(children, child)
			if d.terminating() {
				stack = nil
				break
			}
		}
		slices.Reverse(children)
		stack = append(stack, children...)
	}
	return order, nil
}

// matchPattern is TUF's match of a path: component by component, "*" stops at "/".
func matchPattern(pattern, name string) bool {
	p, n := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(p) != len(n) {
		return false
	}
	for i := range p {
		if ok, err := path.Match(p[i], n[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
