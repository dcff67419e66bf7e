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
	host   string // that own is for, "" if that is no registry
	others func() (*ociremote.Client, error)
}

// newClients are those beside a client that was made for a host.
func newClients(own *ociremote.Client, host string) *clients {
	return &clients{own: own, host: host, others: sync.OnceValues(own.Elsewhere)}
}

// clientsFor makes the clients that the flags describe.
func (a *app) clientsFor(ctx context.Context, flags *registryFlags, host string) (*clients, error) {
	own, err := a.client(ctx, flags)
	if err != nil {
		return nil, err
	}
	return newClients(own, host), nil
}

// at is the client for a host; "" is a layout or archive.
func (c *clients) at(host string) (*ociremote.Client, error) {
	if host == c.host || host == "" {
		return c.own, nil
	}
	return c.others()
}

// atHome is the client for the registry of a trust repository. It is the only registry
// of a command whose images are in a layout, and then the one that the flags are for.
func (c *clients) atHome(host string) (*ociremote.Client, error) {
	if c.host == "" {
		c.host = host
	}
	return c.at(host)
}

// openReadable opens the repository of an image.
func (c *clients) openReadable(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
	client, err := c.at(image.Host)
	if err != nil {
		return nil, err
	}
	return client.Repository(ctx, image.Reference(), false)
}

// openWritable implements [publish.OpenWritable].
func (c *clients) openWritable(ctx context.Context, image ociremote.ImageReference) (ociremote.WritableRepository, error) {
	client, err := c.at(image.Host)
	if err != nil {
		return nil, err
	}
	return openWritable(ctx, client, image.Reference())
}
