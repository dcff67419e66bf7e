package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type targetListResult struct {
	document
	Targets []targetEntry `json:"targets"`
}

func (a *app) newTargetList() *cobra.Command {
	var filter metadata.TargetFilter
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the targets of the workspace",
		Example: "  tufoci target list --staged",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				targets, err := w.Targets(filter)
				if err != nil {
					return err
				}
				return a.print(&targetListResult{Targets: targetEntries(targets)})
			})
		}),
	}
	cmd.Flags().StringVar(&filter.Role, "role", "", "only the entries of `ROLE`")
	cmd.Flags().BoolVar(&filter.Staged, "staged", false, "only entries that are new or changed")
	return cmd
}

func (r *targetListResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Targets))
	for _, t := range r.Targets {
		path := t.Path
		if t.Staged {
			path += " *"
		}
		rows = append(rows, []string{path, t.Role, fmt.Sprint(t.Length), shorten(t.Hashes["sha256"], 12)})
	}
	table(w, []string{"PATH", "ROLE", "BYTES", "SHA256"}, rows)
}
