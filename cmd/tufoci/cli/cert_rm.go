package cli

import (
	"context"
	"crypto/x509"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newCertRemove() *cobra.Command {
	var s certSelection
	cmd := &cobra.Command{
		Use:     "rm FILE...",
		Aliases: []string{"remove", "delete"},
		Short:   "Stage the removal of certificates from a trust store",
		Long: `Stage the removal of files from trust stores: FILE is a name as in the list, or
that of a target. Once published, signatures that chain only to these
certificates verify no more.`,
		Example: `  tufoci cert rm -s acme ca-2026.pem`,
		Args:    cobra.MinimumNArgs(1),
	}
	s.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			targets, err := s.targets(w, args)
			if err != nil {
				return err
			}
			r := &certChangeResult{verb: "-"}
			for _, t := range targets {
				r.Files = append(r.Files, newCertFile(t, certsAtHand(w, t)))
			}
			if _, err := w.RemoveTarget("targets", paths(targets)...); err != nil {
				return err
			}
			return a.print(r)
		})
	})
	return cmd
}

// certsAtHand are the certificates of a file, for what is printed: none if that
// is not here or holds none, which must not keep it from being removed.
func certsAtHand(w *metadata.Workspace, t metadata.Target) []*x509.Certificate {
	data, err := w.TargetData(t.Path)
	if err != nil {
		return nil
	}
	kind, _, _, _ := material.ParseCertificateName(t.Path)
	certs, err := material.ParseCertificates(kind, data)
	if err != nil {
		return nil
	}
	return certs
}
