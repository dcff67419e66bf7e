package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/metadata"
)

type policyLintResult struct {
	document
	Findings []finding `json:"findings"`
}

func (a *app) newPolicyLint() *cobra.Command {
	var flags registryFlags
	cmd := &cobra.Command{
		Use:   "lint [FILE]",
		Short: "Check policy, trust stores, CRLs and revocations as publish does",
		Long: `Check the Notation trust policy, the trust stores, the CRLs and the revocations
of the workspace, each for itself and together, as publish does before it sends
anything. With FILE, as if that was the policy. Nothing is changed.`,
		Example: "  tufoci policy lint trustpolicy.json",
		Args:    cobra.MaximumNArgs(1),
	}
	flags.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
			r, err := a.runPolicyLint(ctx, w, args, &flags)
			return printAlso(a, r, err)
		})
	})
	return cmd
}

func (a *app) runPolicyLint(ctx context.Context, w *metadata.Workspace, args []string, flags *registryFlags) (*policyLintResult, error) {
	files, err := a.newTargetReader(w, flags).material(ctx, func(name string) bool { return len(args) == 0 || name != material.PolicyName })
	if err != nil {
		return nil, err
	}
	for _, path := range args {
		policy, err := readFile(path)
		if err != nil {
			return nil, err
		}
		files = append(files, material.File{Name: material.PolicyName, Data: policy})
	}
	life, _ := w.Config().Periods("timestamp")
	now := a.world.Now()
	findings := material.Lint(files, material.LintOptions{TimestampExpires: now.Add(life), Now: now})
	return &policyLintResult{Findings: newFindings(findings)}, lintError(findings)
}

func (r *policyLintResult) text(w io.Writer, _ *app) {
	writeFindings(w, r.Findings)
	if !slices.ContainsFunc(r.Findings, func(f finding) bool { return !f.Warning }) {
		fmt.Fprintln(w, "✓ nothing that publish would refuse")
	}
}
