package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

type logOptions struct {
	upkeepFlags
	number int
}

type logResult struct {
	document
	reading
	Repository   string          `json:"repository"`
	Tag          string          `json:"tag"`
	Digest       string          `json:"digest"`
	RootChecksum string          `json:"rootChecksum"`
	Bundles      []historyBundle `json:"bundles"`
	Truncated    bool            `json:"truncated"`
	Notes        []string        `json:"notes"`
}

// historyBundle is one bundle of the history.
type historyBundle struct {
	Tag        string          `json:"tag"`
	Digest     string          `json:"digest"`
	State      string          `json:"state"`
	Version    int64           `json:"version"`
	Verified   bool            `json:"verified"`
	Made       moment          `json:"made"`
	MadeSigned bool            `json:"madeSigned"`
	Expires    moment          `json:"expires"`
	Previous   string          `json:"previous"`
	Changes    []versionChange `json:"changes"`
	Lost       []string        `json:"lost"`
	Finishable bool            `json:"finishable"`
	Error      *errorReport    `json:"error"`

	known bool // what it changed
}

// versionChange is a role with its versions before and after, 0 for none.
type versionChange struct {
	Role string `json:"role"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
}

// maxLog is the most bundles that log reads.
const maxLog = 1000

func (a *app) newLog() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:   "log [TRUST|REPO]",
		Short: "Show what was published, and what was overwritten",
		Long: `List the bundles that the history tags name, newest first: what each changed,
when it was made, and what became of it. The head and its ancestors are what
consumers have seen. A claim is of a publisher at work, a dead one of one that
died; overtaken ones lost a race, and nothing is lost in them. A fork has changes
that are in no ancestor of the head. All is verified from the pin, as check does;
what the bundles say that they were built on is signed by nobody.`,
		Example: `  tufoci log
  tufoci log acme -n 10
  tufoci log registry.acme.io/trust/tuf --root 1.root.json --format json`,
		Args: cobra.MaximumNArgs(1),
	}
	o.addHome(cmd)
	cmd.Flags().IntVarP(&o.number, "number", "n", 30, "read the newest `N` bundles")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if o.number < 1 || o.number > maxLog {
			return usagef("--number is one from 1 to %d", maxLog)
		}
		return a.withKept(ctx, args, &o.upkeepFlags, func(k *kept) error {
			r, err := a.runLog(ctx, k, &o)
			if err != nil {
				return err
			}
			return a.print(r)
		})
	})
	return cmd
}

func (a *app) runLog(ctx context.Context, k *kept, o *logOptions) (*logResult, error) {
	repo, err := k.client.Repository(ctx, k.ref, false)
	if err != nil {
		return nil, err
	}
	seen, err := k.seen(ctx)
	if err != nil {
		return nil, err
	}
	t, err := publish.History(ctx, k.root, repo, publish.HistoryOptions{Channel: k.ref.Tag, Max: o.number, Seen: seen, Now: a.world.Now})
	if err != nil {
		return nil, err
	}
	r := &logResult{
		reading: newReading(t.View), Repository: k.repository(), Tag: k.ref.Tag, Digest: t.Head.String(),
		RootChecksum: "sha256:" + t.View.Status().RootSHA256, Bundles: a.historyBundles(t.Entries),
		Truncated: t.Truncated, Notes: append([]string{}, t.Notes...),
	}
	r.Source = k.source()
	if !t.View.Status().Timestamp.Expires.After(a.world.Now()) {
		r.Verified = false // what has expired is shown all the same
	}
	return r, nil
}

// source is the kind of the source in JSON.
func (k *kept) source() string {
	if k.ref.Kind == ociremote.KindRegistry {
		return "home"
	}
	return "layout"
}

func (a *app) historyBundles(entries []publish.HistoryEntry) []historyBundle {
	out := make([]historyBundle, 0, len(entries))
	for _, e := range entries {
		b := historyBundle{
			Tag: e.Tag, Digest: e.Digest.String(), State: string(e.State), Version: e.Versions.Timestamp, Verified: e.Verified,
			Made: moment{e.Made}, MadeSigned: e.MadeSigned, Expires: moment{e.Expires}, Previous: e.Previous.String(),
			Changes: make([]versionChange, 0, len(e.Changed)), Lost: append([]string{}, e.Lost...), Finishable: e.Finishable,
			known: e.Changed != nil,
		}
		for _, c := range e.Changed {
			b.Changes = append(b.Changes, versionChange{Role: c.Role, From: c.From, To: c.To})
		}
		if e.Err != nil {
			b.Error = a.report(e.Err)
		}
		out = append(out, b)
	}
	return out
}

func (r *logResult) text(w io.Writer, a *app) {
	fmt.Fprintf(w, "%s:%s %s\nverified from root %s\n", printable(r.Repository), r.Tag, r.Digest, r.RootChecksum)
	var rows [][]string
	for _, b := range r.Bundles {
		made := formatTime(b.Made.Time, a.world.Now())
		if !b.MadeSigned && !b.Made.IsZero() {
			made += " unsigned"
		}
		rows = append(rows, []string{first(b.Tag, "-"), formatVersion(b.Version), b.State, made, shorten(b.Digest, 19), b.what()})
	}
	table(w, []string{"TAG", "TIMESTAMP", "STATE", "MADE", "DIGEST", "CHANGED"}, rows)
	forks := false
	for _, b := range r.Bundles {
		if b.State == string(publish.StateFork) {
			forks = true
			fmt.Fprintf(w, "fork: %s (%s) is no ancestor of the head %s%s\n", first(b.Tag, "-"), b.Digest, r.Digest, printable(b.lost()))
		}
	}
	if forks {
		fmt.Fprintf(w, "Next:  %s\n", nextRebase)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", printable(note))
	}
	if r.Truncated {
		fmt.Fprintln(w, "there are older ones: -n shows more")
	}
}

// what says what a bundle changed, or why that is not known.
func (b historyBundle) what() string {
	var parts, online []string
	for _, c := range b.Changes {
		change := roleChange{Role: c.Role, From: c.From, To: c.To}
		switch text := c.Role + " " + change.versions(); {
		case c.To == 0:
			parts = append(parts, c.Role+" is gone")
		case c.Role == "snapshot" || c.Role == "timestamp":
			online = append(online, text)
		default:
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		parts = online
	}
	if more := len(parts) - maxChanges; more > 0 {
		parts = append(parts[:maxChanges], fmt.Sprintf("%d more", more))
	}
	switch what := strings.Join(parts, ", "); {
	case b.Error != nil && what != "":
		return what + "; " + b.Error.What
	case b.Error != nil:
		return b.Error.What
	case !b.known:
		return "? (what it was built on was not read)"
	default:
		return what + b.fate()
	}
}

// fate says what the next publisher does with a dead claim.
func (b historyBundle) fate() string {
	switch {
	case b.State != string(publish.StateDead):
		return ""
	case b.Finishable:
		return "; the next publish makes it the head"
	case b.Error != nil:
		return "; no publish makes it the head: " + b.Error.What
	default:
		return "; no publish makes it the head"
	}
}

// lost says which changes of a fork are in no ancestor.
func (b historyBundle) lost() string {
	if len(b.Lost) == 0 {
		return ", and nothing of it is lost"
	}
	return ", which lacks its " + strings.Join(b.Lost, ", ")
}
