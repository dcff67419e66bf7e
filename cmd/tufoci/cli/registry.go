package cli

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
)

// registryFlags are the flags of a command that reaches a registry. Their
// names are those of oras. side is "" or, for a command that reaches two, "from-"
// or "to-".
type registryFlags struct {
	side               string
	username           string
	password           string
	passwordStdin      bool
	identityToken      string
	identityTokenStdin bool
	insecure           bool
	plainHTTP          bool
	caFile             string
	certFile           string
	keyFile            string
	config             string
	resolve            []string
	headers            []string
	secret             *string // from standard input, which can be read once; copies of the flags share it
}

func (r *registryFlags) add(cmd *cobra.Command, side string) {
	r.side, r.secret = side, new(string)
	short := func(letter string) string {
		if side != "" {
			return "" // one letter cannot say which side
		}
		return letter
	}
	f := cmd.Flags()
	f.StringVarP(&r.username, side+"username", short("u"), "", "registry `USER`")
	f.StringVarP(&r.password, side+"password", short("p"), "", "registry `PASSWORD`, or identity token without a user")
	f.BoolVar(&r.passwordStdin, side+"password-stdin", false, "read the password from standard input")
	f.StringVar(&r.identityToken, side+"identity-token", "", "registry identity `TOKEN`")
	f.BoolVar(&r.identityTokenStdin, side+"identity-token-stdin", false, "read the identity token from standard input")
	f.BoolVar(&r.insecure, side+"insecure", false, "accept any certificate of the registry")
	f.BoolVar(&r.plainHTTP, side+"plain-http", false, "reach the registry without TLS")
	f.StringVar(&r.caFile, side+"ca-file", "", "certificate authority `FILE` of the registry")
	f.StringVar(&r.certFile, side+"cert-file", "", "client certificate `FILE`")
	f.StringVar(&r.keyFile, side+"key-file", "", "client key `FILE`")
	f.StringVar(&r.config, side+"registry-config", "", "credentials `FILE` (default: that of docker)")
	f.StringArrayVar(&r.resolve, side+"resolve", nil, "`HOST:PORT:ADDRESS[:PORT]` to connect to instead (several times)")
	f.StringArrayVarP(&r.headers, side+"header", short("H"), nil, "`HEADER` to send to the registry itself (several times)")
	cmd.MarkFlagsMutuallyExclusive(side+"password", side+"password-stdin", side+"identity-token", side+"identity-token-stdin")
	cmd.MarkFlagsMutuallyExclusive(side+"insecure", side+"plain-http")
	cmd.MarkFlagsRequiredTogether(side+"cert-file", side+"key-file")
}

// client makes the client that these flags describe.
func (a *app) client(ctx context.Context, r *registryFlags) (*ociremote.Client, error) {
	o, err := a.clientOptions(ctx, r)
	if err != nil {
		return nil, err
	}
	return ociremote.NewClient(o)
}

func (a *app) clientOptions(ctx context.Context, r *registryFlags) (ociremote.Options, error) {
	o := ociremote.Options{
		Username:       r.username,
		Password:       r.password,
		IdentityToken:  r.identityToken,
		RegistryConfig: a.registryConfig(r.config),
		CAFile:         first(r.caFile, a.env.get(envCAFile)),
		CertFile:       r.certFile,
		KeyFile:        r.keyFile,
		Insecure:       r.insecure,
		PlainHTTP:      r.plainHTTP,
		Resolve:        r.resolve,
		Headers:        r.headers,
		UserAgent:      userAgent(),
		Warn:           a.warn,
	}
	if r.passwordStdin || r.identityTokenStdin {
		if *r.secret == "" {
			var err error
			if *r.secret, err = a.stdinLine(ctx); err != nil {
				return o, err
			}
		}
		if r.passwordStdin {
			o.Password = *r.secret
		} else {
			o.IdentityToken = *r.secret
		}
	}
	// With two registries the environment cannot say whose credentials it holds.
	if r.side == "" && o.Username == "" && o.Password == "" && o.IdentityToken == "" {
		o.Username, o.Password, o.IdentityToken = a.env.get(envUsername), a.env.get(envPassword), a.env.get(envIdentityToken)
	}
	if r.insecure {
		a.warn("--" + r.side + "insecure: whoever is on the way to the registry can read the credentials")
	}
	return o, nil
}

// registryConfig is the file of the credentials: that of the flag, of
// TUFOCI_REGISTRY_CONFIG, or of docker.
func (a *app) registryConfig(flag string) string {
	if file := first(flag, a.env.get(envRegistryConfig)); file != "" {
		return file
	}
	if dir := a.env.get(envDockerConfig); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	if home := a.env.get(envHome); home != "" {
		return filepath.Join(home, ".docker", "config.json")
	}
	return ""
}

// stdinLine reads a secret that was piped in: all of it, without the last
// line end.
func (a *app) stdinLine(ctx context.Context) (string, error) {
	const maxSecret = 64 << 10
	data, err := ask(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.stdin, maxSecret)) })
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", usagef("standard input is empty")
	}
	return secret, nil
}

// first is the first of the values that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
