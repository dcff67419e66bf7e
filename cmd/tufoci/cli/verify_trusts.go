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
	host           string // of the images, if they are all on one
}

func (a *app) verifyClients(ctx context.Context, images []ociremote.ImageReference, flags *registryFlags) (*verifyClients, error) {
	options, err := a.clientOptions(ctx, flags)
	if err != nil {
		return nil, err
	}
	c := &verifyClients{host: images[0].Host}
	if c.images, err = ociremote.NewClient(options); err != nil {
		return nil, err
	}
	secrets := options.Username != "" || options.Password != "" || options.IdentityToken != "" || len(options.Headers) > 0
	if !secrets {
		c.others = c.images
		return c, nil
	}
	for _, image := range images {
		if image.Host != c.host {
			return nil, usagef("credentials and headers are for one registry, and the images are on %s and %s", c.host, image.Host)
		}
	}
	options.Username, options.Password, options.IdentityToken, options.Headers = "", "", "", nil
	c.others, err = ociremote.NewClient(options)
	return c, err
}

// of is the client for the source of a trust.
func (c *verifyClients) of(source trust.Source) *ociremote.Client {
	if source.Reference.Host == c.host && c.host != "" {
		return c.images
	}
	return c.others
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
func (a *app) verifyTrusts(clients *verifyClients, images []ociremote.ImageReference, as *ociremote.ImageReference, o *verifyFlags) ([]verify.Trust, error) {
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	if err := o.checkDeciding(cfg, images, as); err != nil {
		return nil, err
	}
	var trusts []verify.Trust
	for _, e := range cfg.List() {
		if o.setStale {
			e.MaxStale = min(e.MaxStale, time.Duration(o.maxStale))
		}
		source, err := trust.ParseSource(e.Source)
		if err != nil {
			return nil, err
		}
		p, err := a.stored(cfg, e, clients.of(source))
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
