package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/doctor"
	"github.com/tufoci/tufoci/ociremote"
)

type doctorOptions struct {
	registry registryFlags
	root     string
	readOnly bool
}

type doctorResult struct {
	document
	Repository string        `json:"repository"`
	Tag        string        `json:"tag"`
	Healthy    bool          `json:"healthy"`
	ReadOnly   bool          `json:"readOnly"`
	Layout     string        `json:"layout"`
	Checks     []doctorCheck `json:"checks"`
	Left       []string      `json:"left"`
}

// doctorCheck is one thing that was looked at.
type doctorCheck struct {
	Area   string `json:"area"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Found  string `json:"found"`
	Means  string `json:"means"`
	Next   string `json:"next"`
}

func (a *app) newDoctor() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [TRUST|REPO]",
		Short: "Find out what will not work: keys, registry, layout, clock, workspace",
		Long: `Look at the keys and files of the workspace, at what the registry can do and
which layout of the bundle fits it, at the clock, and at what is published. No
key is opened. In the registry it writes under tags of its own, CHANNEL.doctor-…
and CHANNEL.v0-doctor-…, and removes them; the channel and its history are never
written. Without the right to push, or with --read-only, it only reads.`,
		Example: `  tufoci doctor
  tufoci doctor registry.acme.io/trust/tuf --read-only`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.runDoctor(ctx, args, &o) }),
	}
	o.registry.add(cmd, "")
	cmd.Flags().StringVar(&o.root, "root", "", "verify what is published from the root in `FILE`")
	cmd.Flags().BoolVar(&o.readOnly, "read-only", false, "write nothing to the registry")
	return cmd
}

func (a *app) runDoctor(ctx context.Context, args []string, o *doctorOptions) error {
	u := &upkeepFlags{registry: o.registry, root: o.root}
	if len(args) == 0 {
		return a.withKept(ctx, nil, u, func(k *kept) error { return a.examine(ctx, k, o) })
	}
	k, err := a.keptSource(ctx, args[0], u)
	if _, unpinned := errors.AsType[*unpinnedError](err); unpinned {
		k, err = a.unpinned(ctx, args[0], u)
	}
	if err != nil {
		return err
	}
	return a.examine(ctx, k, o)
}

// unpinned is a repository of which nothing that is published can be verified.
func (a *app) unpinned(ctx context.Context, arg string, u *upkeepFlags) (*kept, error) {
	p, err := a.find(ctx, arg, &readFlags{registry: u.registry})
	if err != nil {
		return nil, err
	}
	return &kept{ref: p.source.Reference, client: p.options.Client}, nil
}

func (a *app) examine(ctx context.Context, k *kept, o *doctorOptions) error {
	repo, err := k.client.Repository(ctx, k.ref, !o.readOnly && k.ref.Kind == ociremote.KindRegistry)
	if err != nil {
		return err
	}
	seen, err := k.seen(ctx)
	if err != nil {
		return err
	}
	report, err := doctor.Run(ctx, doctor.Options{
		Workspace: k.ws, Repository: repo, Channel: k.ref.Tag, Pin: k.root, Seen: seen,
		ReadOnly: o.readOnly, Now: a.world.Now, Warn: a.warn,
	})
	if err != nil {
		return err
	}
	return printAlso(a, newDoctorResult(k, report), report.Err())
}

func newDoctorResult(k *kept, report *doctor.Report) *doctorResult {
	r := &doctorResult{
		Repository: k.repository(), Tag: k.ref.Tag, Healthy: len(report.Failed()) == 0, ReadOnly: report.ReadOnly, Layout: report.Layout,
		Checks: make([]doctorCheck, 0, len(report.Checks)), Left: append([]string{}, report.Left...),
	}
	for _, c := range report.Checks {
		r.Checks = append(r.Checks, doctorCheck{Area: c.Area, Name: c.Name, Status: string(c.Status), Found: oneLine(c.Found), Means: c.Means, Next: c.Next})
	}
	return r
}

// marks of the statuses in text.
var marks = map[doctor.Status]string{doctor.OK: "✓", doctor.Warn: "!", doctor.Fail: "✗", doctor.Skipped: "-"}

func (r *doctorResult) text(w io.Writer, _ *app) {
	fmt.Fprintf(w, "%s:%s\n", printable(r.Repository), r.Tag)
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%s %s %s: %s\n", marks[doctor.Status(c.Status)], c.Area, printable(c.Name), printable(c.Found))
		if c.Status == string(doctor.OK) && c.Next == "" || c.Status == string(doctor.Skipped) {
			continue
		}
		if c.Means != "" {
			fmt.Fprintf(w, "    %s\n", printable(c.Means))
		}
		if c.Next != "" {
			fmt.Fprintf(w, "    Next: %s\n", printable(c.Next))
		}
	}
	for _, name := range r.Left {
		fmt.Fprintf(w, "left in the registry, which did not let it go: %s\n", printable(name))
	}
}
