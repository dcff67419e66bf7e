package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type targetResult struct {
	document
	targetEntry
}

func (a *app) newTargetShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show PATH",
		Short:   "Show one target of the workspace",
		Example: "  tufoci target show charts/shop-1.4.2.tgz",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				targets, err := w.Targets(metadata.TargetFilter{})
				if err != nil {
					return err
				}
				i := slices.IndexFunc(targets, func(t metadata.Target) bool { return t.Path == args[0] })
				if i < 0 {
					return fmt.Errorf("%w: %q", metadata.ErrNoTarget, args[0])
				}
				return a.print(&targetResult{targetEntry: newTargetEntry(targets[i])})
			})
		}),
	}
}

func (r *targetResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "path    %s\nrole    %s\nlength  %d\n", printable(r.Path), printable(r.Role), r.Length)
	for _, alg := range slices.Sorted(maps.Keys(r.Hashes)) {
		fmt.Fprintf(w, "%-7s %s\n", printable(alg), printable(r.Hashes[alg]))
	}
	if !bytes.Equal(r.Custom, json.RawMessage("null")) {
		fmt.Fprintf(w, "custom  %s\n", printable(string(r.Custom)))
	}
}
