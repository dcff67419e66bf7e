package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// readFlags are the flags of a command that reads a TRUST|SOURCE.
type readFlags struct {
	registry     registryFlags
	root         string
	asOf         instant
	allowExpired bool
	targetsURL   string
}

func (r *readFlags) add(cmd *cobra.Command, side string) {
	r.addCurrent(cmd, side)
	cmd.Flags().Var(&r.asOf, "as-of", "with --root: judge expiry as of this `TIME`")
}

// addCurrent is for a command that reads what is current, and nothing else.
func (r *readFlags) addCurrent(cmd *cobra.Command, side string) {
	r.registry.add(cmd, side)
	f := cmd.Flags()
	f.StringVar(&r.root, "root", "", "verify from the root in `FILE`, without a stored trust")
	f.StringVar(&r.targetsURL, "targets-url", "", "with --root: `URL` of the target files, where it is not the usual one")
}

// addAllowExpired is for the three commands that only show.
func (r *readFlags) addAllowExpired(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&r.allowExpired, "allow-expired", false, "show expired metadata, with a warning and as not verified")
}

// pin is where a command reads and what it verifies from.
type pin struct {
	name    string // of the trust, "" with --root
	source  trust.Source
	root    []byte // nil: nothing vouches for the source
	options trust.Options
}

// find settles what arg names: a trust, a source with --root, a source that a
// trust has. A source that nothing vouches for has no root.
func (a *app) find(ctx context.Context, arg string, r *readFlags) (*pin, error) {
	p, err := a.settled(ctx, arg, r)
	if err == nil {
		p.options.AllowExpired = r.allowExpired // the library warns each time
	}
	return p, err
}

func (a *app) settled(ctx context.Context, arg string, r *readFlags) (*pin, error) {
	if r.root == "" && (!r.asOf.IsZero() || r.targetsURL != "") {
		return nil, usagef("--as-of and --targets-url go with --root")
	}
	client, err := a.client(ctx, &r.registry)
	if err != nil {
		return nil, err
	}
	if !trust.IsSource(arg) {
		if r.root != "" {
			return nil, usagef("--root goes with a SOURCE, and %q is the name of a trust", arg)
		}
		cfg, err := a.trusts()
		if err != nil {
			return nil, err
		}
		a.subject.trust = arg
		entry, err := cfg.Get(arg)
		if err != nil {
			return nil, err
		}
		return a.stored(cfg, entry, client)
	}
	a.subject.source = arg
	source, err := trust.ParseSource(arg)
	if err != nil {
		return nil, err
	}
	if r.root != "" {
		return a.standalone(source, client, r)
	}
	return a.matching(source, client)
}

// standalone verifies from a root file and keeps nothing.
func (a *app) standalone(source trust.Source, client *ociremote.Client, r *readFlags) (*pin, error) {
	root, err := readFile(r.root)
	if err != nil {
		return nil, err
	}
	return &pin{source: source, root: root, options: trust.Options{
		Source:     source,
		Client:     client,
		TargetsURL: r.targetsURL,
		Now:        a.world.Now,
		AsOf:       r.asOf.Time,
		Warn:       a.warn,
	}}, nil
}

// absolute is a source that means the same in every directory.
func absolute(s trust.Source) (_ trust.Source, err error) {
	for _, path := range []*string{&s.Reference.Path, &s.Dir} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return s, err
		}
	}
	return s, nil
}

// matching finds the trust that has this source.
func (a *app) matching(source trust.Source, client *ociremote.Client) (*pin, error) {
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	there, err := absolute(source)
	if err != nil {
		return nil, err
	}
	var found []trust.Entry
	for _, e := range cfg.List() {
		if s, err := trust.ParseSource(e.Source); err == nil && s.String() == there.String() {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return &pin{source: source, options: trust.Options{Source: source, Client: client, Now: a.world.Now, Warn: a.warn}}, nil
	}
	if slices.ContainsFunc(found, func(e trust.Entry) bool { return e.RootSHA256 != found[0].RootSHA256 }) {
		names := make([]string, len(found))
		for i, e := range found {
			names[i] = e.Name
		}
		return nil, usagef("the trusts %s have this source with different roots: name one of them", joinWords(names))
	}
	a.subject.trust = found[0].Name
	return a.stored(cfg, found[0], client)
}

// stored verifies from the pin of a trust, with its state.
func (a *app) stored(cfg *trust.Config, e trust.Entry, client *ociremote.Client) (*pin, error) {
	source, err := e.HomeSource()
	if err != nil {
		return nil, err
	}
	root, err := cfg.RootBytes(e)
	if err != nil {
		return nil, err
	}
	a.subject.source = e.Source
	return a.pinOf(e, root, source, client), nil
}

// pinOf is a trust with its root and its state.
func (a *app) pinOf(e trust.Entry, root []byte, source trust.Source, client *ociremote.Client) *pin {
	return &pin{name: e.Name, source: source, root: root, options: trust.Options{
		Source:       source,
		StateDir:     a.stateDir(),
		CacheDir:     a.cacheDir(),
		Client:       client,
		TargetsURL:   e.TargetsURL,
		Now:          a.world.Now,
		MaxStale:     e.MaxStale,
		MinTimestamp: e.MinTimestamp,
		Limits:       e.Limits,
		Warn:         a.warn,
	}}
}

// seen is what the trust has seen, however long that has expired. The state is not
// written.
func (p *pin) seen(ctx context.Context) (trust.Seen, error) {
	o := p.options
	if o.StateDir == "" {
		return trust.Seen{}, nil
	}
	o.AllowExpired, o.Warn = true, nil
	client, err := trust.New(p.root, o)
	if err != nil {
		return trust.Seen{}, err
	}
	view, err := client.Load(ctx)
	switch {
	case errors.Is(err, trust.ErrNoState):
		return trust.Seen{}, nil
	case err != nil:
		return trust.Seen{}, err
	}
	return view.Status().Seen(), nil
}

// unpinnedError says that nothing vouches for a source.
type unpinnedError struct{ source string }

func (e *unpinnedError) Error() string { return "no trust speaks for " + e.source }

// refresh reads the newest state and verifies it from the pin.
func (a *app) refresh(ctx context.Context, p *pin) (*trust.View, error) {
	if p.root == nil {
		return nil, &unpinnedError{source: p.source.String()}
	}
	client, err := trust.New(p.root, p.options)
	if err != nil {
		return nil, err
	}
	if at := p.options.AsOf; !at.IsZero() {
		p.options.Warn(fmt.Sprintf("expiry is judged as of %s: nothing says that this is current", at.Format(time.RFC3339)))
	}
	return a.refreshed(ctx, p.name, client)
}

// refreshed reads the newest state of a client. For a trust without a home that is
// what was verified last, next to some image.
func (a *app) refreshed(ctx context.Context, name string, client *trust.Client) (*trust.View, error) {
	if client.HasHome() {
		return client.Refresh(ctx)
	}
	view, err := client.Load(ctx)
	if err == nil {
		a.warn(fmt.Sprintf("trust %s has no home: this is what was last verified next to an image", name))
	}
	return view, err
}

// view finds and refreshes in one step.
func (a *app) view(ctx context.Context, arg string, r *readFlags) (*trust.View, error) {
	p, err := a.find(ctx, arg, r)
	if err != nil {
		return nil, err
	}
	return a.refresh(ctx, p)
}

// newReading reports what a view rests on.
func newReading(v *trust.View) reading { return readingOf(v.Status()) }

func readingOf(st trust.Status) reading {
	r := reading{Verified: st.Verified, Stale: st.Stale, Source: sourceWord(st.Source)}
	if st.AsOf != nil {
		r.AsOf = &moment{*st.AsOf}
	}
	if st.Fork != nil {
		r.Fork = &fork{Version: st.Fork.Version, Digests: st.Fork.Digests}
	}
	return r
}

// sourceWord is the word of the JSON documents for a kind of source: a
// registry repository is the home of its bundle.
func sourceWord(kind string) string {
	if kind == "registry" {
		return "home"
	}
	return kind
}

// trusts opens the named trusts.
func (a *app) trusts() (*trust.Config, error) {
	dir := a.env.base(envConfigHome, ".config")
	if file := a.global.config; file != "" {
		if filepath.Base(file) != "trust.yaml" {
			return nil, usagef("--config %s: the file is called trust.yaml; the pinned roots lie beside it", file)
		}
		dir = filepath.Dir(file)
	}
	if dir == "" {
		return nil, usagef("no home directory: give --config or set %s", envConfig)
	}
	return trust.OpenConfig(dir)
}

func (a *app) stateDir() string {
	return first(a.global.stateDir, a.env.base(envStateHome, filepath.Join(".local", "state")))
}

func (a *app) cacheDir() string {
	return first(a.global.cacheDir, a.env.base(envCacheHome, ".cache"))
}

// versionLine is one line on the versions of a view.
func versionLine(st trust.Status, now time.Time) string {
	return fmt.Sprintf("root v%d, targets v%d, snapshot v%d, timestamp v%d (%s)",
		st.Root.Version, st.Targets.Version, st.Snapshot.Version, st.Timestamp.Version, expiry(st.Timestamp.Expires, now))
}
