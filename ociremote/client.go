package ociremote

import (
	"context"
	"net/http"
)

// Options of a [Client]. The zero value is a client with the credentials of the
// docker configuration.
type Options struct {
	Username, Password, IdentityToken string
	RegistryConfig                    string
	CAFile, CertFile, KeyFile         string
	Insecure, PlainHTTP               bool
	Resolve                           []string
	Headers                           []string
	UserAgent                         string
	Base                              http.RoundTripper
	Warn                              func(string)
}

// Client reaches registries. It is safe for concurrent use.
type Client struct{}

// NewClient checks the options and reads the files that they name.
func NewClient(o Options) (*Client, error) { panic("not implemented") }

// HTTP is a client over the same transport without the credentials of a registry.
func (c *Client) HTTP() *http.Client { panic("not implemented") }

// Repository opens the place that ref names. With push set a registry
// repository or layout directory is a [WritableRepository].
func (c *Client) Repository(ctx context.Context, ref Reference, push bool) (Repository, error) {
	panic("not implemented")
}

// Login asks the registry whether it takes the credentials of the options, and
// stores them.
func (c *Client) Login(ctx context.Context, host string) error { panic("not implemented") }

// Logout erases the stored credentials of a registry.
func (c *Client) Logout(ctx context.Context, host string) error { panic("not implemented") }
