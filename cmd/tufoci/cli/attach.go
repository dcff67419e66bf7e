package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
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

// attachment is what is attached to one image.
type attachment struct {
	Image     string           `json:"image"`
	Subject   string           `json:"subject"`
	Digest    string           `json:"digest"`
	Roles     []string         `json:"roles"`
	Versions  map[string]int64 `json:"versions"`
	Targets   []string         `json:"targets"`
	Expires   moment           `json:"expires"`
	Unchanged bool             `json:"unchanged"`
	Pruned    []string         `json:"pruned"`
	Kept      []string         `json:"kept"`
	Error     *errorReport     `json:"error"`
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

// attachSource is what is attached: where it is read, and how images are called in it.
type attachSource struct {
	*pin
	host string // that images have to be on, "" for any
	maps []trust.Map
}

// attachFrom finds the trust repository: that of --repo, else of the workspace.
func (a *app) attachFrom(clients *clients, o *attachOptions) (*attachSource, error) {
	if o.repo == "" {
		return a.attachWorkspace(clients, o)
	}
	a.subject.source = o.repo
	source, err := trust.ParseSource(o.repo)
	if err != nil {
		return nil, err
	}
	client, err := clients.atHome(source.Reference.Host)
	if err != nil {
		return nil, err
	}
	if o.root != "" {
		p, err := a.standalone(source, client, &readFlags{root: o.root})
		return &attachSource{pin: p}, err
	}
	p, err := a.matching(source, client)
	if err != nil || p.name == "" {
		return &attachSource{pin: p}, err
	}
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	entry, err := cfg.Get(p.name)
	return &attachSource{pin: p, maps: entry.Maps}, err
}

// attachWorkspace reads what the workspace has published, from its first root.
func (a *app) attachWorkspace(clients *clients, o *attachOptions) (*attachSource, error) {
	from := &attachSource{}
	err := a.withPassphrase(true, nil, func(w *metadata.Workspace) error {
		home, err := homeOf(w)
		if err != nil {
			return err
		}
		source, err := trust.ParseSource(home.String())
		if err != nil {
			return err
		}
		root, err := w.Root1()
		if err != nil {
			return err
		}
		if from.host, err = canonicalHost(w); err != nil {
			return err
		}
		if o.layout == "" {
			o.layout = w.Config().Layout
		}
		client, err := clients.atHome(home.Host)
		if err != nil {
			return err
		}
		from.pin = &pin{source: source, root: root, options: trust.Options{
			Source: source, Client: client, Now: a.world.Now, Warn: a.warn,
		}}
		return nil
	})
	return from, err
}

// attachments names the images as the trust repository does.
func (s *attachSource) attachments(images []ociremote.ImageReference, o *attachOptions) ([]publish.Attachment, error) {
	out := make([]publish.Attachment, len(images))
	for n, image := range images {
		name := image
		if o.as != "" {
			var err error
			if name, err = parseAs(o.as); err != nil {
				return nil, err
			}
		}
		if s.host != "" && name.Host != s.host {
			return nil, fmt.Errorf("%w: %s is not on %q", publish.ErrImageHost, name, s.host)
		}
		_, repository, _ := strings.Cut(trust.Canonical(name.Name(), s.maps), "/")
		out[n] = publish.Attachment{Image: image, Repository: repository, Tag: name.Tag}
	}
	return out, nil
}

// attachments is what is shown of results, and what failed.
func (a *app) attachments(results []publish.AttachResult) (list []attachment, errs []error) {
	list = make([]attachment, len(results))
	for n, r := range results {
		name := r.Image.String()
		list[n] = newAttachment(r, name)
		if r.Err == nil {
			continue
		}
		err := r.Err
		if len(results) > 1 {
			err = fmt.Errorf("%s: %w", name, err)
		}
		if len(errs) == 0 {
			a.subject.image = name
		}
		list[n].Error = a.report(r.Err)
		errs = append(errs, err)
	}
	return list, errs
}

func newAttachment(r publish.AttachResult, image string) attachment {
	i := attachment{
		Image: image, Subject: r.Subject.String(), Digest: r.Digest.String(), Roles: append([]string{}, r.Roles...), Versions: r.Versions,
		Targets: append([]string{}, r.Targets...), Expires: moment{r.Expires}, Unchanged: r.Unchanged, Pruned: []string{}, Kept: []string{},
	}
	if i.Versions == nil {
		i.Versions = map[string]int64{}
	}
	for _, d := range r.Pruned {
		i.Pruned = append(i.Pruned, d.String())
	}
	for _, d := range r.Kept {
		i.Kept = append(i.Kept, d.String())
	}
	return i
}

func (r *attachResult) text(w io.Writer, a *app) {
	if r.DryRun {
		for _, i := range r.Images {
			if i.Error == nil && !i.Unchanged {
				fmt.Fprintf(w, "would attach to %s: %s\n", i.Image, i.holds())
			}
		}
		return
	}
	writeAttachments(w, r.Images, a.world.Now())
}

func writeAttachments(w io.Writer, images []attachment, now time.Time) {
	for _, i := range images {
		switch {
		case i.Error != nil:
			fmt.Fprintf(w, "✗ %s: %s\n", i.Image, printable(i.Error.What))
			continue
		case i.Unchanged:
			fmt.Fprintf(w, "✓ attached to %s already: timestamp %s; fresh until %s\n", i.Image, formatVersion(i.Versions["timestamp"]), formatTime(i.Expires.Time, now))
		default:
			fmt.Fprintf(w, "✓ attached to %s: %s; fresh until %s\n", i.Image, i.holds(), formatTime(i.Expires.Time, now))
		}
		if n := len(i.Pruned); n > 0 {
			fmt.Fprintf(w, "  %s deleted\n", count(n, "older attachment"))
		}
		if n := len(i.Kept); n > 0 {
			fmt.Fprintf(w, "  %s left: the registry does not let go of them; clients take the newest\n", count(n, "older attachment"))
		}
	}
}

// holds lists roles with their versions, and the kinds of files.
func (i *attachment) holds() string {
	parts := []string{"roots v1-" + formatVersion(i.Versions["root"])}
	if i.Versions["root"] == 1 {
		parts[0] = "root v1"
	}
	for _, role := range append([]string{"timestamp", "snapshot", "targets"}, i.Roles...) {
		parts = append(parts, printable(role)+" "+formatVersion(i.Versions[role]))
	}
	for _, kind := range []struct{ prefix, word string }{
		{"notation/trustpolicy", "policy"}, {"notation/x509/", "certificates"}, {"notation/crl/", "CRLs"}, {"revocations", "revocations"}, {"tufoci/", "other files"},
	} {
		for _, path := range i.Targets {
			if strings.HasPrefix(path, kind.prefix) {
				parts = append(parts, kind.word)
				break
			}
		}
	}
	return strings.Join(parts, ", ")
}
