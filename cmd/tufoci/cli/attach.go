package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

type attachOptions struct {
	registry    registryFlags
	repo        string
	root        string
	as          string
	layout      string
	concurrency int
	dryRun      bool
}

type attachResult struct {
	document
	Repository string       `json:"repository"`
	DryRun     bool         `json:"dryRun"`
	Images     []attachment `json:"images"`
}

func (a *app) newAttach() *cobra.Command {
	var o attachOptions
	cmd := &cobra.Command{
		Use:   "attach IMAGE...",
		Short: "Attach to images what their verification needs",
		Long: `Attach to each image, as a referrer, all that verifying it needs: every root,
timestamp, snapshot, targets, the roles that its lookup visits, and policy,
certificates, CRLs and revocations. Copied with the image, it lets the copy be
verified from a pinned root where the trust repository cannot be reached, until
its timestamp expires. Run it again before images travel.

The image has to be there as it is signed. The trust repository is that of the
workspace, or --repo, verified by the trust that has it or from --root. Older
attachments of the same roots are deleted where the registry allows it; those of
others stay.`,
		Example: `  tufoci attach registry.acme.io/shop/api:1.4.2
  tufoci attach registry.acme.io/shop/api:1.4.2 --repo registry.acme.io/trust/tuf --root root.json`,
		Args: cobra.MinimumNArgs(1),
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.repo, "repo", "", "trust repository `REPO` (default: that of the workspace)")
	f.StringVar(&o.root, "root", "", "with --repo: verify from the root in `FILE`, without a stored trust")
	f.StringVar(&o.as, "as", "", "image `REFERENCE` that an image of a layout is signed as")
	f.StringVar(&o.layout, "layout", "", "write the bundle in this `LAYOUT`: default, nodata or gitlab (default: that of the workspace)")
	f.IntVar(&o.concurrency, "concurrency", 5, "attach to `N` images at the same time")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runAttach(ctx, args, &o)
		return printAlso(a, r, err)
	})
	return cmd
}

func (a *app) runAttach(ctx context.Context, args []string, o *attachOptions) (*attachResult, error) {
	images, err := o.images(args)
	if err != nil {
		return nil, err
	}
	clients, err := a.clientsFor(ctx, &o.registry, images[0].Host)
	if err != nil {
		return nil, err
	}
	from, err := a.attachFrom(clients, o)
	if err != nil {
		return nil, err
	}
	wanted, err := from.attachments(images, o)
	if err != nil {
		return nil, err
	}
	view, err := a.refresh(ctx, from.pin)
	if err != nil {
		return nil, err
	}
	results := publish.Attach(ctx, view, wanted, clients.openWritable, publish.AttachOptions{
		Layout: ociremote.Layout(o.layout), Concurrency: o.concurrency, DryRun: o.dryRun, Now: a.world.Now, Warn: a.warn,
	})
	r := &attachResult{Repository: from.source.String(), DryRun: o.dryRun}
	var errs []error
	if r.Images, errs = a.attachments(results); len(errs) > 0 {
		return r, errs[0]
	}
	return r, nil
}

// images reads the arguments.
func (o *attachOptions) images(args []string) ([]ociremote.ImageReference, error) {
	if o.concurrency < 1 {
		return nil, usagef("--concurrency is a number above 0")
	}
	if o.root != "" && o.repo == "" {
		return nil, usagef("--root goes with --repo")
	}
	if _, err := parseLayout(o.layout); err != nil {
		return nil, err
	}
	if o.as != "" && len(args) > 1 {
		return nil, usagef("--as names one image, and %d are given", len(args))
	}
	images := make([]ociremote.ImageReference, len(args))
	for n, arg := range args {
		image, err := ociremote.ParseImage(arg)
		if err != nil {
			return nil, err
		}
		if (image.Kind == ociremote.KindRegistry) != (o.as == "") {
			return nil, usagef("%s: a layout has no repository name: --as REFERENCE gives it, and is for nothing else", arg)
		}
		images[n] = image
	}
	return images, nil
}

func (r *attachResult) text(w io.Writer, a *app) {
	if r.DryRun {
		for _, i := range r.Images {
			switch {
			case i.Error != nil:
				fmt.Fprintf(w, "✗ %s: %s\n", i.Image, printable(i.Error.What))
			case i.Unchanged:
				fmt.Fprintf(w, "attached to %s already: timestamp %s\n", i.Image, formatVersion(i.Versions["timestamp"]))
			default:
				fmt.Fprintf(w, "would attach to %s: %s\n", i.Image, i.holds())
			}
		}
		return
	}
	writeAttachments(w, r.Images, a.world.Now())
}
