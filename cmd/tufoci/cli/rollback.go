package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
)

type rollbackOptions struct {
	registry registryFlags
	to       int64
	dryRun   bool
	exitCode bool
}

type rollbackResult struct {
	document
	Repository string       `json:"repository"`
	Tag        string       `json:"tag"`
	Digest     string       `json:"digest"`
	Version    int64        `json:"version"`
	DryRun     bool         `json:"dryRun"`
	Changes    []roleDiff   `json:"changes"`
	Notes      []string     `json:"notes"`
	Roles      []roleStatus `json:"roles"`
}

func (a *app) newRollback() *cobra.Command {
	var o rollbackOptions
	cmd := &cobra.Command{
		Use:   "rollback --to VERSION",
		Short: "Stage the content of an older state as new versions",
		Long: `Read the bundle of an earlier timestamp version (tuf.v<VERSION>; log lists them),
verify it from the first root, and stage what targets and the roles that it
delegates to said then, as next versions: entries, with the bytes of their files,
and paths and order of delegations. Roles that say the same as now are left.

Root stays as it is, and so do keys and thresholds, roles that are new since or
gone, revocations and CRLs: an old state does not bring back what was taken away
since. What differs there is listed. Nothing is published; sign and publish are
the next steps. A role with other staged changes is refused.`,
		Example: `  tufoci rollback --to 762 --dry-run
  tufoci rollback --to 762`,
		Args: cobra.NoArgs,
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.Int64Var(&o.to, "to", 0, "timestamp `VERSION` whose content is staged")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be staged and change nothing")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		if o.to < 1 {
			return usagef("--to is a timestamp version from 1 on")
		}
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			r, err := a.runRollback(ctx, w, &o)
			if err != nil {
				return err
			}
			return a.printChange(r, o.exitCode && len(r.Changes) == 0)
		})
	})
	return cmd
}

func (a *app) runRollback(ctx context.Context, w *metadata.Workspace, o *rollbackOptions) (*rollbackResult, error) {
	home, err := homeOf(w)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &o.registry)
	if err != nil {
		return nil, err
	}
	repo, err := client.Repository(ctx, home, false)
	if err != nil {
		return nil, err
	}
	res, err := publish.Rollback(ctx, w, repo, publish.RollbackOptions{To: o.to, DryRun: o.dryRun, Now: a.world.Now})
	if err != nil {
		return nil, err
	}
	r := &rollbackResult{
		Repository: w.Config().Repository, Tag: res.Tag, Digest: res.Digest.String(), Version: res.Versions.Timestamp, DryRun: o.dryRun,
		Changes: newDiffResult(w, res.Roles).Roles, Notes: append([]string{}, res.Notes...), Roles: []roleStatus{},
	}
	for _, role := range roleStatuses(res.Status.Roles) {
		if role.StagedVersion > 0 {
			r.Roles = append(r.Roles, role)
		}
	}
	return r, nil
}

func (r *rollbackResult) text(w io.Writer, a *app) {
	if len(r.Changes) > 0 {
		(&diffResult{Roles: r.Changes}).text(w, a)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", printable(note))
	}
	switch {
	case len(r.Changes) == 0:
		fmt.Fprintf(w, "✓ nothing to roll back: all that comes back is as it was in %s\n", r.Tag)
		return
	case r.DryRun:
		fmt.Fprintf(w, "would stage the content of %s (%s); nothing was staged\n", r.Tag, r.Digest)
	default:
		fmt.Fprintf(w, "✓ staged the content of %s (%s); nothing is published\n", r.Tag, r.Digest)
	}
	writeRoleStatuses(w, r.Roles, a.world.Now())
	if slices.ContainsFunc(r.Roles, func(s roleStatus) bool { return !s.Online && s.Signed < s.Need }) {
		fmt.Fprintln(w, "next: sign, then publish")
	}
}
