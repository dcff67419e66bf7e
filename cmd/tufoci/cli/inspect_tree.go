package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// tree prints the top-level roles and below targets its delegations.
func (r *inspectResult) tree(w io.Writer, mark string, now time.Time) {
	byName := make(map[string]inspectRole, len(r.Roles))
	for _, i := range r.Roles {
		byName[i.Role] = i
	}
	top := []string{"root", "timestamp", "snapshot", "targets"}
	for n, name := range top {
		t := tree{w: w, mark: mark, now: now, roles: byName, seen: map[string]bool{}}
		t.node(name, "", n == len(top)-1)
	}
}

// tree draws one role with all below it. A role to which several delegate is
// drawn below each, its own delegations once: roles may form a circle.
type tree struct {
	w     io.Writer
	mark  string
	now   time.Time
	roles map[string]inspectRole
	seen  map[string]bool
}

func (t *tree) node(name, indent string, last bool) {
	role, ok := t.roles[name]
	branch, next := "├── ", "│   "
	if last {
		branch, next = "└── ", "    "
	}
	fmt.Fprintf(t.w, "%s%s%s%s\n", t.mark, indent, branch, printable(t.label(name, role, ok)))
	if t.seen[name] {
		return
	}
	t.seen[name] = true
	for n, child := range role.Delegations {
		t.node(child, indent+next, n == len(role.Delegations)-1)
	}
}

func (t *tree) label(name string, role inspectRole, ok bool) string {
	if !ok {
		return name + " (not in this copy)"
	}
	parts := []string{name, formatVersion(role.Version)}
	if n := role.entries(); n != "-" {
		parts = append(parts, count(role.Targets, "target"))
	}
	if s := role.signers(); s != "-" {
		parts = append(parts, "keys "+s)
	}
	if !role.Expires.IsZero() {
		parts = append(parts, expiry(role.Expires.Time, t.now))
	}
	if reach := role.reach(); reach != "" {
		parts = append(parts, reach)
	}
	return strings.Join(parts, "  ")
}
