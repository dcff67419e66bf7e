package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type roleListResult struct {
	document
	Roles []roleInfo `json:"roles"`
}

func (a *app) newRoleList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the roles in the order in which a lookup walks them",
		Example: "  tufoci role list",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				roles, err := w.Roles()
				if err != nil {
					return err
				}
				r := &roleListResult{Roles: make([]roleInfo, 0, len(roles))}
				for _, role := range roles {
					r.Roles = append(r.Roles, newRoleInfo(role))
				}
				return a.print(r)
			})
		}),
	}
}

func (r *roleListResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Roles))
	for _, i := range r.Roles {
		name := i.Role
		if i.Staged {
			name += " *"
		}
		rows = append(rows, []string{
			name, i.Parent, formatVersion(i.Version), fmt.Sprintf("%d of %d", i.Threshold, len(i.Keys)),
			i.Period, i.targets(), i.reach(),
		})
	}
	table(w, []string{"ROLE", "PARENT", "VERSION", "KEYS", "LIFE", "TARGETS", "PATHS"}, rows)
}

// targets counts the role's own list, "-" for a role without one.
func (i roleInfo) targets() string {
	switch {
	case i.Role == "root" || i.Role == "snapshot" || i.Role == "timestamp" || i.Targets < 0:
		return "-"
	default:
		return fmt.Sprint(i.Targets)
	}
}

// reach says which paths the role may list.
func (i roleInfo) reach() string {
	out := strings.Join(i.Paths, " ")
	if i.Bins > 0 {
		out = strings.TrimSpace(fmt.Sprintf("%s (%d bins %s*)", out, i.Bins, i.BinPrefix))
	}
	if i.Terminating {
		out += " terminating"
	}
	return out
}
