package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// initFromOptions say of what a workspace is made, if not from nothing.
type initFromOptions struct {
	source   string
	flags    readFlags
	rootKeys []string // of Docker Content Trust
}

func (o *initFromOptions) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.source, "from", "", "make the workspace of the repository at `SOURCE`, verified; dct:PATH is Docker Content Trust")
	addRootKey(cmd, &o.rootKeys)
	o.flags.addCurrent(cmd, "")
	o.flags.addAllowExpired(cmd)
}

// check refuses flags that speak of a source that is not there.
func (o *initFromOptions) check(cmd *cobra.Command) error {
	_, isDCT := o.dct()
	for _, flag := range []string{"root", "targets-url", "allow-expired", "root-key"} {
		switch changed := cmd.Flags().Changed(flag); {
		case changed && o.source == "":
			return usagef("--%s goes with --from", flag)
		case changed && isDCT != (flag == "root-key") && flag != "root" && flag != "allow-expired":
			return usagef("--%s does not go with --from %s", flag, o.source)
		}
	}
	return nil
}

// dct is the path of the data of Docker Content Trust, if the source is that.
func (o *initFromOptions) dct() (path string, ok bool) { return strings.CutPrefix(o.source, dctPrefix) }

// adoptResult is a workspace that was made of a repository.
type adoptResult struct {
	document
	reading
	Workspace    string        `json:"workspace"`
	Repository   string        `json:"repository"`
	Channel      string        `json:"channel"`
	Profile      string        `json:"profile"`
	From         string        `json:"from"`
	Digest       string        `json:"digest"`
	RootVersion  int64         `json:"rootVersion"`
	RootChecksum string        `json:"rootChecksum"`
	Roles        []roleStatus  `json:"roles"`
	Keys         []keyInfo     `json:"keys"`
	Findings     []lintFinding `json:"findings"`
	Drift        []string      `json:"drift"`
}

// lintFinding is what lint says of a role.
type lintFinding struct {
	Warning bool   `json:"warning"`
	Rule    string `json:"rule"`
	Role    string `json:"role"`
	Message string `json:"message"`
}

// runInitFrom makes a workspace of a repository. Everything is read and verified
// before anything is written.
func (a *app) runInitFrom(ctx context.Context, args []string, o initOptions) (*adoptResult, error) {
	p, err := a.find(ctx, o.from.source, &o.from.flags)
	if err != nil {
		return nil, err
	}
	home, err := repositoryFor(args, p.source)
	if err != nil {
		return nil, err
	}
	opts, err := a.initLibraryOptions(ctx, home, o)
	if err != nil {
		return nil, err
	}
	view, err := a.refresh(ctx, p)
	if err != nil {
		return nil, err
	}
	channel := ""
	if isHome(p.source, home) {
		channel = home.Tag
	}
	origin, err := publish.ReadOrigin(ctx, view, channel, a.world.Now())
	if err != nil {
		return nil, err
	}
	w, found, err := metadata.Adopt(a.global.workspace, origin, opts)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return a.adopted(w, view, origin, found)
}

// repositoryFor is where the workspace publishes: what the command line says, else
// where the source is.
func repositoryFor(args []string, source trust.Source) (ociremote.Reference, error) {
	if len(args) > 0 {
		return homeReference(args[0])
	}
	if source.Kind != fetcher.KindRegistry {
		return ociremote.Reference{}, usagef("%s is not in a registry: name the REPO to which it is to be published", source)
	}
	return homeReference(source.String())
}

// isHome reports whether a source is the channel of a workspace itself.
func isHome(source trust.Source, home ociremote.Reference) bool {
	return source.Kind == fetcher.KindRegistry && source.Reference == home
}

// adopted reports what came of it, and warns of what the next versions have to change.
func (a *app) adopted(w *metadata.Workspace, view *trust.View, origin *metadata.Origin, found *metadata.Adoption) (*adoptResult, error) {
	st, err := w.Status()
	if err != nil {
		return nil, err
	}
	keys, err := w.Keys()
	if err != nil {
		return nil, err
	}
	read := view.Status()
	r := &adoptResult{
		reading: readingOf(read), Workspace: w.Dir(), Repository: st.Repository, Channel: w.Config().Channel, Profile: w.Config().Profile,
		From: read.SourceRef, Digest: origin.Digest, RootVersion: origin.Pin, RootChecksum: "sha256:" + read.RootSHA256,
		Roles: roleStatuses(st.Roles), Keys: make([]keyInfo, 0, len(keys)), Findings: []lintFinding{}, Drift: append([]string{}, st.Drift...),
	}
	for _, k := range keys {
		r.Keys = append(r.Keys, newKeyInfo(k))
	}
	for _, f := range found.Findings {
		r.Findings = append(r.Findings, lintFinding{f.Level == metadata.LevelWarning, f.Rule, f.Role, f.Message})
		if f.Level == metadata.LevelWarning {
			a.warn(f.String())
		} else {
			a.warn(fmt.Sprintf("%s; it is carried as it is, and the next version of %s has to change it", f, f.Role))
		}
	}
	for _, id := range found.Unusable {
		a.warn(fmt.Sprintf("key %s is not of a kind that tufoci uses: tufoci.yaml does not have it", id))
	}
	return r, nil
}

func (r *adoptResult) text(w io.Writer, a *app) {
	if r.Digest != "" {
		fmt.Fprintf(w, "✓ workspace for %s:%s, as it is published: %s\n", r.Repository, r.Channel, r.Digest)
	} else {
		fmt.Fprintf(w, "✓ workspace for %s:%s, with all of %s; `tufoci publish` sends it\n", r.Repository, r.Channel, printable(r.From))
	}
	if !r.Verified {
		fmt.Fprintln(w, "UNVERIFIED: some of it has expired, and nothing says that it is the newest")
	}
	writeRoleStatuses(w, r.Roles, a.world.Now())
	rows := make([][]string, 0, len(r.Keys))
	for _, k := range r.Keys {
		rows = append(rows, []string{k.Name, shorten(k.ID, 12), first(k.URI, "held elsewhere"), k.Owner})
	}
	table(w, []string{"KEY", "ID", "PRIVATE KEY", "OWNER"}, rows)
	for _, d := range r.Drift {
		fmt.Fprintf(w, "drift: %s\n", printable(d))
	}
}
