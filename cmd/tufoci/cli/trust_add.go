package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

type trustAddOptions struct {
	registry     registryFlags
	root         string
	checksum     string
	targetsURL   string
	maxStale     span
	minTimestamp int64
	limits       []string
	frozen       bool
	beside       bool
	images       imageFlags
}

type trustAddResult struct {
	document
	reading
	Trust       trustInfo     `json:"trust"`
	Roles       []roleVersion `json:"roles"`
	Targets     int           `json:"targets"`
	TargetRoles int           `json:"targetRoles"`
	line        string
}

func (a *app) newTrustAdd() *cobra.Command {
	var o trustAddOptions
	cmd := &cobra.Command{
		Use:   "add NAME SOURCE | add NAME --beside",
		Short: "Pin a root and name it",
		Long: `Read SOURCE, verify it from the root that is given as a file or as a checksum,
and keep both under NAME. There is no trust on first use: the root or its
checksum comes from its publisher by another way.

Without --scope the trust reads files only; with it, it speaks for the images in
that scope. A NAME that exists with the same root is changed by the flags that
are given; scopes and maps that are given take the place of those before.

--limit bounds what a source can make a client read, keep and wait for: sizes,
counts and times, with their defaults and the most that can be set in
docs/limits.md.

With --beside the trust has no home: it is read next to each image that is
verified, from the root that is given as a file.`,
		Example: `  tufoci trust add acme registry.acme.io/trust/tuf --root 1.root.json
  tufoci trust add acme registry.acme.io/trust/tuf --checksum sha256:6f0e…c2a1 --scope 'registry.acme.io/**'
  tufoci trust add acme reg.local:5000/trust/tuf --root 1.root.json --scope 'registry.acme.io/**' --map reg.local:5000=registry.acme.io
  tufoci trust add acme --beside --root 1.root.json --scope 'registry.acme.io/**'`,
		Args: cobra.RangeArgs(1, 2),
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "root `FILE` to pin")
	f.StringVar(&o.checksum, "checksum", "", "checksum `sha256:HEX` of the root file to pin")
	f.StringVar(&o.targetsURL, "targets-url", "", "`URL` of the target files, where it is not the usual one")
	f.Var(&o.maxStale, "max-stale", "accept timestamp and snapshot this long after they expire, with a warning")
	f.Int64Var(&o.minTimestamp, "min-timestamp", 0, "least timestamp `VERSION` that is accepted")
	f.StringArrayVar(&o.limits, "limit", nil, "`NAME=VALUE`, a limit of what is read, as in visits=64 or targetFile=1GiB; NAME=default takes it back (several times)")
	f.BoolVar(&o.frozen, "frozen", false, "the source may be a history tag or a digest, which never changes")
	f.BoolVar(&o.beside, "beside", false, "there is no SOURCE: the trust is read next to each image")
	o.images.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("root", "checksum")
	for _, flag := range []string{"targets-url", "frozen"} {
		cmd.MarkFlagsMutuallyExclusive("beside", flag)
	}
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		changed := func(flag string) bool { return f.Changed(flag) }
		var r *trustAddResult
		var err error
		switch {
		case o.beside == (len(args) == 2):
			return usagef("give a SOURCE or --beside, one of them")
		case o.beside:
			r, err = a.runTrustAddBeside(ctx, args[0], &o, changed)
		default:
			r, err = a.runTrustAdd(ctx, args[0], args[1], &o, changed)
		}
		if err != nil {
			return err
		}
		return a.print(r)
	})
	return cmd
}

func (a *app) runTrustAdd(ctx context.Context, name, from string, o *trustAddOptions, changed func(string) bool) (*trustAddResult, error) {
	a.subject.source = from
	source, err := trust.ParseSource(from)
	if err != nil {
		return nil, err
	}
	if source, err = absolute(source); err != nil { // a trust is used from any directory
		return nil, err
	}
	if !o.frozen && isFrozen(source.Reference) {
		return nil, usagef("%s never changes: a trust on it needs --frozen", from)
	}
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, &o.registry)
	if err != nil {
		return nil, err
	}
	entry, err := a.existing(cfg, name)
	if err != nil {
		return nil, err
	}
	if err := o.setLimits(&entry.Limits); err != nil {
		return nil, err
	}
	root, err := o.pinned(ctx, cfg, entry, source, client)
	if err != nil {
		return nil, err
	}
	if err := o.change(&entry, name, source.String(), changed); err != nil {
		return nil, err
	}
	view, err := a.refresh(ctx, a.pinOf(entry, root, source, client))
	if err != nil {
		return nil, err
	}
	entry.RootSHA256 = view.Status().RootSHA256
	if err := cfg.Add(entry, root); err != nil {
		return nil, err
	}
	a.readMaterial(ctx, entry, view)
	return a.newTrustAddResult(ctx, entry, root, view), nil
}

// isFrozen says that a reference names one bundle for ever.
func isFrozen(ref ociremote.Reference) bool {
	channel, _, _ := strings.Cut(ref.Tag, ".v")
	_, isHistory := ociremote.ParseHistoryTag(channel, ref.Tag)
	return ref.Digest != "" || isHistory
}

// pinned is the root to pin: as given, or that of the trust as it exists.
func (o *trustAddOptions) pinned(ctx context.Context, cfg *trust.Config, e trust.Entry, source trust.Source, client *ociremote.Client) ([]byte, error) {
	if o.root == "" && o.checksum == "" {
		if e.Name == "" {
			return nil, usagef("give --root FILE or --checksum sha256:HEX: a root never comes from the registry alone")
		}
		return cfg.RootBytes(e)
	}
	if e.Name != "" && o.checksum != "" && o.checksum != "sha256:"+e.RootSHA256 {
		return nil, fmt.Errorf("%w: %s has sha256:%s", trust.ErrExists, e.Name, e.RootSHA256)
	}
	if o.checksum != "" {
		if !checksumForm.MatchString(o.checksum) {
			return nil, usagef("--checksum %s: want sha256: and 64 hexadecimal digits", o.checksum)
		}
		return trust.FindRoot(ctx, source, client, o.checksum, e.Limits)
	}
	root, err := readFile(o.root)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(root); e.Name != "" && hex.EncodeToString(sum[:]) != e.RootSHA256 {
		return nil, fmt.Errorf("%w: %s has sha256:%s", trust.ErrExists, e.Name, e.RootSHA256)
	}
	return root, nil
}

var checksumForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// existing is the trust that is changed; the zero value for a new one.
func (a *app) existing(cfg *trust.Config, name string) (trust.Entry, error) {
	entry, err := cfg.Get(name)
	if err != nil && !errors.Is(err, trust.ErrNoTrust) {
		return entry, err
	}
	a.subject.trust = entry.Name
	return entry, nil
}

// setLimits takes over the limits that were given; others stay as they are.
func (o *trustAddOptions) setLimits(l *trust.Limits) error {
	given := map[string]bool{}
	for _, limit := range o.limits {
		name, value, ok := strings.Cut(limit, "=")
		if !ok {
			return usagef("--limit %s: want NAME=VALUE", limit)
		}
		if given[name] {
			return usagef("--limit %s: %s is given twice", limit, name)
		}
		given[name] = true
		if err := l.Set(name, value); err != nil {
			return &usageError{err: fmt.Errorf("--limit %s: %w", limit, err)}
		}
	}
	return nil
}

// change takes over the flags that were given.
func (o *trustAddOptions) change(e *trust.Entry, name, source string, changed func(string) bool) error {
	e.Name, e.Source = name, source
	if changed("targets-url") {
		e.TargetsURL = o.targetsURL
	}
	if changed("max-stale") {
		e.MaxStale = time.Duration(o.maxStale)
	}
	if changed("min-timestamp") {
		e.MinTimestamp = o.minTimestamp
	}
	return o.images.change(e, changed)
}

// newTrustAddResult counts what the trust can give. A role that cannot be read
// does not keep the root from being pinned.
func (a *app) newTrustAddResult(ctx context.Context, e trust.Entry, root []byte, view *trust.View) *trustAddResult {
	targets, err := view.List(ctx)
	if err != nil {
		a.warn("not every role can be read: " + oneLine(err.Error()))
	}
	roles := map[string]bool{}
	for _, t := range targets {
		roles[t.Role] = true
	}
	st := view.Status()
	return &trustAddResult{
		reading: newReading(view), Trust: newTrustInfo(e), Roles: roleVersions(st),
		Targets: len(targets), TargetRoles: len(roles),
		line: pinLine(root, st, a.world.Now()),
	}
}

// pinLine says which root is pinned and where it leads.
func pinLine(root []byte, st trust.Status, now time.Time) string {
	out := pinnedRoot(root)
	if rootVersion(root) != st.Root.Version {
		out += fmt.Sprintf(", root v%d reached", st.Root.Version)
	}
	return fmt.Sprintf("%s, timestamp v%d (%s)", out, st.Timestamp.Version, expiry(st.Timestamp.Expires, now))
}

func (r *trustAddResult) text(w io.Writer, _ *app) {
	if r.Trust.Source == "" {
		fmt.Fprintf(w, "✓ %s\n", r.line)
		return
	}
	fmt.Fprintf(w, "✓ %s; %s in %s\n", r.line, count(r.Targets, "target"), count(r.TargetRoles, "role"))
}

// count prints a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
