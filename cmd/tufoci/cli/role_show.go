package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type roleResult struct {
	document
	roleInfo
}

func (a *app) newRoleShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ROLE",
		Short:   "Show one role",
		Example: "  tufoci role show apps-shop",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				role, err := w.Role(args[0])
				if err != nil {
					return err
				}
				return a.print(&roleResult{roleInfo: newRoleInfo(*role)})
			})
		}),
	}
}

func (r *roleResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "%s %s", printable(r.Role), formatVersion(r.Version))
	if r.Parent != "" {
		fmt.Fprintf(w, ", delegated by %s", printable(r.Parent))
	}
	if r.Staged {
		fmt.Fprint(w, ", staged")
	}
	fmt.Fprintf(w, "\nthreshold  %d of %d\n", r.Threshold, len(r.Keys))
	for _, k := range r.Keys {
		fmt.Fprintf(w, "key        %s  %s\n", k.ID, printable(k.Name))
	}
	fmt.Fprintf(w, "expires    %s, life %s, renewed within %s\n", formatTime(r.Expires.Time, a.world.Now()), r.Period, r.RenewWithin)
	if reach := r.reach(); reach != "" {
		fmt.Fprintf(w, "paths      %s\n", printable(reach))
	}
	if n := r.targets(); n != "-" {
		fmt.Fprintf(w, "targets    %s\n", n)
	}
	if len(r.Delegations) > 0 {
		fmt.Fprintf(w, "delegates  %s\n", printable(strings.Join(r.Delegations, ", ")))
	}
}
