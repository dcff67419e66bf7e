package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type policyResult struct {
	document
	targetEntry
	Content json.RawMessage `json:"content"`
	data    []byte
}

func (a *app) newPolicyShow() *cobra.Command {
	var flags registryFlags
	cmd := &cobra.Command{
		Use:     "show [notation|sigstore]",
		Short:   "Show a policy of the workspace",
		Long:    "Show a policy of the workspace, that of Notation if none is named.",
		Example: "  tufoci policy show > trustpolicy.json",
		Args:    cobra.MaximumNArgs(1),
	}
	flags.add(cmd, "")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		kind := policyNotation
		if len(args) > 0 {
			kind = args[0]
		}
		if kind == policyCustom {
			return usagef("show prints the policies notation and sigstore; others are files for other programs: tufoci target list")
		}
		target, err := policyTarget(kind, "")
		if err != nil {
			return err
		}
		return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
			r, err := a.runPolicyShow(ctx, w, target, &flags)
			if err != nil {
				return err
			}
			return a.print(r)
		})
	})
	return cmd
}

func (a *app) runPolicyShow(ctx context.Context, w *metadata.Workspace, target string, flags *registryFlags) (*policyResult, error) {
	targets, err := w.Targets(metadata.TargetFilter{Role: "targets"})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(targets, func(t metadata.Target) bool { return t.Path == target })
	if i < 0 {
		return nil, fmt.Errorf("%w: %q", metadata.ErrNoTarget, target)
	}
	data, err := a.newTargetReader(w, flags).read(ctx, targets[i])
	if err != nil {
		return nil, err
	}
	r := &policyResult{targetEntry: newTargetEntry(targets[i]), Content: orNull(nil), data: data}
	if json.Valid(data) {
		r.Content = data
	}
	return r, nil
}

// text prints the policy as it is, so that it can be edited and set again; what
// a terminal would obey is replaced.
func (r *policyResult) text(w io.Writer, _ *app) {
	for line := range strings.Lines(string(r.data)) {
		fmt.Fprintln(w, printable(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "  ")))
	}
}
