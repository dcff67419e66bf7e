package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

type trustListResult struct {
	document
	Trusts []trustInfo `json:"trusts"`
}

func (a *app) newTrustList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the trusts",
		Example: "  tufoci trust list --format json",
		Args:    cobra.NoArgs,
		RunE: a.run(func(context.Context, []string) error {
			cfg, err := a.trusts()
			if err != nil {
				return err
			}
			r := &trustListResult{Trusts: []trustInfo{}}
			for _, e := range cfg.List() {
				r.Trusts = append(r.Trusts, newTrustInfo(e))
			}
			return a.print(r)
		}),
	}
}

func (r *trustListResult) text(w io.Writer, _ *app) {
	rows := make([][]string, 0, len(r.Trusts))
	for _, t := range r.Trusts {
		rows = append(rows, []string{t.Name, first(t.Source, noHome), first(strings.Join(t.Scopes, ","), "-"), t.RootChecksum, t.MaxStale, fmt.Sprint(t.MinTimestamp)})
	}
	table(w, []string{"NAME", "SOURCE", "SCOPE", "ROOT", "MAX-STALE", "MIN-TIMESTAMP"}, rows)
}
