package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/mirror"
)

type saveOptions struct {
	from        readFlags
	images      selectFlags
	output      string
	validUntil  until
	maxStale    span
	concurrency int
}

type mirrorSaveResult struct {
	document
	reading
	From      string        `json:"from"`
	File      string        `json:"file"`
	Receipt   string        `json:"receipt"`
	SHA256    string        `json:"sha256"`
	Size      int64         `json:"size"`
	Root      string        `json:"root"`
	Roles     []roleVersion `json:"roles"`
	Targets   int           `json:"targets"`
	Images    []imageCopy   `json:"images"`
	Referrers int           `json:"referrers"`
	Until     moment        `json:"validUntil"`
	MaxStale  string        `json:"maxStale"`
	Ends      []mirror.End  `json:"ends"`
	roots     string        // "v1-v4"
}

func (a *app) newMirrorSave() *cobra.Command {
	var o saveOptions
	cmd := &cobra.Command{
		Use:   "save SRC -o FILE.tar",
		Short: "Make one archive of a repository and images, to carry across an air gap",
		Long: `Copy a trust repository and the images that are named into one OCI archive, and
write beside it FILE.tar.receipt.json: what was verified, when, from which root.
Everything is verified before it is written, and the archive once more as a
whole, as whoever loads it will read it.

--valid-until refuses an archive in which anything ends sooner: a role, a CRL, a
signature, or a certificate of a signature without a timestamp. --max-stale says
how long after their expiry timestamp and snapshot are accepted where the archive
goes; that is decided there, for its trust.`,
		Example: `  tufoci mirror save registry.acme.io/trust/tuf -o acme.tar --image registry.acme.io/shop/api:1.4.2
  tufoci mirror save acme -o acme.tar --image 'registry.acme.io/shop/**' --valid-until 2026-12-15 --max-stale 15d`,
		Args: cobra.ExactArgs(1),
	}
	o.from.addCurrent(cmd, "")
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "archive `FILE` to write")
	f.Var(&o.validUntil, "valid-until", "refuse it if anything ends before this `TIME`: a date, RFC 3339, or 30d")
	f.Var(&o.maxStale, "max-stale", "timestamp and snapshot are accepted this `DURATION` after expiry, where the archive goes")
	f.IntVar(&o.concurrency, "concurrency", 5, "copy `N` images at the same time")
	o.images.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runMirrorSave(ctx, args[0], &o)
		if err != nil {
			return err
		}
		return a.print(r)
	})
	return cmd
}

func (a *app) runMirrorSave(ctx context.Context, from string, o *saveOptions) (*mirrorSaveResult, error) {
	if o.output == "" {
		return nil, usagef("give the archive to write: -o FILE.tar")
	}
	if o.concurrency < 1 {
		return nil, usagef("--concurrency is a number above 0")
	}
	validUntil := o.validUntil.time(a.world.Now())
	if !validUntil.IsZero() && !validUntil.After(a.world.Now()) {
		return nil, usagef("--valid-until %s is over: nothing could be refused for ending before it", &o.validUntil)
	}
	copying, err := a.imageSource(ctx, from, &o.from, &o.images)
	if err != nil {
		return nil, err
	}
	copying.Concurrency = o.concurrency
	bars := a.newImageBars()
	copying.Progress = bars.progress()
	saved, err := mirror.Save(ctx, mirror.SaveOptions{
		Copy: *copying, File: o.output, ValidUntil: validUntil, MaxStale: time.Duration(o.maxStale),
		Program: "tufoci " + readVersion().Version,
	})
	bars.close()
	if short, ok := errors.AsType[*mirror.ShortLivedError](err); ok && short.Last.After(a.world.Now()) {
		a.subject.until = mirror.FormatDate(short.Last)
	}
	if err != nil {
		return nil, err
	}
	return newMirrorSaveResult(from, o, copying, saved), nil
}

func newMirrorSaveResult(from string, o *saveOptions, copied *mirror.Options, saved *mirror.SaveResult) *mirrorSaveResult {
	receipt, st := saved.Receipt, copied.Source.View.Status()
	r := &mirrorSaveResult{
		reading: readingOf(st), From: from, File: o.output, Receipt: saved.ReceiptFile,
		SHA256: receipt.Archive.SHA256.String(), Size: receipt.Archive.Size, Root: receipt.Root.SHA256.String(),
		Roles: roleVersions(st), Targets: receipt.Targets, Images: imageCopies(saved.Copy.Images),
		Until: moment{receipt.ValidUntil}, MaxStale: receipt.MaxStale, Ends: receipt.Ends,
		roots: versionRange(receipt.Root.Version, st.Root.Version),
	}
	for _, image := range receipt.Images {
		r.Referrers += image.Referrers
	}
	return r
}

// versionRange writes versions in a row: "v1-v4", or "v1".
func versionRange(first, last int64) string {
	if first == last {
		return " v" + fmt.Sprint(first)
	}
	return fmt.Sprintf("s v%d-v%d", first, last)
}

func (r *mirrorSaveResult) text(w io.Writer, a *app) {
	timestamp := r.Roles[1]
	fmt.Fprintf(w, "✓ verified root%s, timestamp v%d (expires %s), %s; %s + %s; %s\n", r.roots, timestamp.Version,
		mirror.FormatDate(timestamp.Expires.Time), count(r.Targets, "target"), count(len(r.Images), "image"), count(r.Referrers, "referrer"), megabytes(r.Size))
	for _, image := range r.Images {
		if image.Allowed != "" {
			fmt.Fprintf(w, "  not verified, %s: %s\n", image.Allowed, printable(image.Image))
		}
	}
	fmt.Fprintf(w, "✓ receipt %s (what was verified, when, against which root)\n", printable(r.Receipt))
	if len(r.Ends) > 0 {
		fmt.Fprintf(w, "  valid until %s: %s\n", formatTime(r.Until.Time, a.world.Now()), printable(r.first()))
	}
}

// first says in words what ends first.
func (r *mirrorSaveResult) first() string {
	first := r.Ends[0]
	switch first.Kind {
	case mirror.EndCRL:
		return "the next update of CRL " + first.Name
	case mirror.EndSignature:
		return "the signature of " + first.Image
	case mirror.EndCertificate:
		return fmt.Sprintf("certificate %q of the signature of %s", first.Name, first.Image)
	}
	var roles []string
	for _, e := range r.Ends {
		if e.Kind == first.Kind && e.Until.Equal(first.Until) {
			roles = append(roles, e.Name)
		}
	}
	text := joinWords(roles)
	if !first.Until.Equal(first.Expires) {
		text += " with max-stale " + r.MaxStale
	}
	return text
}

// megabytes writes a size as people read it: in units of 1000.
func megabytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
