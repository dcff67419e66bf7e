package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// selectFlags say which images go along, and what they have to have.
type selectFlags struct {
	acceptFlags
	patterns     []string
	repositories []string
	from         string
	referrers    bool
	history      int
}

// acceptFlags say what images have to have.
type acceptFlags struct {
	require         []string
	includeRevoked  bool
	includeUnmapped bool
}

func (c *acceptFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&c.require, "require", nil, "require this `WHAT` of images: mapping, signature; of a trust, beside what it does")
	f.BoolVar(&c.includeRevoked, "include-revoked", false, "copy images that are revoked, too")
	f.BoolVar(&c.includeUnmapped, "include-unmapped", false, "copy images that no signed entry names, too")
}

// check reads the values of --require.
func (c *acceptFlags) check() error {
	for _, what := range c.require {
		if what != trust.RequireMapping && what != trust.RequireSignature {
			return usagef("--require %s: want %s or %s", what, trust.RequireMapping, trust.RequireSignature)
		}
	}
	return nil
}

func (s *selectFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.patterns, "image", nil, "copy images of this `PATTERN` of their canonical names: HOST/REPO:TAG, HOST/REPO@DIGEST, 'HOST/shop/*', 'HOST/**:1.*' (several times)")
	f.StringArrayVar(&s.repositories, "repo", nil, "copy all signed tags of repositories of this `PATTERN`: HOST/REPO, 'HOST/**' (several times)")
	f.StringVar(&s.from, "images-from", "", "read images below `REG[/PREFIX]` (default: a layout or archive that is SRC, else the host of their names)")
	f.BoolVar(&s.referrers, "referrers", false, "copy everything that refers to an image, not its signatures and attached trust alone")
	s.acceptFlags.add(cmd)
}

// imageSource is where a copy of a TRUST|SOURCE and of images reads, with what is
// required of these.
func (a *app) imageSource(ctx context.Context, from string, read *readFlags, s *selectFlags) (*mirror.Options, error) {
	p, err := a.find(ctx, from, read)
	if err != nil {
		return nil, err
	}
	view, err := a.refresh(ctx, p)
	if err != nil {
		return nil, err
	}
	o := &mirror.Options{
		Source: mirror.Source{View: view, Tag: p.source.Reference.Tag}, Referrers: s.referrers, History: s.history,
		AllowRevoked: s.includeRevoked, AllowUnmapped: s.includeUnmapped, Now: a.world.Now, Warn: a.warn,
	}
	if o.Images, err = s.images(ctx, view); err != nil {
		return nil, err
	}
	if len(o.Images) > 0 && view.Status().AsOf != nil {
		return nil, usagef("--as-of says what was, and images are copied by what is")
	}
	if o.Source.Entry, err = a.mirrorEntry(ctx, p, view, s, o.Images); err != nil {
		return nil, err
	}
	if s.history > 0 {
		if p.source.Reference.Tag == "" {
			return nil, usagef("--history: %s has no older bundles", from)
		}
		if o.Source.Trust, err = p.options.Client.Repository(ctx, p.source.Reference, false); err != nil {
			return nil, err
		}
	}
	return o, locate(o, p, s.from)
}

// images are those that the patterns select.
func (s *selectFlags) images(ctx context.Context, view *trust.View) ([]mirror.Image, error) {
	for _, r := range s.repositories {
		if strings.Contains(r, "@") || strings.LastIndexByte(r, ':') > strings.LastIndexByte(r, '/') {
			return nil, usagef("--repo %s: a repository has no tag; --image names one image", r)
		}
	}
	return mirror.Select(ctx, view, slices.Concat(s.patterns, s.repositories))
}

// mirrorEntry says what images need: what the trust says, or with --root a mapping,
// and a signature if the repository has a policy for that.
func (a *app) mirrorEntry(ctx context.Context, p *pin, view *trust.View, s *selectFlags, images []mirror.Image) (trust.Entry, error) {
	if err := s.check(); err != nil {
		return trust.Entry{}, err
	}
	if p.name != "" {
		cfg, err := a.trusts()
		if err != nil {
			return trust.Entry{}, err
		}
		entry, err := cfg.Get(p.name)
		entry.Require = slices.Concat(entry.Required(), s.require)
		return entry, err
	}
	return mirror.RootEntry(ctx, view, images, s.require)
}

// locate says where images are read: below --images-from, in the layout or archive that
// is the source, or in the registry that their names say.
func locate(o *mirror.Options, p *pin, from string) error {
	if from != "" {
		below, err := parseBelow("--images-from", from)
		if err != nil {
			return err
		}
		o.Source.Locate = below.image
	} else if k := p.source.Kind; k == fetcher.KindLayout || k == fetcher.KindArchive {
		o.Source.Locate = func(string) ociremote.ImageReference {
			return ociremote.ImageReference{Kind: p.source.Reference.Kind, Path: p.source.Reference.Path}
		}
	}
	o.Source.Open = newClients(p.options.Client, p.source.Reference.Host).openReadable
	return nil
}

// below is a place in a registry: REG or REG/PREFIX.
type below struct{ host, prefix string }

func parseBelow(flag, s string) (below, error) {
	host, prefix, has := strings.Cut(s, "/")
	host, err := ociremote.ParseImageHost(host)
	if err == nil && has && !ociremote.IsRepository(prefix) {
		err = fmt.Errorf("invalid prefix %q", prefix)
	}
	if err != nil {
		return below{}, usagef("%s %s: want REG or REG/PREFIX: %v", flag, s, err)
	}
	return below{host, prefix}, nil
}

// image is where an image of a canonical repository lies below it.
func (b below) image(canonical string) ociremote.ImageReference {
	_, repository, _ := strings.Cut(canonical, "/")
	if b.prefix != "" {
		repository = b.prefix + "/" + repository
	}
	return ociremote.ImageReference{Kind: ociremote.KindRegistry, Host: b.host, Repository: repository}
}

// imageDestination is where a copy goes: the trust repository to ref, and images below
// imagesTo, by default the registry of ref, or the layout that it is.
func imageDestination(ctx context.Context, client *ociremote.Client, ref ociremote.Reference, imagesTo string) (mirror.Destination, error) {
	repo, err := openWritable(ctx, client, ref)
	if err != nil {
		return mirror.Destination{}, err
	}
	return destinationOf(repo, client, ref, imagesTo)
}

// destinationOf is imageDestination for a repository that is open.
func destinationOf(repo ociremote.WritableRepository, client *ociremote.Client, ref ociremote.Reference, imagesTo string) (mirror.Destination, error) {
	d := mirror.Destination{Trust: repo, Tag: ref.Tag}
	if imagesTo == "" && ref.Kind != ociremote.KindRegistry {
		d.Images = func(context.Context, string) (ociremote.WritableRepository, error) { return repo, nil }
		return d, nil
	}
	to := below{host: ref.Host}
	if imagesTo != "" {
		var err error
		if to, err = parseBelow("--images-to", imagesTo); err != nil {
			return d, err
		}
	}
	clients := newClients(client, ref.Host)
	d.Images = func(ctx context.Context, canonical string) (ociremote.WritableRepository, error) {
		return clients.openWritable(ctx, to.image(canonical))
	}
	return d, nil
}

// imageCopy is what became of one image.
type imageCopy struct {
	Image       string `json:"image"`
	Name        string `json:"name"`
	Tag         string `json:"tag"`
	Digest      string `json:"digest"`
	MediaType   string `json:"mediaType"`
	Verified    bool   `json:"verified"`
	Allowed     string `json:"allowed"`
	Unchanged   bool   `json:"unchanged"`
	Signatures  int    `json:"signatures"`
	Attachments int    `json:"attachments"`
	Referrers   int    `json:"referrers"`
	Bytes       int64  `json:"bytes"`
	ExitCode    int    `json:"exitCode"`
	Error       string `json:"error"`
}

func imageCopies(results []mirror.ImageResult) []imageCopy {
	out := make([]imageCopy, len(results))
	for i, r := range results {
		out[i] = imageCopy{
			Image: r.String(), Name: r.Name, Tag: r.Tag, Digest: first(r.Digest.String(), r.Image.Digest.String()), MediaType: r.MediaType,
			Verified: r.Digest != "" && r.Allowed == "", Allowed: r.Allowed, Unchanged: r.Unchanged,
			Signatures: r.Signatures, Attachments: r.Attachments, Referrers: r.Referrers, Bytes: r.Bytes,
		}
		if r.Err != nil {
			out[i].ExitCode, out[i].Error = exitCodeOf(r.Err), oneLine(r.Err.Error())
		}
	}
	return out
}

// exitCodeOf is the exit code of a command that ends with an error.
func exitCodeOf(err error) int {
	for _, rule := range rules {
		if rule.match(err) {
			return rule.code
		}
	}
	return exitOther
}

// printCopies writes what a person wants to know of many images: those that failed, or
// that were let pass, each, and the others as a sum.
func printCopies(w io.Writer, images []imageCopy, bytes int64, dryRun bool) {
	failed, unchanged, signatures, attachments, referrers := 0, 0, 0, 0, 0
	for _, image := range images {
		switch {
		case image.Error != "":
			fmt.Fprintf(w, "✗ %s: %s\n", printable(image.Image), printable(image.Error))
			failed++
			continue
		case image.Allowed != "":
			fmt.Fprintf(w, "  not verified, %s: %s\n", image.Allowed, printable(image.Image))
		}
		signatures, attachments, referrers = signatures+image.Signatures, attachments+image.Attachments, referrers+image.Referrers
		if image.Unchanged {
			unchanged++
		}
	}
	good := len(images) - failed
	switch {
	case good == 0:
	case dryRun:
		fmt.Fprintf(w, "would copy %s, %d of them unchanged\n", count(good, "image"), unchanged)
	default:
		with := count(signatures, "signature")
		if attachments > 0 {
			with += ", " + count(attachments, "attachment")
		}
		if referrers > 0 {
			with += ", " + count(referrers, "other referrer")
		}
		fmt.Fprintf(w, "✓ %s, %d of them unchanged; %s; %d bytes\n", count(good, "image"), unchanged, with, bytes)
	}
}
