package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/verify"
)

// verifyFlags are those of verify and resolve.
type verifyFlags struct {
	registry   registryFlags
	trusts     []string
	require    []string
	maxStale   span
	setStale   bool // --max-stale was given
	offline    bool
	wait       span
	layout     bool
	as         string
	revocation string
}

// Values of --revocation.
const (
	revocationTUF  = "tuf"
	revocationBoth = "both"
)

func (o *verifyFlags) add(cmd *cobra.Command) {
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringArrayVar(&o.trusts, "trust", nil, "refuse images that this trust `NAME` does not decide about (several times); the say of others is never left out")
	f.StringSliceVar(&o.require, "require", nil, "require this `WHAT` too, beside what the trust does: mapping, signature")
	f.Var(&o.maxStale, "max-stale", "accept less staleness than the trust does: `DURATION` after expiry")
	f.BoolVar(&o.offline, "offline", false, "use no network at all: what is stored, and images in layouts and archives with what lies next to them")
	f.Var(&o.wait, "wait", "try again for this `DURATION` while nothing vouches for an image: replication may bring it before its trust")
	f.BoolVar(&o.layout, "oci-layout", false, "IMAGE is a path of an OCI layout: PATH:TAG or PATH@DIGEST")
	f.StringVar(&o.as, "as", "", "image `REFERENCE` that an image of a layout or archive is verified as")
	f.StringVar(&o.revocation, "revocation", revocationTUF, "`WHERE` certificates are looked up: tuf, or both, which asks the network (CRL, OCSP) for what no CRL of the trust covers")
}

const verifyRules = `
An image verifies if each trust whose scope fits it best says so: its tag and
digest are signed, its Notation signature chains to a certificate that the trust
delivers, and nothing is revoked. What is required is stored with the trust; a
command line can ask for more, never for less.

A trust is read at home. If that cannot be reached, or there is none, it is read
next to the image: under the tag tuf of its repository, then attached to it. The
answer says so; trust add --fallback none forbids it.`

func (a *app) newVerify() *cobra.Command {
	var o verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE...",
		Short: "Say whether images may run, from pinned roots",
		Long:  "Say whether images may run, and on what evidence.\n" + verifyRules,
		Example: `  tufoci verify registry.acme.io/shop/api:1.4.2
  tufoci verify --offline --oci-layout usb/shop:1.4.2 --as registry.acme.io/shop/api:1.4.2`,
		Args: cobra.MinimumNArgs(1),
	}
	o.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		o.setStale = cmd.Flags().Changed("max-stale")
		r, err := a.runVerify(ctx, args, &o)
		return printAlso(a, r, err)
	})
	return cmd
}

type verifyResult struct {
	document
	Images []imageReport `json:"images"`
}

// runVerify verifies images at the same time. The gravest refusal is the error.
func (a *app) runVerify(ctx context.Context, args []string, o *verifyFlags) (*verifyResult, error) {
	results, err := a.verifyImages(ctx, args, o)
	if err != nil {
		return nil, err
	}
	r := &verifyResult{Images: make([]imageReport, len(results))}
	errs := make([]error, len(results))
	for i, result := range results {
		errs[i] = result.Err
		r.Images[i] = a.newImageReport(result)
	}
	a.warnOf(results)
	worst := verify.Gravest(errs...)
	for i, result := range results {
		if worst != nil && result.Err == worst {
			a.subject = a.subjectOf(args[i], result, o)
			if len(args) > 1 {
				return r, fmt.Errorf("%s: %w", args[i], worst)
			}
		}
	}
	return r, worst
}

// warnOf prints what there is to say beside the answers, each thing once.
func (a *app) warnOf(results []*verify.Result) {
	told := map[string]bool{}
	for _, r := range results {
		for _, v := range r.Verdicts {
			for _, w := range slices.Concat(v.Status.Warnings, v.Warnings) {
				if !told[w] {
					told[w] = true
					a.warn(w)
				}
			}
		}
	}
}

// subjectOf names what a refusal is about.
func (a *app) subjectOf(image string, r *verify.Result, o *verifyFlags) subject {
	s := a.subject
	s.image, s.again = r.As.String(), "tufoci verify "+shellWord(image)
	if o.as != "" {
		s.again += " --as " + shellWord(o.as)
	}
	if o.layout {
		s.again += " --oci-layout"
	}
	if o.offline {
		s.again += " --offline"
	}
	for _, v := range r.Verdicts {
		if v.Err == r.Err || len(r.Verdicts) == 1 {
			s.trust, s.source = v.Trust, v.Status.SourceRef
			if v.Canonical != "" { // its publisher knows no mirrors
				s.image = v.Canonical + strings.TrimPrefix(r.As.String(), r.As.Name())
			}
		}
	}
	return s
}

// maxConcurrent bounds the images that are verified at the same time.
const maxConcurrent = 8

func (a *app) verifyImages(ctx context.Context, args []string, o *verifyFlags) ([]*verify.Result, error) {
	images, as, err := o.images(args)
	if err != nil {
		return nil, err
	}
	v, err := a.verifier(ctx, images, as, o)
	if err != nil {
		return nil, err
	}
	results := make([]*verify.Result, len(images))
	var group errgroup.Group
	group.SetLimit(maxConcurrent)
	for i, image := range images {
		group.Go(func() error {
			results[i] = v.Image(ctx, image, as)
			return nil
		})
	}
	return results, group.Wait()
}

// images reads the arguments. as is nil for images in registries.
func (o *verifyFlags) images(args []string) (images []ociremote.ImageReference, as *ociremote.ImageReference, err error) {
	for _, arg := range args {
		if o.layout {
			arg = "oci-layout:" + arg
		}
		image, err := ociremote.ParseImage(arg)
		if err != nil {
			return nil, nil, err
		}
		if (image.Kind == ociremote.KindRegistry) != (o.as == "") {
			return nil, nil, usagef("%s: a layout or archive has no repository name: --as REFERENCE gives it, and is for nothing else", arg)
		}
		if o.offline && image.Kind == ociremote.KindRegistry {
			return nil, nil, usagef("%s is in a registry, and --offline uses no network: name an oci-layout: or oci-archive:", arg)
		}
		images = append(images, image)
	}
	if o.as == "" {
		return images, nil, nil
	}
	if len(images) > 1 {
		return nil, nil, usagef("--as names one image, and %d are given", len(images))
	}
	name, err := parseAs(o.as)
	return images, &name, err
}

// parseAs reads --as, the name of an image that lies where it has none.
func parseAs(as string) (ociremote.ImageReference, error) {
	name, err := ociremote.ParseImage(as)
	if err != nil {
		return name, fmt.Errorf("--as: %w", err)
	}
	if name.Kind != ociremote.KindRegistry {
		return name, usagef("--as %s: want HOST/REPOSITORY with a tag or a digest", as)
	}
	return name, nil
}

// verifier makes the verifier that the flags describe.
func (a *app) verifier(ctx context.Context, images []ociremote.ImageReference, as *ociremote.ImageReference, o *verifyFlags) (*verify.Verifier, error) {
	if o.revocation != revocationTUF && o.revocation != revocationBoth {
		return nil, usagef("--revocation %s: want %s or %s", o.revocation, revocationTUF, revocationBoth)
	}
	if o.offline && o.revocation == revocationBoth {
		return nil, usagef("--offline uses no network, and --revocation %s asks it", revocationBoth)
	}
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	clients, err := a.verifyClients(ctx, cfg, images, &o.registry)
	if err != nil {
		return nil, err
	}
	trusts, err := a.verifyTrusts(cfg, clients, images, as, o)
	if err != nil {
		return nil, err
	}
	options := verify.Options{
		Trusts: trusts, Require: o.require, Offline: o.offline, Wait: time.Duration(o.wait), Now: a.world.Now,
		Open: func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
			return clients.images.Repository(ctx, image.Reference(), false)
		},
	}
	if o.revocation == revocationBoth {
		options.Online = &http.Client{Timeout: onlineTimeout}
	}
	v, err := verify.New(options)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return v, nil
}

// onlineTimeout is the longest wait for one CRL or OCSP server.
const onlineTimeout = 5 * time.Second

func (r *verifyResult) text(w io.Writer, a *app) {
	for i, image := range r.Images {
		if i > 0 {
			fmt.Fprintln(w)
		}
		image.text(w, a, len(r.Images) > 1)
	}
}
