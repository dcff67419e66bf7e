package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/keys"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newKeyImport() *cobra.Command {
	var o metadata.KeyOptions
	cmd := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Take a private key from a file and keep it encrypted",
		Long: `Take a private key in PEM and keep it encrypted with its passphrase, as key
generate does: PKCS#8, SEC 1 and PKCS#1, encrypted or not, of OpenSSL; of OpenSSH,
cosign, and Notary v1 (Docker Content Trust). FILE stays as it is.`,
		Example: "  tufoci key import rel release.pem",
		Args:    cobra.ExactArgs(2),
		RunE: a.run(func(ctx context.Context, args []string) error {
			data, err := readFile(args[1])
			if err != nil {
				return err
			}
			ask := a.newPassphrase(ctx)
			return a.withPassphrase(false, ask, func(w *metadata.Workspace) error {
				if o.File, err = a.inWorkspace(o.File); err != nil {
					return err
				}
				private, err := keys.DecodePrivateKey(data, func() ([]byte, error) { return ask(args[0]) })
				if err != nil {
					return fmt.Errorf("key %q: %w", args[0], err)
				}
				return a.printKey(w.ImportKey(args[0], private, o))
			})
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&o.File, "output", "o", "", "`FILE` to keep the key in (default .tufoci/keys/NAME.pem in the workspace)")
	f.StringVar(&o.Owner, "owner", "", "who holds the key, as `TEXT`")
	return cmd
}
