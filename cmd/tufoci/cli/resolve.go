package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

type resolveResult struct {
	document
	Image imageReport `json:"image"`
}

func (a *app) newResolve() *cobra.Command {
	var o verifyFlags
	cmd := &cobra.Command{
		Use:   "resolve IMAGE",
		Short: "Print REPOSITORY@DIGEST of an image, only if it verifies",
		Long:  "Verify an image and print it by its digest, so that what runs is what was verified.\n" + verifyRules,
		Example: `  docker run "$(tufoci resolve registry.acme.io/shop/api:1.4.2)"
  tufoci resolve registry.acme.io/shop/api:1.4.2 --format json`,
		Args: cobra.ExactArgs(1),
	}
	o.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		o.setStale = cmd.Flags().Changed("max-stale")
		r, err := a.runVerify(ctx, args, &o)
		if err != nil && a.global.format == formatText {
			return err // nothing on standard output: it is what is run
		}
		if r == nil {
			return err
		}
		return printAlso(a, &resolveResult{Image: r.Images[0]}, err)
	})
	return cmd
}

func (r *resolveResult) text(w io.Writer, _ *app) {
	fmt.Fprintln(w, r.Image.Resolved)
}
