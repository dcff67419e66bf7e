package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newKeyShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show one key",
		Example: "  tufoci key show root-a",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				return a.printKey(w.Key(args[0]))
			})
		}),
	}
}

// printKey prints what a call on one key has returned.
func (a *app) printKey(k *metadata.Key, err error) error {
	if err != nil {
		return err
	}
	return a.print(&keyResult{keyInfo: newKeyInfo(*k)})
}
