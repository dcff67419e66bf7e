package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// verifyClients are for two kinds of registries: credentials and headers of the
// command line are for the images alone, unless a trust is on the same host.
type verifyClients struct {
	images, others *ociremote.Client
	// homes are those of trusts that can be read elsewhere: they have to be connected
	// to soon.
	homes *ociremote.Client
	hosts map[string]bool // of the images
}

func (a *app) verifyClients(ctx context.Context, cfg *trust.Config, images []ociremote.ImageReference, flags *registryFlags) (*verifyClients, error) {
	options, err := a.clientOptions(ctx, flags)
	if err != nil {
		return nil, err
	}
	c := &verifyClients{hosts: map[string]bool{}}
	for _, image := range images {
		c.hosts[image.Host] = image.Host != ""
	}
	own := options
	if slices.ContainsFunc(cfg.List(), c.sharesHome) {
		own.Connect = verify.HomeConnect
	}
	if c.images, err = ociremote.NewClient(own); err != nil {
		return nil, err
	}
	c.others = c.images
	if options.Secrets() {
		for _, image := range images {
			if first := images[0].Host; image.Host != first {
				return nil, usagef("credentials and headers are for one registry, and the images are on %s and %s", first, image.Host)
			}
		}
		options = options.WithoutSecrets()
		if c.others, err = ociremote.NewClient(options); err != nil {
			return nil, err
		}
	}
	options.Connect = verify.HomeConnect
	c.homes, err = ociremote.NewClient(options)
	return c, err
}

// sharesHome reports whether the home of a trust that can be read elsewhere is a
// registry of the images: both then share one client, with its tokens.
func (c *verifyClients) sharesHome(e trust.Entry) bool {
	source, err := e.HomeSource()
	return err == nil && e.Fallback != trust.FallbackNone && c.hosts[source.Reference.Host]
}

// of is the client for the home of a trust.
func (c *verifyClients) of(e trust.Entry, home trust.Source) *ociremote.Client {
	switch {
	case c.hosts[home.Reference.Host]:
		return c.images
	case e.Fallback == trust.FallbackNone:
		return c.others
	default:
		return c.homes
	}
}

// notDecidingError says that a trust which was asked for has no say.
type notDecidingError struct {
	image    string
	asked    []string
	deciding []trust.Applicable
}

func (e *notDecidingError) Error() string {
	deciding := make([]string, len(e.deciding))
	for i, d := range e.deciding {
		deciding[i] = fmt.Sprintf("%s (scope %s)", d.Entry.Name, d.Scope)
	}
	return fmt.Sprintf("%s is decided by the trust %s, not by %s", e.image, joinWords(deciding), joinWords(e.asked))
}

// checkDeciding holds --trust to the trusts that decide: it never takes the say of
// a more particular one.
func (o *verifyFlags) checkDeciding(cfg *trust.Config, images []ociremote.ImageReference, as *ociremote.ImageReference) error {
	if len(o.trusts) == 0 {
		return nil
	}
	for _, name := range o.trusts {
		if _, err := cfg.Get(name); err != nil {
			return err
		}
	}
	entries := cfg.List()
	for _, image := range images {
		name := image.Name()
		if as != nil {
			name = as.Name()
		}
		deciding, err := trust.Select(entries, name)
		if err != nil {
			continue // a later error, with the evidence of this one image
		}
		if !slices.ContainsFunc(deciding, func(d trust.Applicable) bool { return slices.Contains(o.trusts, d.Entry.Name) }) {
			return &notDecidingError{image.String(), o.trusts, deciding}
		}
	}
	return nil
}

// verifyTrusts are the trusts to choose from: all of them, since leaving one out
// would take its say.
func (a *app) verifyTrusts(cfg *trust.Config, clients *verifyClients, images []ociremote.ImageReference, as *ociremote.ImageReference, o *verifyFlags) ([]verify.Trust, error) {
	if err := o.checkDeciding(cfg, images, as); err != nil {
		return nil, err
	}
	var trusts []verify.Trust
	for _, e := range cfg.List() {
		if o.setStale {
			e.MaxStale = min(e.MaxStale, time.Duration(o.maxStale))
		}
		home, err := e.HomeSource()
		if err != nil {
			return nil, err
		}
		p, err := a.stored(cfg, e, clients.of(e, home))
		if err != nil {
			return nil, err
		}
		p.options.Warn = nil // the verdicts have the warnings of the view that was used
		client, err := trust.New(p.root, p.options)
		if err != nil {
			return nil, err
		}
		trusts = append(trusts, verify.Trust{Entry: e, Client: client})
	}
	return trusts, nil
}
