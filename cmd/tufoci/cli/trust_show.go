package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/trust"
)

type trustShowResult struct {
	document
	Trust trustInfo     `json:"trust"`
	Roles []roleVersion `json:"roles"`
	Floor int64         `json:"floor"`
	pin   bool
}

func (a *app) newTrustShow() *cobra.Command {
	var pin bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a trust and what was verified last; no network",
		Example: `  tufoci trust show acme
  tufoci trust show acme --pin`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			r, err := a.runTrustShow(ctx, args[0])
			if err != nil {
				return err
			}
			r.pin = pin
			return a.print(r)
		}),
	}
	cmd.Flags().BoolVar(&pin, "pin", false, "print the flags that pin the same elsewhere: root checksum and least timestamp version")
	return cmd
}

func (a *app) runTrustShow(ctx context.Context, name string) (*trustShowResult, error) {
	a.subject.trust = name
	cfg, err := a.trusts()
	if err != nil {
		return nil, err
	}
	entry, err := cfg.Get(name)
	if err != nil {
		return nil, err
	}
	p, err := a.stored(cfg, entry, nil)
	if err != nil {
		return nil, err
	}
	r := &trustShowResult{Trust: newTrustInfo(entry), Roles: []roleVersion{}, Floor: entry.MinTimestamp}
	client, err := trust.New(p.root, p.options)
	if err != nil {
		return nil, err
	}
	view, err := client.Load(ctx)
	if errors.Is(err, trust.ErrNoState) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	st := view.Status()
	r.Roles, r.Floor = roleVersions(st), max(r.Floor, st.Timestamp.Version)
	return r, nil
}

func (r *trustShowResult) text(w io.Writer, a *app) {
	if r.pin {
		fmt.Fprintf(w, "--checksum %s --min-timestamp %d\n", r.Trust.RootChecksum, r.Floor)
		return
	}
	fmt.Fprintf(w, "name           %s\nsource         %s\nroot           %s\nmax-stale      %s\nmin-timestamp  %d\n",
		r.Trust.Name, printable(first(r.Trust.Source, noHome)), r.Trust.RootChecksum, r.Trust.MaxStale, r.Trust.MinTimestamp)
	if r.Trust.Fallback == trust.FallbackNone {
		fmt.Fprintln(w, "fallback       none: no copy next to an image answers when the source cannot be reached")
	}
	if r.Trust.TargetsURL != "" {
		fmt.Fprintf(w, "targets        %s\n", printable(r.Trust.TargetsURL))
	}
	fmt.Fprintf(w, "scope          %s\n", printable(first(strings.Join(r.Trust.Scopes, ", "), "-")))
	if len(r.Trust.Scopes) > 0 {
		fmt.Fprintf(w, "requires       %s, level %s\n", strings.Join(r.Trust.Require, ", "), r.Trust.MinLevel)
	}
	if r.Trust.Also {
		fmt.Fprintln(w, "also           its scopes may be those of other trusts, all of which must accept")
	}
	for _, m := range r.Trust.Maps {
		fmt.Fprintf(w, "map            %s\n", printable(m))
	}
	for _, limit := range trust.AllLimits() {
		if value, ok := r.Trust.Limits[limit.Name]; ok {
			fmt.Fprintf(w, "limit          %s %s, default %s\n", limit.Name, value, limit.Format(limit.Default))
		}
	}
	if len(r.Roles) == 0 {
		fmt.Fprintln(w, "nothing is stored yet")
	}
	for _, v := range r.Roles {
		fmt.Fprintf(w, "%-14s v%d, expires %s\n", v.Role, v.Version, formatTime(v.Expires.Time, a.world.Now()))
	}
}
