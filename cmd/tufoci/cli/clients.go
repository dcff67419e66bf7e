package cli

import (
	"context"
	"sync"

	"github.com/tufoci/tufoci/ociremote"
)

// clients are for a command that reaches several registries: credentials and headers
// of the command line and the environment are for one of them alone.
type clients struct {
	own    *ociremote.Client
	host   string // that own is for
	others func() (*ociremote.Client, error)
	// plain are the options without what is for own alone.
	plain func() (ociremote.Options, error)
}

// clientsFor makes the clients that the flags describe.
func (a *app) clientsFor(ctx context.Context, flags *registryFlags, host string) (*clients, error) {
	options, err := a.clientOptions(ctx, flags)
	if err != nil {
		return nil, err
	}
	own, err := ociremote.NewClient(options)
	if err != nil {
		return nil, err
	}
	return newClients(own, host, func() (ociremote.Options, error) { return options.WithoutSecrets(), nil }), nil
}

// clientsBeside makes those for other registries than that of a client which was made
// of the same flags.
func (a *app) clientsBeside(ctx context.Context, own *ociremote.Client, flags registryFlags, host string) *clients {
	return newClients(own, host, func() (ociremote.Options, error) {
		flags.passwordStdin, flags.identityTokenStdin = false, false // was read
		o, err := a.clientOptions(ctx, &flags)
		return o.WithoutSecrets(), err
	})
}

func newClients(own *ociremote.Client, host string, plain func() (ociremote.Options, error)) *clients {
	return &clients{own: own, host: host, plain: plain, others: sync.OnceValues(func() (*ociremote.Client, error) {
		o, err := plain()
		if err != nil {
			return nil, err
		}
		return ociremote.NewClient(o)
	})}
}

// at is the client for a host; "" is a layout or archive.
func (c *clients) at(host string) (*ociremote.Client, error) {
	if host == c.host && host != "" {
		return c.own, nil
	}
	return c.others()
}

// anonymous makes a client that has nothing to show, not even stored credentials.
func (c *clients) anonymous() (*ociremote.Client, error) {
	o, err := c.plain()
	if err != nil {
		return nil, err
	}
	o.Anonymous, o.CertFile, o.KeyFile = true, "", ""
	return ociremote.NewClient(o)
}

// openWritable implements [publish.OpenWritable].
func (c *clients) openWritable(ctx context.Context, image ociremote.ImageReference) (ociremote.WritableRepository, error) {
	client, err := c.at(image.Host)
	if err != nil {
		return nil, err
	}
	return openWritable(ctx, client, image.Reference())
}
