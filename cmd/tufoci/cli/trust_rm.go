package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/trust"
)

type trustRemoveResult struct {
	document
	Name      string `json:"name"`
	Forgotten bool   `json:"forgotten"`
}

func (a *app) newTrustRemove() *cobra.Command {
	var forget bool
	cmd := &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove", "delete"},
		Short:   "Remove a trust; what was seen is kept, as protection from rollback",
		Example: "  tufoci trust rm acme",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			a.subject.trust = args[0]
			cfg, err := a.trusts()
			if err != nil {
				return err
			}
			entry, err := cfg.Get(args[0])
			if err != nil {
				return err
			}
			if err := cfg.Remove(args[0]); err != nil {
				return err
			}
			r := &trustRemoveResult{Name: args[0]}
			if forget {
				if r.Forgotten, err = a.forget(cfg, entry); err != nil {
					return err
				}
			}
			return a.print(r)
		}),
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "remove the verified state too, unless another trust has the same root")
	return cmd
}

// forget removes the state of a root that no trust has any more.
func (a *app) forget(cfg *trust.Config, e trust.Entry) (bool, error) {
	shared := slices.ContainsFunc(cfg.List(), func(o trust.Entry) bool {
		return o.Name != e.Name && o.RootSHA256 == e.RootSHA256
	})
	if shared || !checksumForm.MatchString("sha256:"+e.RootSHA256) {
		return false, nil
	}
	return true, os.RemoveAll(filepath.Join(a.stateDir(), e.RootSHA256))
}

func (r *trustRemoveResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "✓ %s is removed", printable(r.Name))
	if r.Forgotten {
		fmt.Fprint(w, ", with its state")
	}
	fmt.Fprintln(w)
}
