package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newImageRemove() *cobra.Command {
	var o metadata.RemoveImageOptions
	cmd := &cobra.Command{
		Use:     "rm NAME:TAG|NAME@DIGEST...",
		Aliases: []string{"remove", "delete"},
		Short:   "Stage the removal of images",
		Long: `Stage the removal of images from every role that lists them. An entry by digest
is a standing permission: it goes with the last tag that has the digest, unless
--keep-digest is given, and the entries of the platforms go with their index.

This withdraws a permission. To refuse an image whatever else is signed:
tufoci revoke image.`,
		Example: "  tufoci image rm shop/api:1.4.2",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				change, err := w.RemoveImages(imageNames(w, args), o)
				if err != nil {
					return err
				}
				return a.print(newImageChangeResult(change))
			})
		}),
	}
	cmd.Flags().BoolVar(&o.KeepDigest, "keep-digest", false, "leave the entry of the tag's digest")
	cmd.Flags().StringVar(&o.Role, "role", "", "only the entries of `ROLE` (default: of every role)")
	return cmd
}
