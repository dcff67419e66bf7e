package ociremote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// checkCredentials refuses halves and contradictions.
func (o Options) checkCredentials() error {
	switch {
	case o.IdentityToken != "" && (o.Username != "" || o.Password != ""):
		return errors.New("an identity token and a username or password exclude each other")
	case o.Password != "" && o.Username == "":
		return errors.New("a password needs a username")
	case o.Username != "" && o.Password == "":
		return errors.New("a username needs a password")
	default:
		return nil
	}
}

// given are the credentials in the options.
func (o Options) given() auth.Credential {
	return auth.Credential{Username: o.Username, Password: o.Password, RefreshToken: o.IdentityToken}
}

// openStore opens a docker configuration and the credential helpers that it
// names.
func openStore(config string) (credentials.Store, error) {
	// Login writes into the file when there is no helper, like docker does.
	o := credentials.StoreOptions{AllowPlaintextPut: true}
	var store credentials.Store
	var err error
	if config != "" {
		store, err = credentials.NewStore(config, o)
	} else {
		store, err = credentials.NewStoreFromDocker(o)
	}
	if err != nil {
		return nil, fmt.Errorf("docker configuration: %w", err)
	}
	return store, nil
}

// credential finds the credentials for a registry.
func (c *Client) credential(ctx context.Context, hostport string) (auth.Credential, error) {
	if given := c.opts.given(); given != auth.EmptyCredential {
		return given, nil
	}
	if c.opts.Anonymous {
		return auth.EmptyCredential, nil
	}
	store, err := c.store()
	if err != nil {
		return auth.EmptyCredential, err
	}
	return credentials.Credential(store)(ctx, hostport)
}

// Login asks the registry whether it takes the credentials of the options, and
// stores them in the docker configuration or its credential helper. Refused
// credentials are an [AuthError], and nothing is stored.
func (c *Client) Login(ctx context.Context, host string) error {
	given := c.opts.given()
	if given == auth.EmptyCredential {
		return errors.New("login needs a username and password, or an identity token")
	}
	host, reg, err := c.newRegistry(host)
	if err != nil {
		return err
	}
	store, err := c.store()
	if err != nil {
		return err
	}
	reg.Client = c.auth
	ctx = withOrigin(ctx, reg.Reference.Host(), reg.PlainHTTP)
	if err := reg.Ping(ctx); err != nil {
		return registryError(err, host)
	}
	if err := store.Put(ctx, credentials.ServerAddressFromRegistry(host), given); err != nil {
		return fmt.Errorf("storing the credentials of %s: %w", host, err)
	}
	return nil
}

// Logout erases the stored credentials of a registry. It makes no request.
func (c *Client) Logout(ctx context.Context, host string) error {
	host, err := parseHost(host)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	store, err := c.store()
	if err != nil {
		return err
	}
	if err := credentials.Logout(ctx, store, host); err != nil {
		return fmt.Errorf("erasing the credentials of %s: %w", host, err)
	}
	return nil
}

// maxToken is the longest token that is sent, in bytes: more than any registry gives,
// less than what a server takes as a header.
const maxToken = 64 << 10

// tokens keeps what can be sent. A token server that gives something else is asked
// again the next time: a client lives on after one bad answer.
type tokens struct{ auth.Cache }

// Set implements auth.Cache.
func (t tokens) Set(ctx context.Context, registry string, scheme auth.Scheme, key string, fetch func(context.Context) (string, error)) (string, error) {
	return t.Cache.Set(ctx, registry, scheme, key, func(ctx context.Context) (string, error) {
		token, err := fetch(ctx)
		if err == nil && (len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })) {
			return "", errors.New("the token server gave something that is no token")
		}
		return token, err
	})
}

func (c *Client) newRegistry(host string) (string, *remote.Registry, error) {
	host, err := parseHost(host)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	reg, err := remote.NewRegistry(host)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	reg.PlainHTTP = c.plainHTTP(host)
	return host, reg, nil
}

// Secrets reports whether the options hold what is meant for one registry alone:
// credentials or headers.
func (o Options) Secrets() bool {
	return o.Username != "" || o.Password != "" || o.IdentityToken != "" || len(o.Headers) > 0
}

// WithoutSecrets are the options for other registries.
func (o Options) WithoutSecrets() Options {
	o.Username, o.Password, o.IdentityToken, o.Headers = "", "", "", nil
	return o
}
