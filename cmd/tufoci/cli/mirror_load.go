package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

type loadOptions struct {
	acceptFlags
	to          registryFlags
	root        string
	imagesTo    string
	maxStale    span
	setStale    bool // --max-stale was given
	dryRun      bool
	exitCode    bool
	concurrency int
}

type mirrorLoadResult struct {
	document
	reading
	File      string        `json:"file"`
	To        string        `json:"to"`
	ImagesTo  string        `json:"imagesTo"`
	Trust     string        `json:"trust"`
	Root      string        `json:"root"`
	DryRun    bool          `json:"dryRun"`
	Unchanged bool          `json:"unchanged"`
	Before    int64         `json:"timestampBefore"`
	Roles     []roleVersion `json:"roles"`
	Digest    string        `json:"digest"`
	Images    []imageCopy   `json:"images"`
	Referrers int           `json:"referrers"`
	Blobs     int           `json:"imageBlobs"`
	Bytes     int64         `json:"imageBytes"`
	Receipt   string        `json:"receipt"`
	Until     moment        `json:"validUntil"`
	from      string        // what it was verified from
	place     string        // what people call the destination
}

// What a receipt says of its archive.
const (
	receiptAbsent  = "absent"
	receiptMatches = "matches"
	receiptDiffers = "differs"
)

func (a *app) newMirrorLoad() *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "load FILE.tar DST",
		Short: "Verify an archive again and copy it into a registry or layout",
		Long: `Verify all of an archive again, by the trust whose source is DST or from --root:
metadata, every image by its signed entry and its signature, and each byte. Only
then is anything written, images first and tags last, and never an older state
than DST has. Images go below --images-to under their repository names.

The receipt beside FILE is compared, and believed nothing: one that is of another
archive is a warning.`,
		Example: `  tufoci mirror load acme.tar reg.local:5000/trust/tuf --root 1.root.json
  tufoci mirror load acme.tar reg.local:5000/trust/tuf --images-to reg.local:5000/acme --dry-run`,
		Args: cobra.ExactArgs(2),
	}
	o.to.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "verify from the root in `FILE`; a trust whose source is DST must have the same")
	f.StringVar(&o.imagesTo, "images-to", "", "copy images below `REG[/PREFIX]` (default: the registry of DST)")
	f.Var(&o.maxStale, "max-stale", "accept timestamp and snapshot this `DURATION` after expiry; of a trust, less than it does")
	o.acceptFlags.add(cmd)
	f.BoolVar(&o.dryRun, "dry-run", false, "verify, and change nothing")
	f.IntVar(&o.concurrency, "concurrency", 5, "copy `N` images at the same time")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		o.setStale = cmd.Flags().Changed("max-stale")
		r, err := a.runMirrorLoad(ctx, args[0], args[1], &o)
		if err != nil {
			return err
		}
		return a.printChange(r, o.exitCode && r.Unchanged)
	})
	return cmd
}

func (a *app) runMirrorLoad(ctx context.Context, file, to string, o *loadOptions) (*mirrorLoadResult, error) {
	a.subject.source = to
	ref, err := ociremote.ParseReference(to)
	switch {
	case err != nil:
		return nil, err
	case ref.Digest != "":
		return nil, usagef("%s: a copy goes to a tag, not to a digest", to)
	case ref.Kind == ociremote.KindArchive:
		return nil, usagef("%s: an archive is loaded into a registry or a layout", to)
	case o.concurrency < 1:
		return nil, usagef("--concurrency is a number above 0")
	}
	client, err := a.client(ctx, &o.to)
	if err != nil {
		return nil, err
	}
	load := mirror.LoadOptions{
		File: file, Sum: func(context.Context) (digest.Digest, error) { return sumOf(file) },
		AllowRevoked: o.includeRevoked, AllowUnmapped: o.includeUnmapped, DryRun: o.dryRun,
		Concurrency: o.concurrency, Now: a.world.Now, Warn: a.warn,
	}
	name, err := a.loadPin(ctx, ref, client, o, &load)
	if err != nil {
		return nil, err
	}
	if load.Archive, err = client.Repository(ctx, ociremote.Reference{Kind: ociremote.KindArchive, Path: file, Tag: ociremote.DefaultChannel}, false); err != nil {
		return nil, err
	}
	if load.Destination, err = imageDestination(ctx, client, ref, o.imagesTo); err != nil {
		return nil, err
	}
	bars := a.newImageBars()
	load.Progress = bars.progress()
	loaded, err := mirror.Load(ctx, load)
	bars.close()
	if err != nil {
		return nil, err
	}
	return newMirrorLoadResult(file, ref, name, o, &load, loaded), nil
}

// loadPin settles what an archive is verified from: the trust whose source is the
// destination, which a command line can only make stricter, or else a root file.
func (a *app) loadPin(ctx context.Context, to ociremote.Reference, client *ociremote.Client, o *loadOptions, load *mirror.LoadOptions) (name string, err error) {
	source, err := trust.ParseSource(to.String())
	if err != nil {
		return "", err
	}
	p, err := a.matching(source, client)
	if err != nil {
		return "", err
	}
	var given []byte
	if o.root != "" {
		if given, err = readFile(o.root); err != nil {
			return "", err
		}
	}
	if p.name == "" {
		if given == nil {
			return "", &unpinnedError{source: to.String()}
		}
		load.Root, load.Entry.MaxStale, load.Entry.Require = given, time.Duration(o.maxStale), o.require
		return "", o.check()
	}
	return p.name, a.loadTrust(ctx, p, given, o, load)
}

func (a *app) loadTrust(ctx context.Context, p *pin, given []byte, o *loadOptions, load *mirror.LoadOptions) error {
	cfg, err := a.trusts()
	if err != nil {
		return err
	}
	if load.Entry, err = cfg.Get(p.name); err != nil {
		return err
	}
	load.Root = p.root
	if given != nil && hexOf(given) != hexOf(p.root) {
		return &trust.VerificationError{
			Kind: trust.ErrWrongRoot, Role: "root",
			Detail: fmt.Sprintf("the trust %s has this source with the root sha256:%s, and %s has sha256:%s", p.name, hexOf(p.root), o.root, hexOf(given)),
		}
	}
	if o.setStale {
		load.Entry.MaxStale = min(load.Entry.MaxStale, time.Duration(o.maxStale))
	}
	load.Entry.Require = slices.Concat(load.Entry.Required(), o.require)
	if err := o.check(); err != nil {
		return err
	}
	load.Seen, err = p.seen(ctx)
	return err
}

func hexOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sumOf hashes a file.
func sumOf(file string) (digest.Digest, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return digest.SHA256.FromReader(f)
}

func newMirrorLoadResult(file string, to ociremote.Reference, name string, o *loadOptions, load *mirror.LoadOptions, loaded *mirror.LoadResult) *mirrorLoadResult {
	st := loaded.View.Status()
	r := &mirrorLoadResult{
		reading: readingOf(st), File: file, To: to.String(), ImagesTo: first(o.imagesTo, to.Host), Trust: name,
		Root: "sha256:" + hexOf(load.Root), DryRun: o.dryRun, Before: loaded.From, Roles: roleVersions(st),
		Digest: loaded.Copy.Metadata.Digest.String(), Images: imageCopies(loaded.Copy.Images), Referrers: loaded.Referrers,
		Blobs: loaded.Copy.Blobs, Bytes: loaded.Copy.Bytes, Until: moment{loaded.Validity.Until()},
		Receipt: receiptAbsent, from: first(o.root, "the root of trust "+name), place: placeOf(to),
	}
	r.Source = "archive" // which was read into memory and verified
	r.Unchanged = loaded.Copy.Metadata.Unchanged && !slices.ContainsFunc(r.Images, func(c imageCopy) bool { return !c.Unchanged })
	switch {
	case loaded.Matches:
		r.Receipt = receiptMatches
	case loaded.Receipt != nil:
		r.Receipt = receiptDiffers
	}
	return r
}

// placeOf is the host of a registry without its port, or a path.
func placeOf(to ociremote.Reference) string {
	if to.Kind != ociremote.KindRegistry {
		return to.Path
	}
	if host, _, err := net.SplitHostPort(to.Host); err == nil {
		return host
	}
	return to.Host
}

func (r *mirrorLoadResult) text(w io.Writer, a *app) {
	timestamp := r.Roles[1]
	done := "tag switched last"
	if r.DryRun {
		done = "nothing was written"
	}
	var how string
	switch {
	case r.Before == 0:
		how = fmt.Sprintf("the first delivery to %s (timestamp v%d); %s", r.place, timestamp.Version, done)
	case r.Before < timestamp.Version:
		how = fmt.Sprintf("newer than %s (timestamp v%d -> v%d); %s", r.place, r.Before, timestamp.Version, done)
	case r.Unchanged:
		how = fmt.Sprintf("unchanged: %s has all of it (timestamp v%d)", r.place, timestamp.Version)
	default:
		how = fmt.Sprintf("as new as %s (timestamp v%d)", r.place, timestamp.Version)
	}
	fmt.Fprintf(w, "✓ verified again from %s; %s\n", printable(r.from), printable(how))
	for _, image := range r.Images {
		if image.Allowed != "" {
			fmt.Fprintf(w, "  not verified, %s: %s\n", image.Allowed, printable(image.Image))
		}
	}
	if len(r.Images) > 0 {
		fmt.Fprintf(w, "✓ %s + %s below %s; %s sent\n", count(len(r.Images), "image"), count(r.Referrers, "referrer"), printable(r.ImagesTo), megabytes(r.Bytes))
	}
	fmt.Fprintf(w, "  valid until %s\n", formatTime(r.Until.Time, a.world.Now()))
}
