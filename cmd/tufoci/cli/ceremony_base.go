package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/tufoci/tufoci/ceremony"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// ceremonyBase says whether what a ceremony takes for published was compared with what is.
type ceremonyBase struct {
	Digest   string `json:"digest"`
	Compared bool   `json:"compared"`
	By       string `json:"by"`
	Reason   string `json:"reason"`
}

func (b ceremonyBase) String() string {
	if b.Compared {
		return "base = published ✓ (fetched, verified from " + printable(b.By) + ")"
	}
	return "base NOT COMPARED with what is published: " + printable(b.Reason)
}

// compareBase fetches what is published and compares it with what the ceremony started from. It verifies from the root in
// the file that flags name, from the pin of a trust of the repository, or from the first root of the workspace that it is
// run in. Without any of these, or where the registry cannot be reached, it says that nothing was compared; with --root
// that is an error. *ceremony.BaseError.
func (a *app) compareBase(ctx context.Context, c *ceremony.Ceremony, flags *readFlags) (ceremonyBase, error) {
	b := ceremonyBase{Digest: c.BaseDigest}
	base, err := c.Base()
	if err != nil {
		return b, err
	}
	p, by, err := a.basePin(ctx, c, flags)
	switch {
	case err != nil:
		return b, err
	case p == nil && len(base) == 0:
		b.Reason = "it is the first of its repository, so nobody but those who sign can say what is right"
		return b, nil
	case p == nil:
		b.Reason = "give --root FILE with a root of " + c.Repository + " that you trust, or run this where a trust has it"
		return b, nil
	}
	b.By = by
	err = a.compareWith(ctx, c, p, &b, flags.root == "")
	return b, err
}

// compareWith fetches what a pin leads to. A registry that cannot be reached may be a reason not to have compared.
func (a *app) compareWith(ctx context.Context, c *ceremony.Ceremony, p *pin, b *ceremonyBase, mayFail bool) error {
	view, err := a.refresh(ctx, p)
	if errors.Is(err, trust.ErrExpired) {
		// What has expired may be just what is to be renewed.
		p.options.AllowExpired = true
		view, err = a.refresh(ctx, p)
	}
	if mayFail && unreachable(err) {
		b.Reason = "the registry could not be reached: " + oneLine(err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	b.Compared = true
	return c.CompareBase(ctx, publishedIn(view))
}

// compareFrom compares with what the registry has, verified from a root that is at hand.
func (a *app) compareFrom(ctx context.Context, c *ceremony.Ceremony, root []byte, flags *registryFlags) (ceremonyBase, error) {
	b := ceremonyBase{Digest: c.BaseDigest, By: "the first root of this workspace"}
	source, client, err := a.ceremonyHome(ctx, c, flags)
	if err != nil {
		return b, err
	}
	p := &pin{source: source, root: root, options: trust.Options{Source: source, Client: client, Now: a.world.Now, Warn: a.warn}}
	err = a.compareWith(ctx, c, p, &b, true)
	return b, err
}

// ceremonyHome is the channel that a ceremony is about, and who asks its registry.
func (a *app) ceremonyHome(ctx context.Context, c *ceremony.Ceremony, flags *registryFlags) (trust.Source, *ociremote.Client, error) {
	a.subject.source = c.Repository
	client, err := a.client(ctx, flags)
	if err != nil {
		return trust.Source{}, nil, err
	}
	source, err := trust.ParseSource(c.Repository + ":" + c.Channel)
	return source, client, err
}

// publishedIn reads the verified files of a view.
func publishedIn(view *trust.View) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, role string) ([]byte, error) {
		data, err := view.Metadata(ctx, role)
		if errors.Is(err, trust.ErrTargetNotFound) {
			return nil, nil
		}
		return data, err
	}
}

func unreachable(err error) bool {
	return as[*ociremote.TransportError](err) || trust.IsUnreachable(err)
}

// basePin finds what to verify the repository of a ceremony from; nil if there is nothing.
func (a *app) basePin(ctx context.Context, c *ceremony.Ceremony, flags *readFlags) (*pin, string, error) {
	source, client, err := a.ceremonyHome(ctx, c, &flags.registry)
	if err != nil {
		return nil, "", err
	}
	if flags.root != "" {
		p, err := a.standalone(source, client, flags)
		return p, flags.root, err
	}
	p, err := a.matching(source, client)
	if err != nil || p.root != nil {
		return p, "trust " + a.subject.trust, err
	}
	if p.root = a.rootHere(c); p.root == nil {
		return nil, "", nil
	}
	return p, "the first root of this workspace", nil
}

// rootHere is the first root of the workspace that the command is run in, if that is of the same repository.
func (a *app) rootHere(c *ceremony.Ceremony) []byte {
	w, err := metadata.Open(a.global.workspace, metadata.OpenOptions{Now: a.world.Now, Env: a.world.LookupEnv, ReadOnly: true})
	if err != nil {
		return nil
	}
	defer w.Close()
	if w.Config().Repository != c.Repository || w.Config().Channel != c.Channel {
		return nil
	}
	root, err := publishedRoot(w)
	if err != nil {
		a.warn(fmt.Sprintf("this workspace: %v", err))
	}
	return root
}

// publishedRoot is the first root of a workspace that has published, nil otherwise.
func publishedRoot(w *metadata.Workspace) ([]byte, error) {
	if base, err := w.Base(); err != nil || base == nil {
		return nil, err
	}
	return w.Root1()
}
