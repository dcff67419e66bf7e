package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type certResult struct {
	document
	certFile
}

func (a *app) newCertShow() *cobra.Command {
	var s certSelection
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Show the certificates of one file of a trust store",
		Long:  "Show one file of a trust store: FILE is its name, as in the list, or that of its target.",
		Example: `  tufoci cert show ca-2026.pem
  tufoci cert show -t ca -s acme ca-2026.pem`,
		Args: cobra.ExactArgs(1),
	}
	s.add(cmd)
	s.registry.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
			files, err := a.certFiles(ctx, w, &s, args)
			if err != nil {
				return err
			}
			return a.print(&certResult{certFile: files[0]})
		})
	})
	return cmd
}

func (r *certResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "target   %s\nstore    %s:%s\n", r.Target, r.Type, r.Store)
	for _, c := range r.Certificates {
		fmt.Fprintf(w, "\nsubject  %s\nissuer   %s\nserial   %s\nsha256   %s\nfrom     %s\nuntil    %s\n",
			printable(c.Subject), printable(c.Issuer), c.Serial, c.SHA256,
			formatTime(c.NotBefore.Time, a.world.Now()), formatTime(c.NotAfter.Time, a.world.Now()))
	}
}
