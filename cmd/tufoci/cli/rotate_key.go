package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newRotateKey() *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use:   "key OLD NEW",
		Short: "Stage that a key replaces another in every role that has it",
		Long: `Stage that the key NEW takes the place of OLD in root, in top-level roles, in
delegations and in hash bins, with thresholds and order as they are. What OLD
has signed and nobody else carries is staged for NEW to sign again.

OLD is a name of tufoci.yaml or a key ID; NEW a name, the URI of a private key or
the file of a public one.`,
		Example: `  tufoci rotate key rel rel2
  tufoci rotate key root-a root-d.pub --role root`,
		Args: cobra.ExactArgs(2),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				return a.printRotated(w, func() (*metadata.KeyRotation, error) { return w.RotateKey(args[0], args[1], roles...) })
			})
		}),
	}
	cmd.Flags().StringArrayVar(&roles, "role", nil, "only in `ROLE` (several times); bins for all hash bins")
	return cmd
}

// printRotated stages a rotation and says what came of it.
func (a *app) printRotated(w *metadata.Workspace, rotate func() (*metadata.KeyRotation, error)) error {
	rotated, err := rotate()
	if err != nil {
		return err
	}
	r, err := newRotateResult(w, rotated)
	if err != nil {
		return err
	}
	return a.print(r)
}
