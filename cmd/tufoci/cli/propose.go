package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// proposeFlags turn a publish into the proposal of one role.
type proposeFlags struct {
	role    string
	propose bool
}

func (p *proposeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.role, "role", "", "with --propose: the `ROLE` that is proposed")
	cmd.Flags().BoolVar(&p.propose, "propose", false, "push only the signed file of --role, for a refresh to fold in")
	cmd.MarkFlagsRequiredTogether("role", "propose")
	for _, other := range []string{"attach", "beside", "keep", "rebase"} {
		cmd.MarkFlagsMutuallyExclusive("propose", other)
	}
}

type proposeResult struct {
	document
	Repository string     `json:"repository"`
	Role       string     `json:"role"`
	From       int64      `json:"from"`
	To         int64      `json:"to"`
	Expires    moment     `json:"expires"`
	Tag        string     `json:"tag"`
	Digest     string     `json:"digest"`
	Head       string     `json:"head"`
	DryRun     bool       `json:"dryRun"`
	Unchanged  bool       `json:"unchanged"`
	Published  bool       `json:"published"`
	Replaced   string     `json:"replaced"`
	Blobs      []sentBlob `json:"blobs"`
	Bytes      int64      `json:"bytes"`
}

// proposal is one that is in the registry.
type proposal struct {
	Tag     string `json:"tag"`
	Role    string `json:"role"`
	From    int64  `json:"from"`
	Version int64  `json:"version"`
	Digest  string `json:"digest"`
	Since   moment `json:"since"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
}

// What a proposal is.
const (
	proposalFolded  = "folded"
	proposalWaiting = "waiting"
	proposalPending = "pending" // nothing speaks against it
	proposalRefused = "refused"
)

// proposedRole is a role that was proposed from this workspace.
type proposedRole struct {
	Role    string `json:"role"`
	Version int64  `json:"version"`
	Tag     string `json:"tag"`
	At      moment `json:"at"`
	Changed bool   `json:"changed"`
}

func (a *app) runPropose(ctx context.Context, w *metadata.Workspace, o *publishOptions) (*proposeResult, error) {
	home, err := homeOf(w)
	if err != nil {
		return nil, err
	}
	clients, err := a.clientsFor(ctx, &o.registry, home.Host)
	if err != nil {
		return nil, err
	}
	repo, err := openWritable(ctx, clients.own, home)
	if err != nil {
		return nil, err
	}
	a.subject.roles = []string{o.propose.role}
	bars := a.newBars()
	defer bars.close()
	p, err := publish.Propose(ctx, w, repo, o.propose.role, publish.ProposeOptions{
		DryRun: o.dryRun, Concurrency: o.concurrency, MaxFiles: o.maxFiles, Now: a.world.Now, Progress: bars.progress(), Warn: a.warn,
	})
	bars.close()
	if err != nil {
		return nil, err
	}
	return &proposeResult{
		Repository: w.Config().Repository, Role: p.Role, From: p.From, To: p.To, Expires: moment{p.Expires},
		Tag: p.Tag, Digest: p.Digest.String(), Head: p.Head.String(), DryRun: o.dryRun, Unchanged: p.Unchanged, Published: p.Published,
		Replaced: p.Replaced.String(), Blobs: sentBlobs(p.Blobs), Bytes: p.Bytes,
	}, nil
}

// nothing reports that nothing was sent.
func (r *proposeResult) nothing() bool { return r.Unchanged || r.Published }

func (r *proposeResult) text(w io.Writer, _ *app) {
	name := versionText(r.Role, r.To)
	switch {
	case r.Published:
		fmt.Fprintf(w, "✓ nothing to propose: %s is published\n", name)
	case r.Unchanged:
		fmt.Fprintf(w, "✓ %s is proposed already (tag %s)\n", name, r.Tag)
	case r.DryRun:
		fmt.Fprintf(w, "would propose %s as tag %s (%s, %d bytes); nothing was sent\n", name, r.Tag, count(len(r.Blobs), "blob"), r.Bytes)
	default:
		fmt.Fprintf(w, "✓ %s proposed (tag %s); the next refresh verifies it and folds it in\n", name, r.Tag)
		if r.Replaced != "" {
			fmt.Fprintf(w, "✓ in the place of %s, which was proposed from here before\n", r.Replaced)
		}
	}
}

func newProposals(in []publish.ProposalState) []proposal {
	out := make([]proposal, 0, len(in))
	for _, p := range in {
		o := proposal{Tag: p.Tag, Role: p.Role, From: p.From, Version: p.Version, Digest: p.Digest.String(), Since: moment{p.Since}, Status: proposalPending}
		switch {
		case p.Folded:
			o.Status = proposalFolded
		case p.Waiting:
			o.Status = proposalWaiting
		case p.Err != nil:
			o.Status, o.Reason = proposalRefused, oneLine(p.Err.Error())
		}
		out = append(out, o)
	}
	return out
}

// proposals are those that wait for a refresh of a repository that was verified.
func (a *app) proposals(ctx context.Context, k *kept, view *trust.View) ([]proposal, error) {
	repo, err := k.client.Repository(ctx, k.ref, false)
	if err != nil {
		return nil, err
	}
	list, err := publish.Proposals(ctx, view, repo, publish.ProposalOptions{Channel: k.ref.Tag, Now: a.world.Now, Warn: a.warn})
	return newProposals(list), err
}

// writeFolded says which proposals are part of what was published.
func writeFolded(w io.Writer, proposals []proposal, dryRun bool) {
	verb := "✓ folded in"
	if dryRun {
		verb = "would fold in"
	}
	for _, p := range proposals {
		if p.Status == proposalFolded {
			fmt.Fprintf(w, "%s %s (tag %s)\n", verb, versionText(p.Role, p.Version), p.Tag)
		}
	}
}

// writeProposals lists what is proposed.
func writeProposals(w io.Writer, proposals []proposal, now time.Time) {
	if len(proposals) == 0 {
		return
	}
	rows := make([][]string, 0, len(proposals))
	for _, p := range proposals {
		status := p.Status
		if p.Reason != "" {
			status += ": " + p.Reason
		}
		since := "-"
		if !p.Since.IsZero() {
			since = formatLeft(p.Since.Time, now)
		}
		rows = append(rows, []string{p.Tag, formatVersion(p.From) + " -> " + formatVersion(p.Version), since, status})
	}
	table(w, []string{"PROPOSED", "VERSION", "SINCE", "STATUS"}, rows)
}

func newProposedRoles(in []metadata.ProposalStatus) []proposedRole {
	out := make([]proposedRole, 0, len(in))
	for _, p := range in {
		out = append(out, proposedRole{Role: p.Role, Version: p.Version, Tag: p.Tag, At: moment{p.At}, Changed: p.Changed})
	}
	return out
}

func writeProposedRoles(w io.Writer, proposed []proposedRole, now time.Time) {
	for _, p := range proposed {
		what := "not known here to be folded in yet"
		if p.Changed {
			what += "; what is staged has changed since"
		}
		fmt.Fprintf(w, "proposed: %s as %s (%s), %s\n", versionText(p.Role, p.Version), p.Tag, formatLeft(p.At.Time, now), what)
	}
}
