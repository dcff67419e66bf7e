package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newCRLRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"remove", "delete"},
		Short:   "Stage the removal of CRLs",
		Long: `Stage the removal of CRLs with their issuers. Once published, what they revoke
is accepted again where nothing else refuses it; publish warns of that.`,
		Example: "  tufoci crl rm acme",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				removed, err := removeCRLs(w, args)
				if err != nil {
					return err
				}
				return a.print(&targetChangeResult{Targets: targetEntries(removed), verb: "-"})
			})
		}),
	}
}

// removeCRLs stages the removal of what there is of each CRL.
func removeCRLs(w *metadata.Workspace, names []string) ([]metadata.Target, error) {
	targets, err := reserved(w)
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, name := range names {
		found := false
		for _, target := range crlTargets(name) {
			if slices.ContainsFunc(targets, func(t metadata.Target) bool { return t.Path == target }) {
				gone, found = append(gone, target), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: there is no CRL %q", metadata.ErrNoTarget, name)
		}
	}
	return w.RemoveTarget("targets", gone...)
}
