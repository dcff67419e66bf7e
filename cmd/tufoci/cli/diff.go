package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
)

type diffResult struct {
	document
	Roles []roleDiff `json:"roles"`
}

type roleDiff struct {
	Role          string   `json:"role"`
	BaseVersion   int64    `json:"baseVersion"`
	StagedVersion int64    `json:"stagedVersion"`
	Changes       []change `json:"changes"`
}

type change struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Old     string `json:"old"`
	New     string `json:"new"`
	// Details say what changes inside a file whose format tufoci knows.
	Details []string `json:"details"`
}

func (a *app) newDiff() *cobra.Command {
	var exitCode bool
	cmd := &cobra.Command{
		Use:     "diff [ROLE...]",
		Short:   "Show what the staged roles change, in words",
		Example: "  tufoci diff targets",
		RunE: a.run(func(ctx context.Context, args []string) error {
			return a.withWorkspace(ctx, true, func(w *metadata.Workspace) error {
				diffs, err := w.Diff(args...)
				if err != nil {
					return err
				}
				return a.printChange(newDiffResult(w, diffs), exitCode && len(diffs) == 0)
			})
		}),
	}
	addExitCodeFlag(cmd, &exitCode)
	return cmd
}

// printChange prints a result, and ends with exit code 30 where there was nothing
// to do and --exit-code asked to be told.
func (a *app) printChange(r result, nothing bool) error {
	if err := a.print(r); err != nil {
		return err
	}
	if nothing {
		return nothingError{}
	}
	return nil
}

// addExitCodeFlag adds --exit-code to a command that may have nothing to do.
func addExitCodeFlag(cmd *cobra.Command, value *bool) {
	cmd.Flags().BoolVar(value, "exit-code", false, "exit with 30 when there is nothing to do")
}

// contents are the bytes of the targets that a diff speaks of: a workspace, or what was taken out of one to be signed.
type contents interface {
	Contents(c metadata.Change) (old, next []byte, err error)
}

func newDiffResult(w contents, diffs []metadata.RoleDiff) *diffResult {
	r := &diffResult{Roles: make([]roleDiff, 0, len(diffs))}
	for _, d := range diffs {
		r.Roles = append(r.Roles, roleDiff{
			Role: d.Role, BaseVersion: d.BaseVersion, StagedVersion: d.StagedVersion, Changes: newChanges(w, d.Changes),
		})
	}
	return r
}

func newChanges(w contents, in []metadata.Change) []change {
	out := make([]change, 0, len(in))
	for _, c := range in {
		out = append(out, change{Kind: c.Kind, Subject: c.Subject, Old: c.Old, New: c.New, Details: changeDetails(w, c)})
	}
	return out
}

func (r *diffResult) text(w io.Writer, _ *app) {
	if len(r.Roles) == 0 {
		fmt.Fprintln(w, "nothing is staged")
	}
	for _, d := range r.Roles {
		fmt.Fprintf(w, "%s %s -> %s\n", printable(d.Role), formatVersion(d.BaseVersion), formatVersion(d.StagedVersion))
		writeChanges(w, d.Changes)
	}
}

func writeChanges(w io.Writer, changes []change) {
	for _, c := range changes {
		fmt.Fprintf(w, "  %s\n", printable(c.String()))
		for _, detail := range c.Details {
			fmt.Fprintf(w, "      %s\n", printable(detail))
		}
	}
}

func (c change) String() string {
	return metadata.Change{Kind: c.Kind, Subject: c.Subject, Old: c.Old, New: c.New}.String()
}
