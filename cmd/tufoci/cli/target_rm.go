package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newTargetRemove() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:     "rm PATH...",
		Aliases: []string{"remove", "delete"},
		Short:   "Stage the removal of targets",
		Example: "  tufoci target rm charts/shop-1.4.2.tgz",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				removed, err := w.RemoveTarget(role, args...)
				if err != nil {
					return err
				}
				return a.print(&targetChangeResult{Targets: targetEntries(removed), verb: "-"})
			})
		}),
	}
	cmd.Flags().StringVar(&role, "role", "", "`ROLE` that lists the entry (default: where it stands)")
	return cmd
}
