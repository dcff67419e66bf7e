package cli

import (
	"context"

	"github.com/tufoci/tufoci/ociremote"
)

// clients are for a command that reaches several registries: credentials and headers
// of the command line are for one of them alone.
type clients struct {
	own, others *ociremote.Client
	host        string // that own is for
	options     ociremote.Options
}

// clientsFor makes the clients that the flags describe, whose secrets are for host.
func (a *app) clientsFor(ctx context.Context, flags *registryFlags, host string) (*clients, error) {
	options, err := a.clientOptions(ctx, flags)
	if err != nil {
		return nil, err
	}
	c := &clients{host: host, options: options}
	if c.own, err = ociremote.NewClient(options); err != nil {
		return nil, err
	}
	c.others = c.own
	if options.Secrets() {
		c.others, err = ociremote.NewClient(options.WithoutSecrets())
	}
	return c, err
}

// at is the client for a host; "" is a layout or archive.
func (c *clients) at(host string) *ociremote.Client {
	if host == c.host && host != "" {
		return c.own
	}
	return c.others
}

// anonymous makes a client that has nothing to show, not even stored credentials.
func (c *clients) anonymous() (*ociremote.Client, error) {
	o := c.options.WithoutSecrets()
	o.Anonymous, o.CertFile, o.KeyFile = true, "", ""
	return ociremote.NewClient(o)
}
