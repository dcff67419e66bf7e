package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newRotateOnline() *cobra.Command {
	var key string
	var bins bool
	cmd := &cobra.Command{
		Use:   "online --key NAME|URI",
		Short: "Stage a new key for snapshot and timestamp, in one switch",
		Long: `Stage a root by which one new key alone signs snapshot and timestamp. One publish
moves all three; the old key is dropped, and clients drop what it has signed.
Hash bins that the old key may sign get the new one too, with --bins whatever
key they have.

Give the job that refreshes both keys before, and take the old one away after.`,
		Example: "  tufoci rotate online --key file:online2.pem",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			if key == "" {
				return usagef("--key says which key is to sign: a name of tufoci.yaml or a URI")
			}
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				return a.printRotated(w, func() (*metadata.KeyRotation, error) { return w.RotateOnline(key, bins) })
			})
		}),
	}
	cmd.Flags().StringVar(&key, "key", "", "the new key: a `NAME` of tufoci.yaml, or the URI of a private key")
	cmd.Flags().BoolVar(&bins, "bins", false, "hash bins get the key too, whatever they have")
	return cmd
}
