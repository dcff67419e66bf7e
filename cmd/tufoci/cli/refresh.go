package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

type refreshOptions struct {
	upkeepFlags
	keys        []string
	within      string
	force       bool
	dryRun      bool
	exitCode    bool
	concurrency int
	keep        int
	every       span
	listen      string
	forever     bool // every is given
	keyring     *keyring
	seen        trust.Seen // what the run before left
}

type refreshResult struct {
	document
	published
	Waiting   []waitingRole `json:"waiting"`
	Proposals []proposal    `json:"proposals"`
	Beside    []besideCopy  `json:"beside"`

	waiting []metadata.WaitingRole
	lives   []metadata.RoleLife
	keys    int // at hand
}

// waitingRole is a role that is due and was left as it is.
type waitingRole struct {
	Role    string          `json:"role"`
	Version int64           `json:"version"`
	Expires moment          `json:"expires"`
	Rules   []signatureRule `json:"rules"`
}

func (a *app) newRefresh() *cobra.Command {
	var o refreshOptions
	cmd := &cobra.Command{
		Use:   "refresh [TRUST|REPO]",
		Short: "Renew the timestamp, and what else is due",
		Long: `Sign the timestamp, the snapshot and every other role anew that is inside its
renewal window and whose keys are given, root aside, and move the tag. That
needs no workspace: the period and the window of each role are in its metadata.
With nothing due nothing is sent, so it can run often, and in several places.

What teams have proposed (publish --propose) is verified as clients would and
folded in, if snapshot and timestamp can be signed with the keys given. What is
not good is left out, with a warning.

In a workspace it takes the keys of tufoci.yaml that are at hand and leaves the
workspace as it is. Elsewhere the repository is verified by the trust that has
it, or from --root; only a trust remembers what was seen before.

With --every it goes on: now, then each DURATION, earlier where something would
end before, and again soon after a failure. Keys are opened once, at the start.
--listen serves /healthz and /metrics. It ends by a signal, after the run that is
under way.`,
		Example: `  tufoci refresh
  tufoci refresh registry.acme.io/trust/tuf --key env:TIMESTAMP_KEY
  tufoci refresh acme --key online.pem --beside registry.acme.io/shop/api
  tufoci refresh acme --key online.pem --every 1h --listen 127.0.0.1:9100`,
		Args: cobra.MaximumNArgs(1),
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.keys, "key", nil, "key URI (in a workspace: `NAME` or URI) to sign with (several times)")
	f.StringVar(&o.within, "within", "", "renew what has less than this `DURATION` or share (50%) of its life left (default: what each role states)")
	f.BoolVar(&o.force, "force", false, "renew every role whose keys are given, due or not")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
	f.IntVar(&o.concurrency, "concurrency", 5, "send `N` blobs, and write N copies, at the same time")
	addKeepFlag(cmd, &o.keep)
	f.Var(&o.every, "every", "go on until a signal ends it, and refresh each `DURATION`")
	f.StringVar(&o.listen, "listen", "", "with --every: serve /healthz and /metrics at `ADDRESS`")
	addExitCodeFlag(cmd, &o.exitCode)
	cmd.MarkFlagsMutuallyExclusive("within", "force")
	for _, once := range []string{"force", "dry-run", "exit-code"} {
		cmd.MarkFlagsMutuallyExclusive("every", once)
	}
	cmd.PreRun = func(*cobra.Command, []string) { o.forever = o.every != 0 }
	cmd.RunE = a.runUnless(&o.forever, func(ctx context.Context, args []string) error {
		if o.concurrency < 1 {
			return usagef("--concurrency is a number above 0")
		}
		if o.keep < 0 {
			return usagef("--keep is a number, and none below 0")
		}
		if o.every != 0 {
			return a.every(ctx, args, &o)
		}
		if o.listen != "" {
			return usagef("--listen goes with --every")
		}
		return a.withKept(ctx, args, &o.upkeepFlags, func(k *kept) error {
			r, err := a.runRefresh(ctx, k, &o)
			if err := printAlso(a, r, err); err != nil {
				return err
			}
			if o.exitCode && r.nothing() {
				return nothingError{}
			}
			return nil
		})
	})
	return cmd
}

func (a *app) runRefresh(ctx context.Context, k *kept, o *refreshOptions) (*refreshResult, error) {
	opts, err := a.refreshOptions(ctx, k, o)
	if err != nil {
		return nil, err
	}
	names, err := k.keyNames()
	if err != nil {
		return nil, err
	}
	repo, err := openWritable(ctx, k.client, k.ref)
	if err != nil {
		return nil, err
	}
	beside, err := o.besidePlan(k)
	if err != nil {
		return nil, err
	}
	if opts.Seen, err = a.remember(ctx, k); err != nil {
		return nil, err
	}
	opts.Seen = append(opts.Seen, o.seen)
	bars := a.newBars()
	defer bars.close()
	opts.Progress = bars.progress()
	res, err := publish.Refresh(ctx, k.root, repo, *opts)
	bars.close()
	if none, ok := errors.AsType[*metadata.NoKeysError](err); ok && k.ws != nil {
		k.ws.NameKeys(none)
	}
	if err != nil {
		return nil, err
	}
	o.seen = trust.Seen{Timestamp: res.Versions.Timestamp, Root: res.Versions.Root}
	r := &refreshResult{
		published: newPublished(res, k.repository(), o.dryRun), Waiting: make([]waitingRole, 0, len(res.Waiting)), Proposals: newProposals(res.Proposals),
		waiting: res.Waiting, lives: res.Lives, keys: len(opts.Keys),
	}
	for _, w := range res.Waiting {
		r.Waiting = append(r.Waiting, waitingRole{Role: w.Role, Version: w.Version, Expires: moment{w.Expires}, Rules: heldRules(w.Rules, names)})
	}
	a.warnWaiting(r.Waiting)
	r.Beside, err = a.keepBeside(ctx, res.View, beside, publish.BesideOptions{Concurrency: o.concurrency, DryRun: o.dryRun})
	return r, err
}

// repository is the name of the repository, without its tag.
func (k *kept) repository() string {
	if k.ref.Kind == ociremote.KindRegistry {
		return k.ref.Host + "/" + k.ref.Repository
	}
	return k.ref.Path
}

func (a *app) refreshOptions(ctx context.Context, k *kept, o *refreshOptions) (*publish.RefreshOptions, error) {
	opts := &publish.RefreshOptions{
		Force: o.force, Proposals: true, Base: k.base, Channel: k.ref.Tag, DryRun: o.dryRun, Concurrency: o.concurrency,
		Keep: o.keep, Now: a.world.Now, Warn: a.warn,
	}
	var err error
	if o.within != "" {
		if opts.Within, err = metadata.ParseWindow(o.within); err != nil {
			return nil, err
		}
	}
	if opts.Keys, err = a.refreshKeys(ctx, k, o); err != nil || k.ws == nil {
		return opts, err
	}
	opts.Layout = ociremote.Layout(k.ws.Config().Layout)
	st, err := k.ws.Status()
	if err != nil {
		return nil, err
	}
	for _, r := range st.Roles {
		if r.StagedVersion > 0 {
			opts.Leave = append(opts.Leave, r.Role)
		}
	}
	return opts, nil
}

// refreshKeys are the keys that sign what is due. With a keyring they stay open.
func (a *app) refreshKeys(ctx context.Context, k *kept, o *refreshOptions) ([]metadata.SigningKey, error) {
	if k.ws != nil {
		keys, err := k.ws.SigningKeys(o.keys...)
		if err != nil {
			return nil, err
		}
		return keys, o.keyring.hold(k.ws, keys)
	}
	if len(o.keys) == 0 {
		return nil, usagef("without a workspace nothing says where the keys are: give --key")
	}
	return o.keyring.open(func() ([]metadata.SigningKey, error) { return a.openKeys(ctx, o.keys) })
}

// remember reads the repository as a client of the trust does, which notes what it
// sees, and returns that. What has expired is no reason not to renew it.
func (a *app) remember(ctx context.Context, k *kept) ([]trust.Seen, error) {
	if k.pin == nil || k.pin.options.StateDir == "" {
		return nil, nil
	}
	view, err := a.refresh(ctx, k.pin)
	switch {
	case errors.Is(err, trust.ErrExpired):
		return k.seen(ctx)
	case err != nil:
		return nil, err
	}
	return []trust.Seen{view.Status().Seen()}, nil
}

// warnWaiting says what is due and cannot be signed here.
func (a *app) warnWaiting(roles []waitingRole) {
	if len(roles) == 0 {
		return
	}
	var parts []string
	for i, r := range roles {
		if i == maxChanges {
			parts = append(parts, fmt.Sprintf("%d more", len(roles)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", versionText(r.Role, r.Version), expiry(r.Expires.Time, a.world.Now())))
	}
	a.warn("due, and not renewed here: " + strings.Join(parts, ", "))
}

// nothing reports that neither the repository nor a copy was changed.
func (r *refreshResult) nothing() bool {
	for _, c := range r.Beside {
		if !c.Unchanged {
			return false
		}
	}
	return r.Unchanged
}

func (r *refreshResult) text(w io.Writer, a *app) {
	if r.Unchanged {
		fmt.Fprintf(w, "✓ nothing is due: tag %s -> %s\n", r.Tag, r.Digest)
	} else {
		r.changes(w, a)
	}
	writeFolded(w, r.Proposals, r.DryRun)
	writeBesideCopies(w, r.Beside, r.DryRun)
}
