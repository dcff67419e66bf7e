package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/serve"
	"github.com/tufoci/tufoci/trust"
)

type serveOptions struct {
	read       readFlags
	listen     string
	refresh    span
	maxClients int
	tlsCert    string
	tlsKey     string
}

type serveResult struct {
	document
	reading
	Reference    string        `json:"reference"`
	RootChecksum string        `json:"rootChecksum"`
	Roles        []roleVersion `json:"roles"`
	URL          string        `json:"url"`
	line         string
}

func (a *app) newServe() *cobra.Command {
	o := serveOptions{refresh: span(serve.DefaultRefresh)}
	forever := true
	cmd := &cobra.Command{
		Use:   "serve TRUST|SOURCE",
		Short: "Serve a trust repository as classic TUF over http, for other TUF clients",
		Long: `Serve a trust repository over http, read-only, as TUF clients expect it that know
no registries: metadata at URL/metadata/ and at URL/, target files at URL/targets/.

Everything is verified, from the trust or from --root, before it is served; what has
expired is not served any more (503). Without a root bytes are passed on as they are,
and each answer says so. It follows the source, says on standard error what is new
and what failed, and ends by a signal. --timeout limits each refresh.

/healthz answers 200 while there is something to serve.`,
		Example: `  tufoci serve acme --listen :8080
  tufoci serve registry.acme.io/trust/tuf --root 1.root.json --listen 127.0.0.1:8080
  cosign initialize --mirror http://127.0.0.1:8080 --root 1.root.json`,
		Args: cobra.ExactArgs(1),
	}
	o.read.addCurrent(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "", "`ADDRESS` to listen at, HOST:PORT or :PORT; port 0 takes a free one")
	f.Var(&o.refresh, "interval", "longest time between two refreshes")
	f.IntVar(&o.maxClients, "max-clients", serve.DefaultRequests, "answer `N` requests at the same time, and further ones with 503")
	f.StringVar(&o.tlsCert, "tls-cert", "", "serve https with the certificate chain in `FILE`")
	f.StringVar(&o.tlsKey, "tls-key", "", "private key `FILE` of --tls-cert")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	cmd.RunE = a.runUnless(&forever, func(ctx context.Context, args []string) error {
		return a.runServe(ctx, args[0], &o)
	})
	return cmd
}

// runServe returns nil when a signal has ended it, once it has served.
func (a *app) runServe(ctx context.Context, from string, o *serveOptions) error {
	switch {
	case o.listen == "":
		return usagef("give --listen ADDRESS, such as 127.0.0.1:8080")
	case time.Duration(o.refresh) < time.Second:
		return usagef("--interval is a second or more")
	case o.maxClients < 1:
		return usagef("--max-clients is a number above 0")
	}
	certificate, err := o.certificate()
	if err != nil {
		return err
	}
	p, err := a.find(ctx, from, &o.read)
	if err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return usagef("--listen %q: want HOST:PORT or :PORT", o.listen)
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return &listenError{err}
	}
	defer listener.Close()
	life, end := context.WithCancel(ctx)
	defer end()
	handler, first, err := a.follow(life, p, o)
	if err != nil {
		return err
	}
	defer func() { end(); <-handler.Done() }()
	if err := a.print(a.newServeResult(p, first, o, listener.Addr())); err != nil {
		return err
	}
	a.passWarnings()
	return serve.Run(ctx, listener, handler, serve.RunOptions{TLS: certificate, Warn: a.warn})
}

// certificate is nil for plain http.
func (o *serveOptions) certificate() (*tls.Config, error) {
	if o.tlsCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}

// follow reads the source for the first time, and says later what becomes of it.
func (a *app) follow(ctx context.Context, p *pin, o *serveOptions) (*serve.Handler, serve.Refreshed, error) {
	if p.root == nil {
		a.warn("UNVERIFIED: nothing vouches for " + p.source.String() + ": its bytes are passed on as they are")
	}
	p.options.Limits = a.within(p.options.Limits)
	var first *serve.Refreshed
	handler, err := serve.New(ctx, serve.Options{
		Root: p.root, Trust: p.options, Refresh: time.Duration(o.refresh), Requests: o.maxClients,
		OnRefresh: func(r serve.Refreshed) {
			if first == nil { // New waits for it
				first = &r
				a.missing(r)
				return
			}
			a.tellRefreshed(p, r)
		},
	})
	if err != nil {
		return nil, serve.Refreshed{}, err
	}
	return handler, *first, nil
}

// within lets --timeout bound each refresh, unless the trust wants it shorter.
func (a *app) within(l trust.Limits) trust.Limits {
	l.Operation = cmp.Or(l.Operation, time.Duration(a.global.timeout))
	for _, limit := range trust.AllLimits() {
		if limit.Name == "operation" {
			l.Operation = min(l.Operation, time.Duration(a.global.timeout), time.Duration(limit.Ceiling))
		}
	}
	return l
}

// tellRefreshed says what a refresh has changed. An error changes nothing.
func (a *app) tellRefreshed(p *pin, r serve.Refreshed) {
	if r.Err != nil {
		a.warn(a.report(r.Err).What)
	}
	a.missing(r)
	if r.Changed && !a.global.quiet {
		line := "another bundle"
		if r.Status != nil {
			line = versionLine(*r.Status, a.world.Now())
		}
		fmt.Fprintf(a.world.Stderr, "%s: %s\n", printable(p.source.String()), line)
	}
}

// missing names the delegated roles that are not served.
func (a *app) missing(r serve.Refreshed) {
	for _, m := range r.Missing {
		a.warn(fmt.Sprintf("%s is not served: %v", m.Title, m.Err))
	}
}

func (a *app) newServeResult(p *pin, first serve.Refreshed, o *serveOptions, address net.Addr) *serveResult {
	r := &serveResult{
		reading: reading{Source: sourceWord(string(p.source.Kind))}, Reference: p.source.String(),
		Roles: []roleVersion{}, URL: o.url(address),
	}
	if st := first.Status; st != nil {
		r.reading, r.Roles, r.RootChecksum = readingOf(*st), roleVersions(*st), "sha256:"+st.RootSHA256
		r.line = versionLine(*st, a.world.Now())
	}
	return r
}

// url is where a client on this machine finds it.
func (o *serveOptions) url(address net.Addr) string {
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(address.String())
	if given, _, _ := net.SplitHostPort(o.listen); err == nil && given == "" {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (r *serveResult) text(w io.Writer, _ *app) {
	if r.RootChecksum == "" {
		fmt.Fprintf(w, "%sserving %s at %s\n", unverifiedMark, printable(r.Reference), r.URL)
		return
	}
	fmt.Fprintf(w, "✓ verified: %s\n✓ serving %s at %s\n", r.line, printable(r.Reference), r.URL)
}

// listenError says that an address cannot be listened at.
type listenError struct{ err error }

func (e *listenError) Error() string { return e.err.Error() }
func (e *listenError) Unwrap() error { return e.err }
