package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

type imageSyncOptions struct {
	registry     registryFlags
	repo         string
	tags         string
	replace      []string
	role         string
	allPlatforms bool
	verified     bool
	dryRun       bool
	exitCode     bool
	concurrency  int
}

// imageSyncResult is the plan, and whether it was carried out.
type imageSyncResult struct {
	document
	Repository string       `json:"repository"`
	Tags       string       `json:"tags"`
	Add        []planTag    `json:"add"`
	Moved      []movedTag   `json:"moved"`
	Gone       []planTag    `json:"gone"`
	Unchanged  []string     `json:"unchanged"`
	Skipped    []skippedTag `json:"skipped"`
	Staged     []imageEntry `json:"staged"`
	host       string
	nothing    bool // to stage
	done       bool
}

// planTag is a tag with the digest that is served, or for one that is gone the signed one.
type planTag struct {
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
}

type movedTag struct {
	Tag     string `json:"tag"`
	Signed  string `json:"signed"`
	Served  string `json:"served"`
	Replace bool   `json:"replace"`
}

type skippedTag struct {
	Tag     string `json:"tag"`
	Reason  string `json:"reason"`
	Refused bool   `json:"refused"`
}

func (a *app) newImageSync() *cobra.Command {
	var o imageSyncOptions
	cmd := &cobra.Command{
		Use:   "sync --repo REPO --tags PATTERN",
		Short: "Compare the tags of a repository with those that are signed, and stage new ones",
		Long: `List the tags of a repository that match a pattern, show what is new, moved or
gone and, after a yes, stage the new ones. In the pattern * stands for any text.

A tag that was moved is never staged by itself, since to sign what a registry
serves now is what an attacker wants: name each with --replace. Signed tags
that the registry does not have any more are only listed.

--verified stages an image only if its Notation signature verifies under the
policy and the certificates that this workspace has published.`,
		Example: `  tufoci image sync --repo registry.acme.io/shop/api --tags 'v*'
  tufoci image sync --repo registry.acme.io/shop/api --tags 'v*' --replace shop/api:v2`,
		Args: cobra.NoArgs,
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.repo, "repo", "", "`REPOSITORY` with its host")
	f.StringVar(&o.tags, "tags", "", "`PATTERN` of the tags")
	f.StringArrayVar(&o.replace, "replace", nil, "stage `NAME:TAG`, which was moved, as it is now (several times)")
	f.StringVar(&o.role, "role", "", "`ROLE` that lists the entries (default: that of the tag, else targets or the right bin)")
	f.BoolVar(&o.allPlatforms, "all-platforms", false, "allow the manifests of indexes by their digests too")
	f.BoolVar(&o.verified, "verified", false, "stage only images whose signature verifies")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
	f.IntVar(&o.concurrency, "concurrency", 5, "read `N` tags at the same time")
	addExitCodeFlag(cmd, &o.exitCode)
	for _, name := range []string{"repo", "tags"} {
		_ = cmd.MarkFlagRequired(name) // it exists
	}
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		if o.concurrency < 1 {
			return usagef("--concurrency is a number above 0")
		}
		return a.withWorkspace(ctx, false, func(w *metadata.Workspace) error {
			r, err := a.runImageSync(ctx, w, &o)
			if err != nil {
				return err
			}
			return a.printChange(r, o.exitCode && r.nothing)
		})
	})
	return cmd
}

func (a *app) runImageSync(ctx context.Context, w *metadata.Workspace, o *imageSyncOptions) (*imageSyncResult, error) {
	ref, err := o.reference(w)
	if err != nil {
		return nil, err
	}
	plan, err := a.planImageSync(ctx, w, ref, o)
	if err != nil {
		return nil, err
	}
	r := newImageSyncResult(plan, ref, o.tags)
	entries := plan.Entries()
	if r.nothing = len(entries) == 0; r.nothing || o.dryRun {
		return r, nil
	}
	if !a.global.quiet {
		r.text(a.world.Stderr, a)
	}
	if err := a.confirm(ctx, "stage this?"); err != nil {
		return nil, err
	}
	change, err := w.AddImages(entries, metadata.ImageOptions{Role: o.role})
	if err != nil {
		return nil, err
	}
	r.Staged, r.done = imageEntries(change.Added), true
	return r, nil
}

// reference is the repository, which has to be on the canonical host.
func (o *imageSyncOptions) reference(w *metadata.Workspace) (ociremote.ImageReference, error) {
	host, err := canonicalHost(w)
	if err != nil {
		return ociremote.ImageReference{}, err
	}
	ref := ociremote.ImageReference{Kind: ociremote.KindRegistry}
	if ref.Host, ref.Repository, err = ociremote.ParseImageName(o.repo); err != nil {
		return ref, err
	}
	_, err = publish.NewImageRequest(ref, host)
	return ref, err
}

func (a *app) planImageSync(ctx context.Context, w *metadata.Workspace, ref ociremote.ImageReference, o *imageSyncOptions) (*publish.SyncPlan, error) {
	signed, err := w.SignedTags(ref.Repository)
	if err != nil {
		return nil, err
	}
	so := publish.SyncOptions{
		Tags: o.tags, Signed: signed,
		FetchOptions: publish.FetchOptions{AllPlatforms: o.allPlatforms, Concurrency: o.concurrency},
	}
	for _, name := range imageNames(w, o.replace) {
		tag, ok := strings.CutPrefix(name, ref.Repository+":")
		if !ok {
			return nil, usagef("--replace %q: want %s:TAG", name, ref.Repository)
		}
		so.Replace = append(so.Replace, tag)
	}
	client, err := a.client(ctx, &o.registry)
	if err != nil {
		return nil, err
	}
	if o.verified {
		if so.Verify, err = a.signatureVerifier(w, ref.Host, client); err != nil {
			return nil, err
		}
	}
	repo, err := imageOpener(client)(ctx, ref)
	if err != nil {
		return nil, err
	}
	return publish.PlanSync(ctx, repo, ref, so)
}

func newImageSyncResult(p *publish.SyncPlan, ref ociremote.ImageReference, tags string) *imageSyncResult {
	r := &imageSyncResult{
		Repository: ref.Repository, Tags: tags, host: ref.Host, Unchanged: append([]string{}, p.Unchanged...),
		Add: []planTag{}, Moved: []movedTag{}, Gone: []planTag{}, Skipped: []skippedTag{}, Staged: []imageEntry{},
	}
	for _, i := range p.Add {
		r.Add = append(r.Add, planTag{i.Tag, i.Manifest.Descriptor.Digest.String()})
	}
	for _, m := range p.Moved {
		r.Moved = append(r.Moved, movedTag{m.Tag, m.Signed, m.Served, m.Image != nil})
	}
	for _, g := range p.Gone {
		r.Gone = append(r.Gone, planTag(g))
	}
	for _, s := range p.Skipped {
		r.Skipped = append(r.Skipped, skippedTag(s))
	}
	return r
}

func (r *imageSyncResult) text(w io.Writer, _ *app) {
	if r.done {
		writeStagedImages(w, r.Staged)
		return
	}
	for _, t := range r.Add {
		fmt.Fprintf(w, "+ %s:%s = %s\n", r.Repository, t.Tag, t.Digest)
	}
	for _, m := range r.Moved {
		fmt.Fprintf(w, "~ %s:%s is signed as %s, but the registry serves %s\n", r.Repository, m.Tag, m.Signed, m.Served)
		if !m.Replace {
			fmt.Fprintf(w, "    not staged; if it was moved on purpose: `tufoci image sync --repo %s/%s --tags '%s' --replace %s:%s`\n", r.host, r.Repository, printable(r.Tags), r.Repository, m.Tag)
		}
	}
	for _, t := range r.Gone {
		fmt.Fprintf(w, "- %s:%s is signed as %s, but the registry does not have it\n", r.Repository, t.Tag, t.Digest)
		fmt.Fprintf(w, "    stays signed, until `tufoci image rm %s:%s`\n", r.Repository, t.Tag)
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "? %s:%s is not staged: %s\n", r.Repository, s.Tag, printable(oneLine(s.Reason)))
	}
	fmt.Fprintf(w, "%d new, %d moved, %d gone, %d skipped, %d unchanged\n", len(r.Add), len(r.Moved), len(r.Gone), len(r.Skipped), len(r.Unchanged))
}
