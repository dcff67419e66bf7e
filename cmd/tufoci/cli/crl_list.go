package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type crlListResult struct {
	document
	CRLs []crlFile `json:"crls"`
}

func (a *app) newCRLList() *cobra.Command {
	var flags registryFlags
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the CRLs of the workspace",
		Example: "  tufoci crl list",
		Args:    cobra.NoArgs,
	}
	flags.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
			crls, err := a.newTargetReader(w, &flags).crls(ctx)
			if err != nil {
				return err
			}
			r := &crlListResult{CRLs: []crlFile{}}
			for _, c := range crls {
				r.CRLs = append(r.CRLs, newCRLFile(c.CRL, c.staged))
			}
			return a.print(r)
		})
	})
	return cmd
}

func (r *crlListResult) text(w io.Writer, a *app) {
	rows := make([][]string, 0, len(r.CRLs))
	for _, c := range r.CRLs {
		name, delta := c.Name, ""
		if c.Staged {
			name += " *"
		}
		if c.Base != "" {
			delta = " (delta on " + c.Base + ")"
		}
		rows = append(rows, []string{name, c.Number + delta, fmt.Sprint(c.Revoked), c.Issuer, formatTime(c.NextUpdate.Time, a.world.Now())})
	}
	table(w, []string{"NAME", "NUMBER", "REVOKED", "ISSUER", "NEXT UPDATE"}, rows)
}
