package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newKeyAdd() *cobra.Command {
	var uri, owner string
	cmd := &cobra.Command{
		Use:   "add NAME PUBKEY",
		Short: "Add a public key that is held elsewhere, or a private one behind a URI",
		Long: `Add the public key in the file PUBKEY, whose private half somebody else holds, or
with --uri the key behind file:PATH (relative to the workspace), env:VARIABLE,
pkcs11:token=T;object=O?module-path=/PATH, ssh-agent:SHA256:FINGERPRINT, or
NAME://..., which the program sigstore-kms-NAME reaches.`,
		Example: `  tufoci key add root-b root-b.pub --owner 'Barbara'
  tufoci key add online --uri env:ONLINE_KEY
  tufoci key add rel --uri ssh-agent:SHA256:u7nvN/pEEk1rJVOhC1MVoKTYBSuTrRZBHnYSPm1Uw3E`,
		Args: func(_ *cobra.Command, args []string) error {
			if uri != "" && len(args) == 1 || uri == "" && len(args) == 2 {
				return nil
			}
			return usagef("give NAME and PUBKEY, or NAME and --uri")
		},
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				if uri != "" {
					return a.printKey(w.AddKeyURI(args[0], uri, owner))
				}
				public, err := readFile(args[1])
				if err != nil {
					return err
				}
				return a.printKey(w.AddKey(args[0], public, owner))
			})
		}),
	}
	cmd.Flags().StringVar(&uri, "uri", "", "`URI` of the private key")
	cmd.Flags().StringVar(&owner, "owner", "", "who holds the key, as `TEXT`")
	return cmd
}
