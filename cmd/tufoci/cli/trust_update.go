package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

type trustUpdateResult struct {
	document
	Trusts []trustUpdate `json:"trusts"`
}

// trustUpdate is the outcome for one trust.
type trustUpdate struct {
	Name string `json:"name"`
	reading
	Unchanged bool          `json:"unchanged"`
	NoHome    bool          `json:"noHome"`
	Roles     []roleVersion `json:"roles"`
	Error     *errorReport  `json:"error"`
	line      string
}

func (a *app) newTrustUpdate() *cobra.Command {
	var flags registryFlags
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "update [NAME...]",
		Short: "Refresh trusts from their sources and keep what verified",
		Long: `Refresh the trusts named, or all of them, and print their versions and expiry.
Home alone is asked, also one that could not be reached a moment ago. A trust that
was added with --beside has none, and nothing to update.`,
		Example: `  tufoci trust update
  tufoci trust update acme --format json`,
	}
	flags.add(cmd, "")
	addExitCodeFlag(cmd, &exitCode)
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		r, err := a.runTrustUpdate(ctx, args, &flags)
		if err := printAlso(a, r, err); err != nil {
			return err
		}
		for _, t := range r.Trusts {
			if !t.Unchanged {
				return nil
			}
		}
		if exitCode {
			return nothingError{}
		}
		return nil
	})
	return cmd
}

// runTrustUpdate refreshes each trust, also after one has failed. The first
// failure is the error.
func (a *app) runTrustUpdate(ctx context.Context, names []string, flags *registryFlags) (*trustUpdateResult, error) {
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	entries, err := chosen(cfg, names)
	if err != nil {
		return nil, err
	}
	client, err := a.client(ctx, flags)
	if err != nil {
		return nil, err
	}
	r := &trustUpdateResult{Trusts: []trustUpdate{}}
	var failed error
	var about subject
	for _, e := range entries {
		a.subject.trust, a.subject.source = e.Name, e.Source
		t, err := a.update(ctx, cfg, e, client)
		if err != nil && failed == nil {
			failed, about = err, a.subject
		}
		r.Trusts = append(r.Trusts, t)
	}
	if failed != nil {
		a.subject = about
	}
	return r, failed
}

func chosen(cfg *trust.Config, names []string) ([]trust.Entry, error) {
	if len(names) == 0 {
		return cfg.List(), nil
	}
	var entries []trust.Entry
	for _, name := range names {
		e, err := cfg.Get(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (a *app) update(ctx context.Context, cfg *trust.Config, e trust.Entry, client *ociremote.Client) (trustUpdate, error) {
	t := trustUpdate{Name: e.Name, Roles: []roleVersion{}}
	if e.Source == "" {
		t.Unchanged, t.NoHome = true, true
		return t, nil
	}
	a.noteNewState(e)
	p, err := a.stored(cfg, e, client)
	var view *trust.View
	if err == nil {
		view, err = a.refresh(ctx, p)
	}
	if err != nil {
		t.Error = a.report(err)
		return t, fmt.Errorf("%s: %w", e.Name, err)
	}
	a.readMaterial(ctx, e, view)
	st := view.Status()
	t.reading, t.Unchanged, t.Roles = newReading(view), st.Unchanged, roleVersions(st)
	t.line = versionLine(st, a.world.Now())
	return t, nil
}

// readMaterial reads what decides about images, so that it is there without the
// network too. That it cannot be used is no failure of the update, but should be
// known before an image is refused for it.
func (a *app) readMaterial(ctx context.Context, e trust.Entry, view *trust.View) {
	if len(e.Scopes) == 0 {
		return
	}
	if _, err := verify.Load(ctx, view, e.Scopes); err != nil {
		a.warn(fmt.Sprintf("%s will refuse every image: %s", e.Name, oneLine(err.Error())))
	}
}

// noteNewState says in CI that a state that starts empty protects from no
// rollback.
func (a *app) noteNewState(e trust.Entry) {
	if !a.env.isTrue(envCI) {
		return
	}
	if _, err := os.Stat(filepath.Join(a.stateDir(), e.RootSHA256)); errors.Is(err, os.ErrNotExist) {
		a.warn(fmt.Sprintf("the state of %s is new: where no state lasts, `tufoci trust add --min-timestamp` protects from older versions", e.Name))
	}
}

func (r *trustUpdateResult) text(w io.Writer, _ *app) {
	if len(r.Trusts) == 0 {
		fmt.Fprintln(w, "there is no trust")
	}
	for _, t := range r.Trusts {
		switch {
		case t.Error != nil:
			fmt.Fprintf(w, "✗ %s: %s\n", t.Name, printable(t.Error.What))
		case t.NoHome:
			fmt.Fprintf(w, "- %s: no home, so nothing to update; verify reads it next to each image\n", t.Name)
		case t.Unchanged:
			fmt.Fprintf(w, "✓ %s: %s, unchanged\n", t.Name, t.line)
		default:
			fmt.Fprintf(w, "✓ %s: %s\n", t.Name, t.line)
		}
	}
}
