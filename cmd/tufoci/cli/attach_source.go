package cli

import (
	"fmt"
	"strings"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

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
