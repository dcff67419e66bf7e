package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
	"github.com/tufoci/tufoci/verify/notationdir"
)

type trustSyncOptions struct {
	registry   registryFlags
	to         string
	dir        string
	cache      string
	policy     string
	dryRun     bool
	exitCode   bool
	failClosed bool
	watch      bool
	interval   span
	listen     string
}

type trustSyncResult struct {
	document
	reading
	Trust     string        `json:"trust"`
	To        string        `json:"to"`
	Config    string        `json:"config"`
	Cache     string        `json:"cache"`
	DryRun    bool          `json:"dryRun"`
	Unchanged bool          `json:"unchanged"`
	Closed    string        `json:"closed"`
	Roles     []roleVersion `json:"roles"`
	Changes   []syncChange  `json:"changes"`
	Drift     []string      `json:"drift"`
	Diff      string        `json:"diff"`
	Due       moment        `json:"due"`
	line      string
	export    bool // where Notation does not look by itself
	stores    bool // there is no policy of ours
}

// syncChange is one thing that a sync did, or would do.
type syncChange struct {
	Action string `json:"action"`
	Path   string `json:"path"`
	Detail string `json:"detail"`
}

func (a *app) newTrustSync() *cobra.Command {
	var o trustSyncOptions
	cmd := &cobra.Command{
		Use:   "sync NAME",
		Short: "Write certificates, CRLs and policy of a trust where stock Notation reads them",
		Long: `Refresh a trust, and write its certificates, CRLs and policy into the directories
of the notation command. A reader finds what was there before or all that is new.
What tufoci has not written is not changed, unless --policy replace says so.

With --watch it goes on: it refreshes before the timestamp expires, and syncs
each time. --listen serves /healthz and /metrics. It ends by a signal.

Notation knows no expiry of TUF metadata: what was synced stays trusted until the
next sync. --fail-closed installs a policy under which nothing of this trust
verifies once it is staler than it may be.`,
		Example: `  tufoci trust sync acme --to notation
  tufoci trust sync acme --to notation --dir /etc/notation --dry-run
  tufoci trust sync acme --to notation --watch --fail-closed --listen 127.0.0.1:9100`,
		Args: cobra.ExactArgs(1),
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "what to write for: `notation`")
	f.StringVar(&o.dir, "dir", "", "configuration `DIR` of Notation (default $XDG_CONFIG_HOME/notation)")
	f.StringVar(&o.cache, "notation-cache", "", "cache `DIR` of Notation (default $XDG_CACHE_HOME/notation; with --dir: cache below it)")
	f.StringVar(&o.policy, "policy", "", "what to do about a policy that is there: `replace|merge|none` (default: refuse one of others)")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would change, and change nothing")
	f.BoolVar(&o.failClosed, "fail-closed", false, "let nothing verify once the trust is staler than it may be")
	f.BoolVar(&o.watch, "watch", false, "go on until a signal ends it")
	f.Var(&o.interval, "interval", "with --watch: longest time between two refreshes (default: a quarter of the timestamp's life, at most 6h)")
	f.StringVar(&o.listen, "listen", "", "with --watch: serve /healthz and /metrics at `ADDRESS`")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.MarkFlagsMutuallyExclusive("watch", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("watch", "exit-code")
	cmd.RunE = a.runUnless(&o.watch, func(ctx context.Context, args []string) error {
		s, err := a.newSyncer(ctx, args[0], &o)
		if err != nil {
			return err
		}
		if o.watch {
			return a.watch(ctx, s)
		}
		r, err := s.once(ctx)
		if err := printAlso(a, r, err); err != nil {
			return err
		}
		if o.exitCode && r.Unchanged {
			return nothingError{}
		}
		return nil
	})
	return cmd
}

// syncer syncs one trust into one directory.
type syncer struct {
	app    *app
	o      *trustSyncOptions
	entry  trust.Entry
	client *trust.Client
	target notationdir.Options
}

func (a *app) newSyncer(ctx context.Context, name string, o *trustSyncOptions) (*syncer, error) {
	if !o.watch && (o.listen != "" || o.interval != 0) {
		return nil, usagef("--listen and --interval go with --watch")
	}
	if o.interval != 0 && time.Duration(o.interval) < time.Second {
		return nil, usagef("--interval is a second or more")
	}
	target, err := o.target(a)
	if err != nil {
		return nil, err
	}
	entry, client, err := a.namedClient(ctx, name, &o.registry)
	if err != nil {
		return nil, err
	}
	if o.watch && !client.HasHome() {
		return nil, trust.ErrNoHome
	}
	return &syncer{app: a, o: o, entry: entry, client: client, target: target}, nil
}

// namedClient is the client of a trust that speaks for images.
func (a *app) namedClient(ctx context.Context, name string, flags *registryFlags) (trust.Entry, *trust.Client, error) {
	a.subject.trust = name
	cfg, err := a.trusts()
	if err != nil {
		return trust.Entry{}, nil, err
	}
	entry, err := cfg.Get(name)
	if err != nil {
		return entry, nil, err
	}
	registry, err := a.client(ctx, flags)
	if err != nil {
		return entry, nil, err
	}
	p, err := a.stored(cfg, entry, registry)
	if err != nil {
		return entry, nil, err
	}
	client, err := trust.New(p.root, p.options)
	return entry, client, err
}

// target is where to write, and how.
func (o *trustSyncOptions) target(a *app) (notationdir.Options, error) {
	t := notationdir.Options{Policy: notationdir.PolicyMode(o.policy), DryRun: o.dryRun, Now: a.world.Now}
	if o.to != "notation" {
		return t, usagef("--to %q: a sync is for notation", o.to)
	}
	if o.policy != "" && !slices.Contains([]notationdir.PolicyMode{notationdir.PolicyReplace, notationdir.PolicyMerge, notationdir.PolicyNone}, t.Policy) {
		return t, usagef("--policy %q: want replace, merge or none", o.policy)
	}
	t.Config = first(o.dir, a.env.baseOf("notation", envConfigHome, ".config"))
	t.Cache = o.cache
	if t.Cache == "" && o.dir != "" {
		t.Cache = filepath.Join(o.dir, "cache")
	}
	t.Cache = first(t.Cache, a.env.baseOf("notation", envCacheHome, ".cache"))
	if t.Config == "" || t.Cache == "" {
		return t, usagef("no home directory: give --dir")
	}
	var err error
	for _, dir := range []*string{&t.Config, &t.Cache} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return t, err
		}
	}
	return t, nil
}

// once refreshes and syncs. What fails may close, and is an error all the same.
func (s *syncer) once(ctx context.Context) (*trustSyncResult, error) {
	view, err := s.app.refreshed(ctx, s.entry.Name, s.client)
	var r *trustSyncResult
	if err == nil {
		r, err = s.sync(ctx, view)
	}
	if err != nil {
		return s.failed(ctx, err), err
	}
	return r, nil
}

// sync writes what a view delivers.
func (s *syncer) sync(ctx context.Context, view *trust.View) (*trustSyncResult, error) {
	if len(s.entry.Scopes) == 0 {
		return nil, fmt.Errorf("%w: trust %q has no scope", trust.ErrNoScope, s.entry.Name)
	}
	m, err := verify.Load(ctx, view, s.entry.Scopes)
	if err != nil {
		return nil, err
	}
	cfg, err := s.app.trusts() // anew: an agent runs for long
	if err != nil {
		return nil, err
	}
	entries := cfg.List()
	in := notationdir.Input{
		Trust: s.entry.Name, Scopes: s.entry.Scopes, Maps: s.entry.Maps, MinLevel: s.entry.Level(), Status: view.Status(),
		Set: m.Set(),
		Decides: func(name string) bool {
			deciding, err := trust.Select(entries, name)
			return err == nil && slices.ContainsFunc(deciding, func(d trust.Applicable) bool { return d.Entry.Name == s.entry.Name })
		},
	}
	if forAll(m) {
		if in.Repositories, err = s.repositories(ctx, view); err != nil {
			return nil, err
		}
	}
	report, err := notationdir.Sync(ctx, in, s.target)
	if err != nil {
		return nil, err
	}
	r := s.result(report)
	st := view.Status()
	r.reading, r.Roles, r.line = newReading(view), roleVersions(st), versionLine(st, s.app.world.Now())
	return r, nil
}

// forAll reports whether the policy has a statement for every repository.
func forAll(m *verify.Material) bool {
	if m.Set().Policy == nil {
		return false
	}
	for _, st := range m.Set().Policy.TrustPolicies {
		if slices.Contains(st.RegistryScopes, "*") {
			return true
		}
	}
	return false
}

// repositories are those that the image targets of the trust name, at the hosts of
// its scopes. Without those of a role that cannot be read nothing verifies there.
func (s *syncer) repositories(ctx context.Context, view *trust.View) ([]string, error) {
	targets, err := view.List(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		s.app.warn("not every role can be read, so that no statement is for its repositories: " + oneLine(err.Error()))
	}
	found := map[string]bool{}
	for _, t := range targets {
		repository, _, _, ok := trust.ParseImageName(t.Path)
		for _, scope := range s.entry.Scopes {
			if ok {
				found[scope.Host()+"/"+repository] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

func (s *syncer) result(report *notationdir.Report) *trustSyncResult {
	for _, text := range report.Warnings {
		s.app.warn(text)
	}
	for _, path := range report.Drift {
		s.app.warn(path + " was changed or removed since the last sync")
	}
	r := &trustSyncResult{
		Trust: s.entry.Name, To: s.o.to, Config: s.target.Config, Cache: s.target.Cache, DryRun: s.o.dryRun,
		Unchanged: report.Unchanged, Roles: []roleVersion{}, Changes: []syncChange{},
		Drift: append([]string{}, report.Drift...), Diff: report.Diff, Due: moment{report.Due},
		stores: s.target.Policy == notationdir.PolicyNone,
		export: s.o.dir != "" || s.o.cache != "",
	}
	for _, c := range report.Changes {
		r.Changes = append(r.Changes, syncChange{Action: c.Action, Path: c.Path, Detail: c.Detail})
	}
	return r
}

// failed does what has to be done about a failure: with --fail-closed it may close.
// The result is nil if it did not.
func (s *syncer) failed(ctx context.Context, failure error) *trustSyncResult {
	a := s.app
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		ctx = context.WithoutCancel(ctx) // who keeps us waiting does not keep us from closing
	}
	reason := ""
	if s.o.failClosed && ctx.Err() == nil {
		reason = s.staleness(ctx, failure)
	}
	if reason == "" {
		a.warn(s.target.Config + " is left as it was")
		return nil
	}
	report, err := notationdir.Close(ctx, s.entry.Name, reason, s.target)
	if err != nil {
		a.warn(fmt.Sprintf("%s could not be closed and is left as it was: %s", s.target.Config, oneLine(err.Error())))
		return nil
	}
	r := s.result(report)
	r.Closed = reason
	return r
}

// staleness says why the trust is staler than it may be: no stored view of it is
// good any more, or what was synced last has come from one that is not, or nobody
// can say what is revoked. "": it is fresh enough.
func (s *syncer) staleness(ctx context.Context, failure error) string {
	if errors.Is(failure, trust.ErrRevocations) {
		return oneLine(failure.Error())
	}
	if _, err := s.client.Load(ctx); err != nil {
		return oneLine(err.Error())
	}
	last, err := notationdir.Last(s.entry.Name, s.target)
	if err != nil || last == nil {
		return "" // nothing of this trust is trusted there
	}
	if until := last.Timestamp.Expires.Add(s.entry.MaxStale); !s.app.world.Now().Before(until) {
		return fmt.Sprintf("what was synced last expired %s", until.UTC().Format(time.RFC3339))
	}
	return ""
}

func (r *trustSyncResult) text(w io.Writer, a *app) {
	if r.line != "" {
		fmt.Fprintf(w, "✓ %s: %s\n", r.Trust, r.line)
	}
	for _, c := range r.Changes {
		fmt.Fprintf(w, "%s %s", c.Action, printable(c.Path))
		if c.Detail != "" {
			fmt.Fprintf(w, " (%s)", printable(c.Detail))
		}
		fmt.Fprintln(w)
	}
	if r.DryRun {
		for line := range strings.Lines(r.Diff) {
			fmt.Fprintln(w, printable(strings.TrimSuffix(line, "\n")))
		}
	}
	switch {
	case r.Closed != "" && r.DryRun:
		fmt.Fprintf(w, "would close: nothing of %s would verify: %s\n", r.Trust, printable(r.Closed))
	case r.Closed != "":
		fmt.Fprintf(w, "✗ closed: nothing of %s verifies: %s\n", r.Trust, printable(r.Closed))
	case r.Unchanged:
		fmt.Fprintf(w, "✓ %s is unchanged\n", printable(r.Config))
	case r.DryRun:
		fmt.Fprintln(w, "nothing was written")
	case r.stores:
		fmt.Fprintf(w, "✓ certificates and CRLs of %s are in %s; what they count for, its policy says\n", r.Trust, printable(r.Config))
	default:
		fmt.Fprintf(w, "✓ notation trusts %s by %s\n", r.Trust, printable(r.Config))
	}
	if !r.Due.IsZero() {
		fmt.Fprintf(w, "  what is no longer named can go %s\n", formatTime(r.Due.Time, a.world.Now()))
	}
	if r.export {
		fmt.Fprintf(w, "export NOTATION_CONFIG=%s NOTATION_CACHE=%s\n", shellWord(r.Config), shellWord(r.Cache))
	}
}

// shellWords are several, each quoted.
func shellWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

// shellWord quotes a word for a shell where it needs that.
func shellWord(s string) string {
	if s = printable(s); !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-:+@%,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
