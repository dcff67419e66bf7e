package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

type mirrorOptions struct {
	from        readFlags
	to          registryFlags
	images      selectFlags
	imagesTo    string
	layout      string
	noHistory   bool
	dryRun      bool
	exitCode    bool
	concurrency int
}

type mirrorResult struct {
	document
	reading
	From         string        `json:"from"`
	To           string        `json:"to"`
	Tag          string        `json:"tag"`
	HistoryTag   string        `json:"historyTag"`
	Digest       string        `json:"digest"`
	DryRun       bool          `json:"dryRun"`
	Unchanged    bool          `json:"unchanged"`
	Verbatim     bool          `json:"verbatim"`
	Roles        []roleVersion `json:"roles"`
	Files        int           `json:"files"`
	Targets      int           `json:"targets"`
	Blobs        []sentBlob    `json:"blobs"`
	Bytes        int64         `json:"bytes"`
	CarriedRoots []int64       `json:"carriedRoots"`
	SkippedRoles []string      `json:"skippedRoles"`
	History      []string      `json:"history"`
	Images       []imageCopy   `json:"images"`
	ImageBlobs   int           `json:"imageBlobs"`
	ImageBytes   int64         `json:"imageBytes"`
	line         string
}

func (a *app) newMirrorCopy(name string) *cobra.Command {
	var o mirrorOptions
	cmd := &cobra.Command{
		Use:     name + " SRC DST",
		Aliases: map[string][]string{"copy": {"cp"}}[name],
		Short:   "Copy a repository and images, verified before they are written, byte for byte",
		Long: `Copy a TUF repository from a registry, layout, archive, web server or directory
to a registry, layout or archive. It is verified first, by the trust that has
this source or from --root. Roots below the pin are carried, but not verified.

--image and --repo take images along, with their signatures and attached trust.
They go by the names that are signed, with the canonical host in front: each is
verified as verify does, by what the trust requires, or with --root by its mapping
and, if the repository has a Notation policy, its signature. One that fails is
left out, keeps no other from being copied, and gives the exit code.

Flags for the source's registry start with --from-, those for the
destination's with --to-. TUFOCI_USERNAME, TUFOCI_PASSWORD and
TUFOCI_IDENTITY_TOKEN are not read, since they cannot say whose they are.`,
		Example: `  tufoci mirror copy registry.acme.io/trust/tuf oci-archive:trust.tar --root 1.root.json
  tufoci mirror copy registry.acme.io/trust/tuf reg.local:5000/trust/tuf --root 1.root.json --repo 'registry.acme.io/shop/*'
  tufoci mirror copy file://./repository reg.local:5000/trust/tuf --root 1.root.json`,
		Args: cobra.ExactArgs(2),
	}
	o.from.add(cmd, "from-")
	o.to.add(cmd, "to-")
	o.images.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.imagesTo, "images-to", "", "copy images below `REG[/PREFIX]` (default: the registry of DST, or the layout or archive that it is)")
	f.IntVar(&o.images.history, "history", 0, "copy the newest `N` older bundles, too")
	f.StringVar(&o.layout, "layout", "", "write the bundle in this `LAYOUT`: default, nodata or gitlab (default: as it is)")
	f.BoolVar(&o.noHistory, "no-history", false, "write no history tag")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
	f.IntVar(&o.concurrency, "concurrency", 5, "copy `N` images, and blobs, at the same time")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.MarkFlagsMutuallyExclusive("from-password-stdin", "from-identity-token-stdin", "to-password-stdin", "to-identity-token-stdin")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runMirrorCopy(ctx, args[0], args[1], &o)
		if err != nil {
			return printAlso(a, r, err)
		}
		return a.printChange(r, o.exitCode && r.nothing())
	})
	return cmd
}

func (a *app) runMirrorCopy(ctx context.Context, from, to string, o *mirrorOptions) (*mirrorResult, error) {
	ref, err := ociremote.ParseReference(to)
	if err != nil {
		return nil, err
	}
	if ref.Digest != "" {
		return nil, usagef("%s: a copy goes to a tag, not to a digest", to)
	}
	layout, err := parseLayout(o.layout)
	if err != nil {
		return nil, err
	}
	if o.concurrency < 1 || o.images.history < 0 {
		return nil, usagef("--concurrency is a number above 0, --history one that is not below it")
	}
	copying, err := a.imageSource(ctx, from, &o.from, &o.images)
	if err != nil {
		return nil, err
	}
	var finish func(ok bool) error
	if copying.Destination, finish, err = a.destination(ctx, ref, o); err != nil {
		return nil, err
	}
	sending, images := a.newBars(), a.newImageBars()
	copying.Layout, copying.NoHistory, copying.DryRun, copying.Concurrency = layout, o.noHistory, o.dryRun, o.concurrency
	copying.Sending, copying.Progress = sending.progress(), images.progress()
	res, err := mirror.Copy(ctx, *copying)
	sending.close()
	images.close()
	a.subject.image = failed(res, err)
	whole := res != nil && res.Metadata != nil
	if finishErr := finish(whole && !o.dryRun); err == nil {
		err = finishErr
	}
	if !whole {
		return nil, err
	}
	return a.newMirrorResult(from, ref, copying.Source.View, res, o.dryRun), err
}

// failed names the image that an error is about.
func failed(r *mirror.Result, err error) string {
	if r != nil {
		for _, image := range r.Images {
			if image.Err != nil && errors.Is(err, image.Err) {
				return image.String()
			}
		}
	}
	return ""
}

// destination opens what is written to. finish commits an archive, or drops it.
func (a *app) destination(ctx context.Context, ref ociremote.Reference, o *mirrorOptions) (mirror.Destination, func(ok bool) error, error) {
	client, err := a.client(ctx, &o.to)
	if err != nil {
		return mirror.Destination{}, nil, err
	}
	if ref.Kind != ociremote.KindArchive {
		d, err := imageDestination(ctx, client, ref, o.imagesTo)
		return d, func(bool) error { return nil }, err
	}
	archive, err := ociremote.CreateArchive(ref.Path)
	if err != nil {
		return mirror.Destination{}, nil, err
	}
	d, err := destinationOf(archive, client, ref, o.imagesTo)
	if err != nil {
		return d, nil, errors.Join(err, archive.Close())
	}
	return d, func(ok bool) error {
		defer archive.Close()
		if !ok {
			return nil
		}
		return archive.Commit()
	}, nil
}

// nothing reports that all of it was there.
func (r *mirrorResult) nothing() bool {
	return r.Unchanged && !slices.ContainsFunc(r.Images, func(i imageCopy) bool { return !i.Unchanged })
}

// parseLayout reads a layout, "" for the one that is there.
func parseLayout(s string) (ociremote.Layout, error) {
	switch l := ociremote.Layout(s); l {
	case "", ociremote.LayoutDefault, ociremote.LayoutNoData, ociremote.LayoutGitLab:
		return l, nil
	}
	return "", usagef("--layout %q: want default, nodata or gitlab", s)
}

func (a *app) newMirrorResult(from string, to ociremote.Reference, view *trust.View, copied *mirror.Result, dryRun bool) *mirrorResult {
	st, res := view.Status(), copied.Metadata
	read := newReading(view)
	return &mirrorResult{
		reading: read, From: from, To: to.String(), Tag: res.Tag, HistoryTag: res.HistoryTag,
		Digest: res.Digest.String(), DryRun: dryRun, Unchanged: res.Unchanged, Verbatim: res.Verbatim,
		Roles: roleVersions(st), Files: res.Files, Targets: res.Targets,
		Blobs: sentBlobs(res.Plan.Blobs), Bytes: res.Plan.Bytes,
		CarriedRoots: append([]int64{}, res.CarriedRoots...), SkippedRoles: append([]string{}, res.SkippedRoles...),
		History: append([]string{}, copied.History...), Images: imageCopies(copied.Images),
		ImageBlobs: copied.Blobs, ImageBytes: copied.Bytes,
		line: versionLine(st, read.judged(a)),
	}
}

func (r *mirrorResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "✓ verified: %s; %s of which %s\n", r.line, count(r.Files, "file"), count(r.Targets, "target"))
	if len(r.CarriedRoots) > 0 {
		versions := make([]string, len(r.CarriedRoots))
		for i, v := range r.CarriedRoots {
			versions[i] = formatVersion(v)
		}
		fmt.Fprintf(w, "  carried, not verified: root %s\n", strings.Join(versions, ", "))
	}
	if len(r.SkippedRoles) > 0 {
		fmt.Fprintf(w, "  skipped, no delegation leads there: %s\n", printable(strings.Join(r.SkippedRoles, ", ")))
	}
	printCopies(w, r.Images, r.ImageBytes, r.DryRun)
	if len(r.History) > 0 {
		fmt.Fprintf(w, "✓ older bundles: %s\n", strings.Join(r.History, ", "))
	}
	switch {
	case r.Unchanged:
		fmt.Fprintf(w, "✓ unchanged: %s -> %s\n", printable(r.To), r.Digest)
	case r.DryRun:
		for _, b := range r.Blobs {
			fmt.Fprintf(w, "send %s %s (%d bytes)\n", first(printable(b.Title), "-"), b.Digest, b.Size)
		}
		fmt.Fprintf(w, "would write %s, %d bytes; nothing was written\n", count(len(r.Blobs), "blob"), r.Bytes)
	default:
		fmt.Fprintf(w, "✓ %s -> %s (%s, %d bytes)\n", printable(r.To), r.Digest, count(len(r.Blobs), "blob"), r.Bytes)
	}
}
