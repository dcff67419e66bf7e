package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newKeyRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove", "delete"},
		Short:   "Take a key that no role names out of tufoci.yaml; its file stays",
		Example: "  tufoci key rm root-a",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			a.subject.key = args[0]
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				return a.printKey(w.RemoveKey(args[0]))
			})
		}),
	}
}
