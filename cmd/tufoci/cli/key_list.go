package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type keyListResult struct {
	document
	Keys []keyInfo `json:"keys"`
}

func (a *app) newKeyList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the keys and the roles that they may sign",
		Example: "  tufoci key list",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				keys, err := w.Keys()
				if err != nil {
					return err
				}
				r := &keyListResult{Keys: make([]keyInfo, 0, len(keys))}
				for _, k := range keys {
					r.Keys = append(r.Keys, newKeyInfo(k))
				}
				return a.print(r)
			})
		}),
	}
}

func (r *keyListResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Keys))
	for _, k := range r.Keys {
		rows = append(rows, []string{
			k.Name, k.Scheme, shorten(k.ID, 12), first(k.URI, "held elsewhere"), strings.Join(k.Roles, ", "), k.Owner, k.Seen.String(),
		})
	}
	table(w, []string{"NAME", "SCHEME", "ID", "PRIVATE KEY", "ROLES", "OWNER", "LAST SEEN"}, rows)
}
