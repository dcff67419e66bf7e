package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/publish"
)

type pruneOptions struct {
	upkeepFlags
	keep        int
	dryRun      bool
	exitCode    bool
	concurrency int
}

type pruneResult struct {
	document
	reading
	Repository string      `json:"repository"`
	Tag        string      `json:"tag"`
	Digest     string      `json:"digest"`
	DryRun     bool        `json:"dryRun"`
	Removed    []prunedTag `json:"removed"`
	Spared     []prunedTag `json:"spared"`
	Kept       int         `json:"kept"`
}

// prunedTag is a history tag that is removed, or is old and stays.
type prunedTag struct {
	Tag     string       `json:"tag"`
	Digest  string       `json:"digest"`
	Version int64        `json:"version"`
	Claim   bool         `json:"claim"`
	Made    moment       `json:"made"`
	Error   *errorReport `json:"error"`
}

func (a *app) newPrune() *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [TRUST|REPO]",
		Short: "Remove old history tags",
		Long: `Remove history tags (tuf.v1, tuf.v2, …) but for the newest, and of those the claims
that were overtaken. What is younger than twice the life of the timestamp stays
whatever --keep says, and so do the head and all above it. Only what verifies from
the pin is removed, and nothing that another tag names. Publish and refresh do the
same by themselves, a few tags at a time, with --keep 30.`,
		Example: `  tufoci prune --dry-run
  tufoci prune acme --keep 100
  tufoci prune registry.acme.io/trust/tuf --root 1.root.json`,
		Args: cobra.MaximumNArgs(1),
	}
	o.addHome(cmd)
	f := cmd.Flags()
	f.IntVar(&o.keep, "keep", publish.DefaultKeep, "keep the newest `N` history tags")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would go and change nothing")
	f.IntVar(&o.concurrency, "concurrency", 5, "read `N` bundles, and remove N tags, at the same time")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if o.keep < 1 || o.concurrency < 1 {
			return usagef("--keep and --concurrency are numbers above 0")
		}
		return a.withKept(ctx, args, &o.upkeepFlags, func(k *kept) error {
			r, err := a.runPrune(ctx, k, &o)
			if err != nil {
				return printAlso(a, r, err)
			}
			return a.printChange(r, o.exitCode && len(r.Removed) == 0)
		})
	})
	return cmd
}

func (a *app) runPrune(ctx context.Context, k *kept, o *pruneOptions) (*pruneResult, error) {
	repo, err := openWritable(ctx, k.client, k.ref)
	if err != nil {
		return nil, err
	}
	seen, err := k.seen(ctx)
	if err != nil {
		return nil, err
	}
	p, err := publish.Prune(ctx, k.root, repo, publish.PruneOptions{
		Channel: k.ref.Tag, Keep: o.keep, Seen: seen, Base: k.base, DryRun: o.dryRun, Concurrency: o.concurrency, Now: a.world.Now,
	})
	if p == nil {
		return nil, err
	}
	r := &pruneResult{
		reading: newReading(p.View), Repository: k.repository(), Tag: k.ref.Tag, Digest: p.Head.String(), DryRun: o.dryRun,
		Removed: a.prunedTags(p.Removed), Spared: a.prunedTags(p.Spared), Kept: p.Kept,
	}
	r.Source = k.source()
	return r, err
}

func (a *app) prunedTags(in []publish.PrunedTag) []prunedTag {
	out := make([]prunedTag, 0, len(in))
	for _, t := range in {
		p := prunedTag{Tag: t.Tag, Digest: t.Digest.String(), Version: t.Version, Claim: t.Claim, Made: moment{t.Made}}
		if t.Err != nil {
			p.Error = a.report(t.Err)
		}
		out = append(out, p)
	}
	return out
}

func (r *pruneResult) text(w io.Writer, a *app) {
	for _, t := range r.Removed {
		what := ""
		if t.Claim {
			what = ", a claim that was overtaken"
		}
		fmt.Fprintf(w, "- %s %s   made %s%s\n", t.Tag, t.Digest, formatTime(t.Made.Time, a.world.Now()), what)
	}
	for _, t := range r.Spared {
		fmt.Fprintf(w, "  %s stays: %s\n", t.Tag, printable(t.Error.What))
	}
	if r.DryRun {
		fmt.Fprintf(w, "would remove %s of %s and keep %d; nothing was removed\n", count(len(r.Removed), "history tag"), printable(r.Repository), r.Kept)
		return
	}
	fmt.Fprintf(w, "✓ removed %s, kept %d\n", count(len(r.Removed), "history tag"), r.Kept)
}

// addKeepFlag adds --keep to a command that makes history.
func addKeepFlag(cmd *cobra.Command, keep *int) {
	cmd.Flags().IntVar(keep, "keep", publish.DefaultKeep, "remove old history tags but for the newest `N`, a few at a time; 0 removes none")
}

// writePruned says which tags a publish has removed.
func writePruned(w io.Writer, tags []string) {
	if len(tags) > 0 {
		fmt.Fprintf(w, "✓ removed %s that were old: %s to %s\n", count(len(tags), "history tag"), tags[0], tags[len(tags)-1])
	}
}
