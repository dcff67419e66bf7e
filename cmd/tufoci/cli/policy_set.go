package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

func (a *app) newPolicySet() *cobra.Command {
	var flags registryFlags
	cmd := &cobra.Command{
		Use:   "set notation|sigstore|custom FILE",
		Short: "Stage a policy",
		Long: `Stage a policy in place of the one of its kind:

  notation   notation/trustpolicy.json, a Notation trust policy; tufoci verify
             and stock Notation go by it. Members that are unknown or stand
             twice are refused: Notation itself would pass over them.
  sigstore   sigstore/trusted_root.json, a trusted root of Sigstore, as cosign
             takes it with --trusted-root
  custom     policy/NAME, the file under its own name, for any other program

A trust store that the policy names and that no target provides yet is a warning
here, and refused by publish.`,
		Example: `  tufoci policy set notation trustpolicy.json
  tufoci policy set custom admission.rego`,
		Args: cobra.ExactArgs(2),
	}
	flags.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		target, err := policyTarget(args[0], args[1])
		if err != nil {
			return err
		}
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			data, err := readFile(args[1])
			if err != nil {
				return err
			}
			if err := checkPolicy(args[0], data); err != nil {
				return err
			}
			if args[0] == policyNotation {
				if err := a.warnPolicy(ctx, a.newTargetReader(w, &flags), data); err != nil {
					return err
				}
			}
			t, err := w.AddTarget(target, data, metadata.TargetOptions{Role: "targets"})
			if err != nil {
				return err
			}
			return a.print(&targetChangeResult{Targets: []targetEntry{newTargetEntry(*t)}, verb: "+"})
		})
	})
	return cmd
}

// warnPolicy says what publish would say about a policy beside the trust stores
// that are there.
func (a *app) warnPolicy(ctx context.Context, r *targetReader, policy []byte) error {
	files, err := r.material(ctx, isCertificate)
	if err != nil {
		return err
	}
	files = append(files, material.File{Name: material.PolicyName, Data: policy})
	for _, f := range material.Lint(files, material.LintOptions{}) {
		a.warn(f.Name + ": " + f.Message)
	}
	return nil
}
