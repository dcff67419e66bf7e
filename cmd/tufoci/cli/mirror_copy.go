package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

type mirrorOptions struct {
	from        readFlags
	to          registryFlags
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
	line         string
}

func (a *app) newMirrorCopy(name string) *cobra.Command {
	var o mirrorOptions
	cmd := &cobra.Command{
		Use:     name + " SRC DST",
		Aliases: map[string][]string{"copy": {"cp"}}[name],
		Short:   "Copy a repository, verified before it is written, byte for byte",
		Long: `Copy a TUF repository from a registry, layout, archive, web server or directory
to a registry, layout or archive. It is verified first, by the trust that has
this source or from --root. Roots below the pin are carried, but not verified.

Flags for the source's registry start with --from-, those for the
destination's with --to-. TUFOCI_USERNAME, TUFOCI_PASSWORD and
TUFOCI_IDENTITY_TOKEN are not read, since they cannot say whose they are.`,
		Example: `  tufoci mirror copy registry.acme.io/trust/tuf oci-archive:trust.tar --root 1.root.json
  tufoci mirror copy file://./repository reg.local:5000/trust/tuf --root 1.root.json`,
		Args: cobra.ExactArgs(2),
	}
	o.from.add(cmd, "from-")
	o.to.add(cmd, "to-")
	f := cmd.Flags()
	f.StringVar(&o.layout, "layout", "", "write the bundle in this `LAYOUT`: default, nodata or gitlab (default: as it is)")
	f.BoolVar(&o.noHistory, "no-history", false, "write no history tag")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
	f.IntVar(&o.concurrency, "concurrency", 5, "send `N` blobs at the same time")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.MarkFlagsMutuallyExclusive("from-password-stdin", "from-identity-token-stdin", "to-password-stdin", "to-identity-token-stdin")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runMirrorCopy(ctx, args[0], args[1], &o)
		if err != nil {
			return err
		}
		return a.printChange(r, o.exitCode && r.Unchanged)
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
	if o.concurrency < 1 {
		return nil, usagef("--concurrency is a number above 0")
	}
	view, err := a.view(ctx, from, &o.from)
	if err != nil {
		return nil, err
	}
	dst, finish, err := a.destination(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	bars := a.newBars()
	res, err := publish.Mirror(ctx, view, dst, publish.MirrorOptions{
		Tag: ref.Tag, Layout: layout, NoHistory: o.noHistory, DryRun: o.dryRun,
		Concurrency: o.concurrency, Now: a.world.Now, Progress: bars.progress(), Warn: a.warn,
	})
	bars.close()
	if finishErr := finish(err == nil && !o.dryRun); err == nil {
		err = finishErr
	}
	if err != nil {
		return nil, err
	}
	return a.newMirrorResult(from, ref, view, res, o.dryRun), nil
}

// destination opens what is written to. finish commits an archive, or drops it.
func (a *app) destination(ctx context.Context, ref ociremote.Reference, o *mirrorOptions) (ociremote.WritableRepository, func(ok bool) error, error) {
	if ref.Kind == ociremote.KindArchive {
		archive, err := ociremote.CreateArchive(ref.Path)
		if err != nil {
			return nil, nil, err
		}
		return archive, func(ok bool) error {
			defer archive.Close()
			if !ok {
				return nil
			}
			return archive.Commit()
		}, nil
	}
	client, err := a.client(ctx, &o.to)
	if err != nil {
		return nil, nil, err
	}
	repo, err := openWritable(ctx, client, ref)
	return repo, func(bool) error { return nil }, err
}

// parseLayout reads a layout, "" for the one that is there.
func parseLayout(s string) (ociremote.Layout, error) {
	switch l := ociremote.Layout(s); l {
	case "", ociremote.LayoutDefault, ociremote.LayoutNoData, ociremote.LayoutGitLab:
		return l, nil
	}
	return "", usagef("--layout %q: want default, nodata or gitlab", s)
}

func (a *app) newMirrorResult(from string, to ociremote.Reference, view *trust.View, res *publish.MirrorResult, dryRun bool) *mirrorResult {
	st := view.Status()
	read := newReading(view)
	return &mirrorResult{
		reading: read, From: from, To: to.String(), Tag: res.Tag, HistoryTag: res.HistoryTag,
		Digest: res.Digest.String(), DryRun: dryRun, Unchanged: res.Unchanged, Verbatim: res.Verbatim,
		Roles: roleVersions(st), Files: res.Files, Targets: res.Targets,
		Blobs: sentBlobs(res.Plan.Blobs), Bytes: res.Plan.Bytes,
		CarriedRoots: append([]int64{}, res.CarriedRoots...), SkippedRoles: append([]string{}, res.SkippedRoles...),
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
