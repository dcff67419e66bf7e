package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type certListResult struct {
	document
	Files []certFile `json:"files"`
}

func (a *app) newCertList() *cobra.Command {
	var s certSelection
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the certificates of the trust stores",
		Example: "  tufoci cert list -t ca",
		Args:    cobra.NoArgs,
	}
	s.add(cmd)
	s.registry.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
			files, err := a.certFiles(ctx, w, &s, nil)
			if err != nil {
				return err
			}
			return a.print(&certListResult{Files: files})
		})
	})
	return cmd
}

func (r *certListResult) text(w io.Writer, a *app) { writeCertTable(w, r.Files, a) }
