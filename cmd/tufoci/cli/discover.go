package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

type discoverOptions struct {
	registry registryFlags
	trust    string
	root     string
}

type discoverResult struct {
	document
	Image     string        `json:"image"`
	Digest    string        `json:"digest"`
	MediaType string        `json:"mediaType"`
	Beside    []foundBundle `json:"beside"`
	Attached  []foundBundle `json:"attached"`
	Referrers []referrer    `json:"referrers"`
	More      bool          `json:"more"`
}

// foundBundle is a bundle beside or on an image.
type foundBundle struct {
	Name      string       `json:"name"`
	Digest    string       `json:"digest"`
	Partial   bool         `json:"partial"`
	Lineage   string       `json:"lineage"`
	Trusts    []string     `json:"trusts"`
	Verified  bool         `json:"verified"`
	Root      int64        `json:"root"`
	Timestamp int64        `json:"timestamp"`
	Snapshot  int64        `json:"snapshot"`
	Targets   int64        `json:"targets"`
	Expires   moment       `json:"expires"`
	Error     *errorReport `json:"error"`
}

// referrer is anything else that refers to an image.
type referrer struct {
	Digest       string `json:"digest"`
	ArtifactType string `json:"artifactType"`
	MediaType    string `json:"mediaType"`
	Size         int64  `json:"size"`
}

func (a *app) newDiscover() *cobra.Command {
	var o discoverOptions
	cmd := &cobra.Command{
		Use:   "discover IMAGE",
		Short: "Show what stands beside and on an image, and whose it is",
		Long: `Show the trust that lies in the repository of an image and what refers to the
image: attached trust, signatures, anything else. Each bundle is held against
the pins of the trusts that are stored, or the one of --trust or --root: one that
holds a pinned root and verifies from it is shown with its trust, any other as
UNVERIFIED, with what it says of itself. Nothing is stored.`,
		Example: `  tufoci discover registry.acme.io/shop/api:1.4.2
  tufoci discover registry.acme.io/shop/api:1.4.2 --root 1.root.json --format tree`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{annotationTree: "yes"},
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.trust, "trust", "", "hold bundles against the pin of this trust `NAME` alone")
	f.StringVar(&o.root, "root", "", "hold bundles against the root in `FILE` alone")
	cmd.MarkFlagsMutuallyExclusive("trust", "root")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runDiscover(ctx, args[0], &o)
		if err != nil {
			return err
		}
		return a.print(r)
	})
	return cmd
}

func (a *app) runDiscover(ctx context.Context, arg string, o *discoverOptions) (*discoverResult, error) {
	image, err := ociremote.ParseImage(arg)
	if err != nil {
		return nil, err
	}
	pins, err := a.pins(o)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &o.registry)
	if err != nil {
		return nil, err
	}
	repo, err := client.Repository(ctx, image.Reference(), false)
	if err != nil {
		return nil, err
	}
	found, err := publish.Discover(ctx, repo, image, publish.DiscoverOptions{Pins: pins, Now: a.world.Now, Warn: a.warn})
	if err != nil {
		return nil, err
	}
	return a.newDiscoverResult(image, found), nil
}

// pins are those that the flags choose, else of all trusts.
func (a *app) pins(o *discoverOptions) ([]publish.Pin, error) {
	if o.root != "" {
		root, err := readFile(o.root)
		return []publish.Pin{{Name: o.root, Root: root}}, err
	}
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	entries := cfg.List()
	if o.trust != "" {
		if entries, err = chosen(cfg, []string{o.trust}); err != nil {
			return nil, err
		}
	}
	var pins []publish.Pin
	for _, e := range entries {
		root, err := cfg.RootBytes(e)
		if err != nil {
			return nil, err
		}
		pins = append(pins, publish.Pin{Name: e.Name, Root: root, MaxStale: e.MaxStale, Limits: e.Limits})
	}
	return pins, nil
}

func (a *app) newDiscoverResult(image ociremote.ImageReference, d *publish.Discovery) *discoverResult {
	desc := d.Manifest.Descriptor
	r := &discoverResult{
		Image: image.String(), Digest: desc.Digest.String(), MediaType: desc.MediaType,
		Beside: a.foundBundles(d.Beside), Attached: a.foundBundles(d.Attached), Referrers: []referrer{}, More: d.Truncated,
	}
	for _, x := range d.Referrers {
		r.Referrers = append(r.Referrers, referrer{x.Digest.String(), x.ArtifactType, x.MediaType, x.Size})
	}
	return r
}

func (a *app) foundBundles(in []publish.Found) []foundBundle {
	out := make([]foundBundle, len(in))
	for n, f := range in {
		out[n] = foundBundle{
			Name: f.Name, Digest: f.Digest.String(), Partial: f.Partial, Lineage: f.Lineage.String(), Trusts: append([]string{}, f.Pins...),
			Verified: f.Verified, Root: f.Versions.Root, Timestamp: f.Versions.Timestamp, Snapshot: f.Versions.Snapshot,
			Targets: f.Versions.Targets, Expires: moment{f.Expires},
		}
		if f.Err != nil {
			out[n].Error = a.report(f.Err)
		}
	}
	return out
}

func (r *discoverResult) text(w io.Writer, a *app) {
	now := a.world.Now()
	if a.global.format == formatTree {
		r.tree(w, now)
		return
	}
	fmt.Fprintf(w, "%s   %s\n", r.Image, r.Digest)
	for _, place := range r.places(now) {
		for _, line := range place.lines {
			fmt.Fprintf(w, "%-9s %s\n", place.name, line)
		}
	}
	if len(r.Beside)+len(r.Attached)+len(r.Referrers) == 0 {
		fmt.Fprintln(w, "nothing stands beside it or refers to it")
	}
	if r.More {
		fmt.Fprintln(w, "there is more, which is not shown")
	}
}

func (r *discoverResult) tree(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "%s   %s\n", r.Image, r.Digest)
	places := r.places(now)
	if r.More {
		places = append(places, discovered{name: "more, which is not shown"})
	}
	for n, place := range places {
		branch, next := "├── ", "│   "
		if n == len(places)-1 {
			branch, next = "└── ", "    "
		}
		fmt.Fprintf(w, "%s%s\n", branch, place.name)
		for m, line := range place.lines {
			leaf := "├── "
			if m == len(place.lines)-1 {
				leaf = "└── "
			}
			fmt.Fprintf(w, "%s%s%s\n", next, leaf, line)
		}
	}
}

// discovered is what stands in one place, a line each.
type discovered struct {
	name  string
	lines []string
}

func (r *discoverResult) places(now time.Time) []discovered {
	beside, attached, others := discovered{name: "beside"}, discovered{name: "attached"}, discovered{name: "referrer"}
	for _, f := range r.Beside {
		beside.lines = append(beside.lines, f.line(now))
	}
	for _, f := range r.Attached {
		attached.lines = append(attached.lines, f.line(now))
	}
	for _, x := range r.Referrers {
		others.lines = append(others.lines, fmt.Sprintf("%s   %s, %d bytes", x.Digest, printable(first(x.ArtifactType, x.MediaType)), x.Size))
	}
	var out []discovered
	for _, d := range []discovered{beside, attached, others} {
		if len(d.lines) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// line says whose a bundle is, and how old.
func (f *foundBundle) line(now time.Time) string {
	if f.Digest == "" {
		return fmt.Sprintf("%s   %s", f.Name, printable(f.Error.What))
	}
	parts := []string{f.Name}
	if f.Name != f.Digest {
		parts = append(parts, "-> "+f.Digest)
	}
	whose := "UNVERIFIED, of no trust here"
	switch {
	case f.Verified:
		whose = "trust " + joinWords(f.Trusts)
	case len(f.Trusts) > 0:
		whose = fmt.Sprintf("UNVERIFIED, says that it is of trust %s: %s", joinWords(f.Trusts), f.Error.What)
	}
	parts = append(parts, "  "+whose+";", fmt.Sprintf("root %s, timestamp %s, expires %s", formatVersion(f.Root), formatVersion(f.Timestamp), formatTime(f.Expires.Time, now)))
	if lineage := strings.TrimPrefix(f.Lineage, "sha256:"); lineage != "" {
		parts = append(parts, fmt.Sprintf("(lineage %s)", shorten(lineage, 12)))
	}
	return printable(strings.Join(parts, " "))
}
