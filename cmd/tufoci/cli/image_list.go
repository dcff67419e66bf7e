package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type imageListResult struct {
	document
	Images []imageEntry `json:"images"`
}

func (a *app) newImageList() *cobra.Command {
	var filter metadata.ImageFilter
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the images of the workspace",
		Example: "  tufoci image list --repo shop/api",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				images, err := w.Images(filter)
				if err != nil {
					return err
				}
				return a.print(&imageListResult{Images: imageEntries(images)})
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&filter.Repository, "repo", "", "only the images of `REPOSITORY`, without a host")
	f.StringVar(&filter.Role, "role", "", "only the entries of `ROLE`")
	f.BoolVar(&filter.Staged, "staged", false, "only entries that are new or changed")
	return cmd
}

func (r *imageListResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Images))
	for _, i := range r.Images {
		name := i.Name
		if i.Staged {
			name += " *"
		}
		rows = append(rows, []string{name, i.Role, fmt.Sprint(i.Length), shorten(i.Digest, 19), shorten(i.Index, 19)})
	}
	table(w, []string{"IMAGE", "ROLE", "BYTES", "DIGEST", "PLATFORM OF"}, rows)
}
