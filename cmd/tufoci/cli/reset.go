package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type resetResult struct {
	document
	All   bool     `json:"all"`
	Reset []string `json:"reset"`
}

func (a *app) newReset() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "reset [ROLE|PATH...]",
		Short: "Drop staged changes of roles or targets",
		Example: `  tufoci reset targets
  tufoci reset --all`,
		RunE: a.run(func(ctx context.Context, args []string) error {
			if all == (len(args) > 0) {
				return usagef("give the roles or paths to reset, or --all")
			}
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				if err := a.confirm(ctx, resetQuestion(args)); err != nil {
					return err
				}
				reset := w.ResetAll
				if !all {
					reset = func() error { return w.Reset(args...) }
				}
				if err := reset(); err != nil {
					return err
				}
				return a.print(&resetResult{All: all, Reset: append([]string{}, args...)})
			})
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "drop everything staged")
	return cmd
}

func resetQuestion(names []string) string {
	if len(names) == 0 {
		return "drop everything staged?"
	}
	return fmt.Sprintf("drop what is staged of %s?", joinWords(names))
}

func (r *resetResult) text(w io.Writer, _ *app) {
	if r.All {
		fmt.Fprintln(w, "✓ nothing is staged now")
		return
	}
	fmt.Fprintf(w, "✓ reset %s\n", printable(strings.Join(r.Reset, ", ")))
}
