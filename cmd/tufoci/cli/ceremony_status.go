package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) newCeremonyStatus() *cobra.Command {
	return &cobra.Command{
		Use:     "status FILE",
		Short:   "Show who has signed a ceremony, by the old and the new rules",
		Example: "  tufoci ceremony status root-v4.tufc",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			c, err := a.readCeremony(args[0])
			if err != nil {
				return err
			}
			r, err := a.resultOf(c, args[0], "")
			if err != nil {
				return err
			}
			r.done = r.headline()
			if r.Complete {
				if r.Silent, err = a.warnSilent(c); err != nil {
					return err
				}
			}
			return a.print(r)
		}),
	}
}
