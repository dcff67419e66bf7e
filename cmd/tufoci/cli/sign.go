package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type signResult struct {
	document
	Roles []roleSignatures `json:"roles"`
}

// roleSignatures counts the signatures of one staged role.
type roleSignatures struct {
	Role     string          `json:"role"`
	Version  int64           `json:"version"`
	Complete bool            `json:"complete"`
	Rules    []signatureRule `json:"rules"`
}

// signatureRule is one threshold; a root that follows another has two.
type signatureRule struct {
	By   string   `json:"by"`
	Have int      `json:"have"`
	Need int      `json:"need"`
	Keys []keyRef `json:"keys"`
}

func (a *app) newSign() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "sign [ROLE...]",
		Short: "Add signatures to staged roles",
		Long: `Show what the staged roles change and, after a yes, sign them with the keys
named, or with every key of tufoci.yaml that is at hand.`,
		Example: "  tufoci sign root --key root-a",
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
				r, err := a.runSign(ctx, w, args, keys)
				if err != nil {
					return err
				}
				return a.print(r)
			})
		}),
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "key `NAME` or URI to sign with (several times)")
	return cmd
}

func (a *app) runSign(ctx context.Context, w *metadata.Workspace, roles, keys []string) (*signResult, error) {
	diffs, err := w.Diff(roles...)
	if err != nil {
		return nil, err
	}
	if !a.global.quiet {
		newDiffResult(w, diffs).text(a.world.Stderr, a)
	}
	if len(diffs) > 0 {
		if err := a.confirm(ctx, "sign this?"); err != nil {
			return nil, err
		}
	}
	signed, err := w.Sign(ctx, roles, keys)
	if err != nil {
		return nil, err
	}
	r := &signResult{Roles: make([]roleSignatures, 0, len(signed))}
	for _, s := range signed {
		r.Roles = append(r.Roles, newRoleSignatures(s))
	}
	return r, nil
}

func newRoleSignatures(s metadata.RoleSignatures) roleSignatures {
	out := roleSignatures{Role: s.Role, Version: s.Version, Complete: s.Complete(), Rules: make([]signatureRule, 0, len(s.Rules))}
	for _, rule := range s.Rules {
		out.Rules = append(out.Rules, signatureRule{By: rule.By, Have: rule.Have, Need: rule.Need, Keys: keyRefs(rule.Keys)})
	}
	return out
}

func (r *signResult) text(w io.Writer, _ *app) {
	for _, s := range r.Roles {
		mark := "…"
		if s.Complete {
			mark = "✓"
		}
		counts := make([]string, len(s.Rules))
		for i, rule := range s.Rules {
			counts[i] = fmt.Sprintf("%d of %d (%s)", rule.Have, rule.Need, rule.By)
		}
		fmt.Fprintf(w, "%s %s v%d: %s\n", mark, printable(s.Role), s.Version, printable(strings.Join(counts, ", ")))
	}
}
