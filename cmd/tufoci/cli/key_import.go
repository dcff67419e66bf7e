package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newKeyImport() *cobra.Command {
	var o metadata.KeyOptions
	cmd := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Take a private key in PEM and keep it encrypted",
		Long: `Take a private key in PEM (PKCS#8, SEC 1 or PKCS#1) and keep it encrypted with its
passphrase, as key generate does. FILE stays as it is.`,
		Example: "  tufoci key import rel release.pem",
		Args:    cobra.ExactArgs(2),
		RunE: a.run(func(ctx context.Context, args []string) error {
			data, err := readFile(args[1])
			if err != nil {
				return err
			}
			return a.withNewKey(ctx, func(w *metadata.Workspace) error {
				if o.File, err = a.inWorkspace(o.File); err != nil {
					return err
				}
				return a.printKey(w.ImportKey(args[0], data, o))
			})
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&o.File, "output", "o", "", "`FILE` to keep the key in (default .tufoci/keys/NAME.pem in the workspace)")
	f.StringVar(&o.Owner, "owner", "", "who holds the key, as `TEXT`")
	return cmd
}
