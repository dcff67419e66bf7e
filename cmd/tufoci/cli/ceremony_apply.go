package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newCeremonyApply() *cobra.Command {
	var flags registryFlags
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Put the signatures of a ceremony into the workspace, and end it",
		Long: `Put the signatures into the workspace where the ceremony was started. What is
staged there must be what was frozen, what is published must be what it started
from, in the workspace and in the registry, and all thresholds must be met: else
nothing changes. publish does the rest.`,
		Example: "  tufoci ceremony apply root-v4.tufc && tufoci publish",
		Args:    cobra.ExactArgs(1),
	}
	flags.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withCeremony(ctx, args[0], func(w *metadata.Workspace, c *ceremony.Ceremony) error {
			r, err := a.runCeremonyApply(ctx, w, c, args[0], &flags)
			if err != nil {
				return err
			}
			return a.print(r)
		})
	})
	return cmd
}

func (a *app) runCeremonyApply(ctx context.Context, w *metadata.Workspace, c *ceremony.Ceremony, file string, flags *registryFlags) (*ceremonyResult, error) {
	silent, err := a.warnSilent(c)
	if err != nil {
		return nil, err
	}
	if err := a.baseOfWorkspace(ctx, w, c, flags); err != nil {
		return nil, err
	}
	if _, err := ceremony.Apply(w, c); err != nil {
		return nil, err
	}
	r, err := a.resultOf(c, file, "✓ signatures are in the workspace; the ceremony is over")
	r.Silent = silent
	return r, err
}

// baseOfWorkspace compares the base of a ceremony with what the registry has, from the first root of the workspace. A
// registry that cannot be reached is no error: publish looks again.
func (a *app) baseOfWorkspace(ctx context.Context, w *metadata.Workspace, c *ceremony.Ceremony, flags *registryFlags) error {
	root, err := publishedRoot(w)
	if err != nil || root == nil {
		return err
	}
	b, err := a.compareFrom(ctx, c, root, flags)
	if err == nil && !b.Compared {
		a.warn(b.String())
	}
	return err
}
