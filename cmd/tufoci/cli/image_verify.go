package cli

import (
	"context"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// signatureVerifier asks of an image what a client of the workspace's repository would ask, but for its mapping, which
// is about to be made: that its signature verifies, and that nothing is revoked. What is staged does not count.
func (a *app) signatureVerifier(w *metadata.Workspace, host string, client *ociremote.Client) (func(context.Context, ociremote.ImageReference) error, error) {
	if st, err := w.Status(); err != nil { // Base is empty after a reset, too
		return nil, err
	} else if st.Published == nil {
		return nil, usagef("--verified asks what is published, and nothing is: `tufoci publish` first")
	}
	root, err := w.Root1()
	if err != nil {
		return nil, err
	}
	cfg := w.Config()
	source, err := trust.ParseSource(cfg.Repository + ":" + first(cfg.Channel, ociremote.DefaultChannel))
	if err != nil {
		return nil, err
	}
	scope, err := trust.ParseScope(host + "/**")
	if err != nil {
		return nil, err
	}
	reader, err := trust.New(root, trust.Options{Source: source, Client: client, Now: a.world.Now, Warn: a.warn})
	if err != nil {
		return nil, err
	}
	verifier, err := verify.New(verify.Options{
		Trusts: []verify.Trust{{
			Entry:  trust.Entry{Name: "workspace", Source: source.String(), Scopes: []trust.Scope{scope}, Require: []string{trust.RequireSignature}},
			Client: reader,
		}},
		Open: imageOpener(client),
		Now:  a.world.Now,
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, ref ociremote.ImageReference) error {
		return verifier.Image(ctx, ref, nil).Err
	}, nil
}
