package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/trust"
)

type inspectResult struct {
	document
	reading
	Reference    string        `json:"reference"`
	Digest       string        `json:"digest"`
	RootChecksum string        `json:"rootChecksum"`
	Roles        []inspectRole `json:"roles"`
}

// inspectRole is one role of a repository.
type inspectRole struct {
	Role        string   `json:"role"`
	Version     int64    `json:"version"`
	Expires     moment   `json:"expires"`
	Length      int64    `json:"length"`
	SHA256      string   `json:"sha256"`
	Threshold   int      `json:"threshold"`
	KeyIDs      []string `json:"keyIDs"`
	Delegators  []string `json:"delegators"`
	Paths       []string `json:"paths"`
	Terminating bool     `json:"terminating"`
	Bins        int64    `json:"bins"`
	Delegations []string `json:"delegations"`
	Targets     int      `json:"targets"`
	Error       string   `json:"error"`
}

func (a *app) newInspect() *cobra.Command {
	var flags readFlags
	cmd := &cobra.Command{
		Use:   "inspect TRUST|SOURCE [ROLE[@VERSION]]",
		Short: "Show the roles of a repository, or the content of one",
		Long: `Show the roles of a repository as a table, with --format tree as the tree of
delegations, or print the signed bytes of one role. A source that no trust has
and that comes without --root is shown as UNVERIFIED.`,
		Example: `  tufoci inspect acme --format tree
  tufoci inspect acme root@2
  tufoci inspect registry.acme.io/trust/tuf --root 1.root.json`,
		Args:        cobra.RangeArgs(1, 2),
		Annotations: map[string]string{annotationTree: "yes"},
	}
	flags.add(cmd, "")
	flags.addAllowExpired(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		p, err := a.find(ctx, args[0], &flags)
		if err != nil {
			return err
		}
		var r result
		switch {
		case p.root == nil && len(args) == 1:
			r, err = a.inspectUnverified(ctx, p)
		case p.root == nil:
			r, err = a.inspectUnverifiedRole(ctx, p, args[1])
		case len(args) == 1:
			r, err = a.inspectVerified(ctx, p)
		default:
			r, err = a.inspectRole(ctx, p, args[1])
		}
		if err != nil {
			return err
		}
		return a.print(r)
	})
	return cmd
}

func (a *app) inspectVerified(ctx context.Context, p *pin) (*inspectResult, error) {
	view, err := a.refresh(ctx, p)
	if err != nil {
		return nil, err
	}
	roles, err := view.Roles(ctx)
	if err != nil {
		return nil, err
	}
	st := view.Status()
	r := &inspectResult{
		Reference: first(st.SourceRef, p.source.String()), RootChecksum: "sha256:" + st.RootSHA256,
		Roles: make([]inspectRole, 0, len(roles)),
	}
	if b := view.Bundle(); b != nil {
		r.Digest = b.Descriptor.Digest.String()
	}
	for _, role := range roles {
		r.Roles = append(r.Roles, newInspectRole(role))
	}
	r.reading = newReading(view)
	return r, nil
}

func newInspectRole(role trust.Role) inspectRole {
	out := inspectRole{
		Role: role.Name, Version: role.Version, Expires: moment{role.Expires}, Length: role.Length, SHA256: role.SHA256,
		Threshold: role.Threshold, KeyIDs: append([]string{}, role.KeyIDs...), Delegators: append([]string{}, role.Delegators...),
		Paths: append([]string{}, role.Paths...), Terminating: role.Terminating, Bins: role.Bins,
		Delegations: append([]string{}, role.Delegations...), Targets: role.Targets,
	}
	if role.Err != nil {
		out.Error = oneLine(role.Err.Error())
	}
	return out
}

func (r *inspectResult) text(w io.Writer, a *app) {
	mark := ""
	if r.unverified() {
		mark = unverifiedMark
	}
	fmt.Fprintf(w, "%s%s", mark, printable(r.Reference))
	if r.Digest != "" {
		fmt.Fprintf(w, " %s", r.Digest)
	}
	fmt.Fprintln(w)
	if r.RootChecksum != "" {
		fmt.Fprintf(w, "verified from root %s\n", r.RootChecksum)
	}
	if a.global.format == formatTree {
		r.tree(w, mark, r.judged(a))
		return
	}
	r.table(w, mark, r.judged(a))
}

// unverified: nothing at all vouches for what is shown.
func (r *inspectResult) unverified() bool { return r.RootChecksum == "" }

func (r *inspectResult) table(w io.Writer, mark string, now time.Time) {
	rows := make([][]string, 0, len(r.Roles))
	for _, i := range r.Roles {
		rows = append(rows, []string{
			mark + i.Role, formatVersion(i.Version), formatTime(i.Expires.Time, now), i.signers(), i.entries(), i.reach(),
		})
	}
	table(w, []string{mark + "ROLE", "VERSION", "EXPIRES", "KEYS", "TARGETS", "PATHS"}, rows)
}

func (i inspectRole) signers() string {
	if i.Threshold == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", i.Threshold, len(i.KeyIDs))
}

// entries counts the role's own list, "-" for a role without one.
func (i inspectRole) entries() string {
	if i.Role == "root" || i.Role == "timestamp" || i.Role == "snapshot" {
		return "-"
	}
	return fmt.Sprint(i.Targets)
}

func (i inspectRole) reach() string {
	out := strings.Join(i.Paths, " ")
	if i.Bins > 0 {
		out = strings.TrimSpace(fmt.Sprintf("%s (%d bins)", out, i.Bins))
	}
	if i.Terminating {
		out += " terminating"
	}
	if i.Error != "" {
		out += " UNREADABLE: " + i.Error
	}
	return strings.TrimSpace(out)
}
