package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newKeyGenerate() *cobra.Command {
	var kind string
	var o metadata.KeyOptions
	cmd := &cobra.Command{
		Use:   "generate NAME",
		Short: "Make a private key, encrypted with its passphrase",
		Long: `Make a private key and write it, encrypted, as PKCS#8 PEM. The passphrase is that
of TUFOCI_PASSPHRASE_NAME, of TUFOCI_PASSPHRASE, or is asked for.

With --uri it is made in a token (pkcs11:...) or a key management service
(NAME://..., by the program sigstore-kms-NAME), which it never leaves.`,
		Example: `  tufoci key generate root-a
  tufoci key generate rel --type ecdsa-p256 -o rel.pem
  tufoci key generate root-b --uri 'pkcs11:token=root-b;object=tuf?module-path=/usr/lib/libykcs11.so'`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			o.Type = metadata.KeyType(kind)
			return a.withNewKey(ctx, func(w *metadata.Workspace) error {
				var err error
				if o.File, err = a.inWorkspace(o.File); err != nil {
					return err
				}
				return a.printKey(w.GenerateKey(args[0], o))
			})
		}),
	}
	types := make([]string, 0, len(metadata.KeyTypes()))
	for _, t := range metadata.KeyTypes() {
		types = append(types, string(t))
	}
	f := cmd.Flags()
	f.StringVar(&kind, "type", types[0], "`TYPE` of the key: "+strings.Join(types, ", "))
	f.StringVarP(&o.File, "output", "o", "", "`FILE` of the private key (default .tufoci/keys/NAME.pem in the workspace)")
	f.StringVar(&o.URI, "uri", "", "make the key at `URI`, in a token or a service: pkcs11:..., NAME://...")
	f.StringVar(&o.Owner, "owner", "", "who holds the key, as `TEXT`")
	return cmd
}

// withNewKey opens the workspace for a command that makes a private key: what
// is typed as its passphrase is asked for twice.
func (a *app) withNewKey(ctx context.Context, do func(*metadata.Workspace) error) error {
	return a.withPassphrase(false, a.newPassphrase(ctx), do)
}

// inWorkspace turns a path as it is typed into one that tufoci.yaml can keep:
// relative to the workspace where it lies inside.
func (a *app) inWorkspace(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	dir, err := filepath.Abs(a.global.workspace)
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(dir, abs); err == nil && filepath.IsLocal(rel) {
		return rel, nil
	}
	return abs, nil
}
