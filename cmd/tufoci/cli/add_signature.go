package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newAddSignature() *cobra.Command {
	var key, file string
	cmd := &cobra.Command{
		Use:   "add-signature ROLE --key NAME --sig FILE",
		Short: "Add a signature that was made elsewhere to a staged role",
		Long: `Add a signature of what payload has written. FILE is what sign-payload wrote, or
the signature itself as bytes, hex or base64: of ed25519, of ECDSA as DER or as
two numbers, of RSA with PSS. It is verified first; no other signature is lost.`,
		Example: "  tufoci add-signature root --key root-b --sig root-b.sig",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			data, err := readFile(file)
			if err != nil {
				return err
			}
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				signed, err := w.AddSignature(args[0], key, data)
				if err != nil {
					return err
				}
				return a.print(&signResult{Roles: []roleSignatures{newRoleSignatures(signed)}})
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "`NAME` or ID of the key that signed")
	f.StringVar(&file, "sig", "", "read the signature from `FILE`")
	_ = cmd.MarkFlagRequired("key") // it exists
	_ = cmd.MarkFlagRequired("sig") // it exists
	return cmd
}
