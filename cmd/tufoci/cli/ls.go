package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/trust"
)

type lsResult struct {
	document
	reading
	Targets []verifiedTarget `json:"targets"`
}

// verifiedTarget is one entry as a client sees it.
type verifiedTarget struct {
	Path        string            `json:"path"`
	Role        string            `json:"role"`
	RoleVersion int64             `json:"roleVersion"`
	Length      int64             `json:"length"`
	Hashes      map[string]string `json:"hashes"`
	Custom      json.RawMessage   `json:"custom"`
}

func (a *app) newLs() *cobra.Command {
	var flags readFlags
	var role string
	cmd := &cobra.Command{
		Use:   "ls TRUST|SOURCE",
		Short: "List the verified targets",
		Long:  "List the targets that a client gets: an entry that another role overrides is not among them.",
		Example: `  tufoci ls acme
  tufoci ls oci-archive:trust.tar --root 1.root.json --role apps-shop`,
		Args: cobra.ExactArgs(1),
	}
	flags.add(cmd, "")
	flags.addAllowExpired(cmd)
	cmd.Flags().StringVar(&role, "role", "", "only what `ROLE` answers for")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		view, err := a.view(ctx, args[0], &flags)
		if err != nil {
			return err
		}
		r, err := runLs(ctx, view, role)
		return printAlso(a, r, err)
	})
	return cmd
}

// runLs lists what can be listed, also if err says that a role cannot be read.
func runLs(ctx context.Context, view *trust.View, role string) (*lsResult, error) {
	if role != "" {
		if err := hasRole(ctx, view, role); err != nil {
			return nil, err
		}
	}
	targets, err := view.List(ctx)
	r := &lsResult{reading: newReading(view), Targets: []verifiedTarget{}}
	for _, t := range targets {
		if role == "" || t.Role == role {
			r.Targets = append(r.Targets, newVerifiedTarget(t))
		}
	}
	return r, err
}

func newVerifiedTarget(t trust.Target) verifiedTarget {
	return verifiedTarget{
		Path: t.Path, Role: t.Role, RoleVersion: t.RoleVersion, Length: t.Length, Hashes: t.Hashes, Custom: orNull(t.Custom),
	}
}

// noRoleError says that a verified repository has no such role.
type noRoleError struct{ role string }

func (e *noRoleError) Error() string { return fmt.Sprintf("no delegation leads to a role %q", e.role) }

func hasRole(ctx context.Context, view *trust.View, role string) error {
	roles, err := view.Roles(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(roles, func(r trust.Role) bool { return r.Name == role }) {
		return &noRoleError{role: role}
	}
	return nil
}

func (r *lsResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Targets))
	for _, t := range r.Targets {
		rows = append(rows, []string{t.Path, t.Role, fmt.Sprint(t.Length), shorten(t.Hashes["sha256"], 12)})
	}
	table(w, []string{"PATH", "ROLE", "BYTES", "SHA256"}, rows)
}
