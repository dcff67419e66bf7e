package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
)

type publishOptions struct {
	registry    registryFlags
	dryRun      bool
	exitCode    bool
	rebase      bool
	wait        span
	concurrency int
	maxFiles    int
	keep        int
	beside      besideFlags
	attach      bool
	propose     proposeFlags
}

type publishResult struct {
	document
	published
	Rebased  []rebasedRole `json:"rebased"`
	Beside   []besideCopy  `json:"beside"`
	Attached []attachment  `json:"attached"`
	rootFile string
	// unpublished: changes were made again, and an error has the rest.
	unpublished bool
}

// published is what was sent, or with --dry-run would be.
type published struct {
	Repository   string       `json:"repository"`
	Tag          string       `json:"tag"`
	HistoryTag   string       `json:"historyTag"`
	Digest       string       `json:"digest"`
	DryRun       bool         `json:"dryRun"`
	Unchanged    bool         `json:"unchanged"`
	RootChecksum string       `json:"rootChecksum"`
	Roles        []roleChange `json:"roles"`
	Blobs        []sentBlob   `json:"blobs"`
	Bytes        int64        `json:"bytes"`
	ManifestSize int64        `json:"manifestSize"`
	Pruned       []string     `json:"pruned"`
}

// roleChange is one role that a publish or a copy moves.
type roleChange struct {
	Role    string `json:"role"`
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	Expires moment `json:"expires"`
	Why     string `json:"why"`
}

// sentBlob is one blob that the registry did not have.
type sentBlob struct {
	Title  string `json:"title"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

func (a *app) newPublish() *cobra.Command {
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Verify what is staged as a client would, and push it",
		Long: `Take over what others have published, sign the roles whose keys are at hand,
verify the result in memory with the code of a client, push what the registry
does not have and move the tag last. With nothing staged and nothing due,
nothing is sent.

Where others have published a role that is staged here (exit 40), --rebase makes the
changes again on theirs, entry by entry, also those that were published from here
and then overwritten (a fork). What contradicts what they did is listed, and nothing
changes. Roles that come out changed are to be signed again: publish goes on if it
can sign them, else exit 31 says who must.

--beside, and beside: in tufoci.yaml, keep copies in repositories of images,
under the same tag: HOST/REPOSITORY, or a pattern such as 'shop/*' over those in
which images are signed. --attach renews what is attached to images if more than
snapshot and timestamp has changed for them, and attaches to those that are newly
signed here. Both are done once home has moved, and brought up to date also when
there is nothing to publish. One that fails keeps no other from being done.

--role ROLE --propose needs no key but that of the role, and moves no tag that
clients read: it pushes the signed file of the role, with the target files that
are new with it, for the next refresh to verify and fold in.`,
		Example: `  tufoci publish --dry-run
  tufoci publish -y
  tufoci publish --rebase --wait 10m
  tufoci publish --beside 'shop/*' --attach
  tufoci publish --role apps-shop --propose`,
		Args: cobra.NoArgs,
	}
	o.registry.add(cmd, "")
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
	f.BoolVar(&o.rebase, "rebase", false, "make changes again on what others have published, where that is needed")
	f.Var(&o.wait, "wait", "wait up to `DURATION`, within --timeout, for another publisher, or another tufoci in this workspace")
	f.IntVar(&o.concurrency, "concurrency", 5, "send `N` blobs at the same time")
	f.IntVar(&o.maxFiles, "max-files", 512, "refuse more than `N` target files")
	addKeepFlag(cmd, &o.keep)
	o.beside.add(cmd)
	f.BoolVar(&o.attach, "attach", false, "renew what is attached to images, and attach to those that are newly signed")
	addExitCodeFlag(cmd, &o.exitCode)
	o.propose.add(cmd)
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		if o.concurrency < 1 || o.maxFiles < 1 || o.keep < 0 {
			return usagef("--concurrency and --max-files are numbers above 0, and --keep is none below")
		}
		return a.withWorkspaceWithin(ctx, time.Duration(o.wait), func(w *metadata.Workspace, left time.Duration) error {
			o.wait = span(left)
			if o.propose.propose {
				r, err := a.runPropose(ctx, w, &o)
				if err != nil {
					return err
				}
				return a.printChange(r, o.exitCode && r.nothing())
			}
			r, err := a.runPublish(ctx, w, &o)
			if err != nil {
				return printAlso(a, r, err)
			}
			return a.printChange(r, o.exitCode && r.nothing())
		})
	})
	return cmd
}

func (a *app) runPublish(ctx context.Context, w *metadata.Workspace, o *publishOptions) (*publishResult, error) {
	home, err := homeOf(w)
	if err != nil {
		return nil, err
	}
	clients, err := a.clientsFor(ctx, &o.registry, home.Host)
	if err != nil {
		return nil, err
	}
	next, err := a.planNext(w, home, clients, o)
	if err != nil {
		return nil, err
	}
	if err := a.confirmSigning(ctx, w, o); err != nil {
		return nil, err
	}
	repo, err := openWritable(ctx, clients.own, home)
	if err != nil {
		return nil, err
	}
	r := &publishResult{
		published: published{Repository: w.Config().Repository, Tag: home.Tag, DryRun: o.dryRun, Roles: []roleChange{}, Blobs: []sentBlob{}},
		Rebased:   []rebasedRole{}, Beside: []besideCopy{}, Attached: []attachment{},
	}
	bars := a.newBars()
	defer bars.close()
	res, err := publish.Publish(ctx, w, repo, publish.Options{
		DryRun:      o.dryRun,
		Rebase:      o.rebase,
		Rebased:     func(rebased *metadata.Rebased) { r.rebase(w, rebased) },
		Wait:        time.Duration(o.wait),
		Sleep:       a.world.Sleep,
		Concurrency: o.concurrency,
		MaxFiles:    o.maxFiles,
		Keep:        o.keep,
		Now:         a.world.Now,
		Progress:    bars.progress(),
		Warn:        a.warn,
	})
	bars.close()
	switch {
	case err != nil && len(r.Rebased) == 0:
		return nil, err
	case err != nil:
		r.unpublished = true
		return r, err
	}
	r.published = newPublished(res, w.Config().Repository, o.dryRun)
	r.rootFile = w.Root1File()
	return r, next.carryOut(ctx, a, w, res, r)
}

// repositoryClient reads the name of a registry repository, and makes the client
// that the flags describe.
func (a *app) repositoryClient(ctx context.Context, repository string, flags *registryFlags) (ociremote.Reference, *ociremote.Client, error) {
	ref, err := ociremote.ParseReference(repository)
	if err != nil {
		return ref, nil, err
	}
	client, err := a.client(ctx, flags)
	return ref, client, err
}

func openWritable(ctx context.Context, client *ociremote.Client, ref ociremote.Reference) (ociremote.WritableRepository, error) {
	repo, err := client.Repository(ctx, ref, true)
	if err != nil {
		return nil, err
	}
	writable, ok := repo.(ociremote.WritableRepository)
	if !ok {
		return nil, usagef("%s cannot be written to", ref)
	}
	return writable, nil
}

// confirmSigning asks before a publish signs roles that carry decisions and
// that nobody has signed: as with the profile dev, where every key is at hand.
// With --rebase more can come out staged than is now.
func (a *app) confirmSigning(ctx context.Context, w *metadata.Workspace, o *publishOptions) error {
	if o.dryRun {
		return nil
	}
	st, err := w.Status()
	if err != nil {
		return err
	}
	var roles []string
	for _, r := range st.Roles {
		isDecision := r.Role != "snapshot" && r.Role != "timestamp" && r.Bins == 0
		if isDecision && r.Online && (o.rebase || r.StagedVersion > 0 && r.Signed < r.Need) {
			roles = append(roles, r.Role)
		}
	}
	if len(roles) == 0 {
		return nil
	}
	question := "sign %s with the keys at hand and publish?"
	if o.rebase {
		question = "make changes of %s again on what others published, sign with the keys at hand and publish?"
	}
	return a.confirm(ctx, fmt.Sprintf(question, joinWords(roles)))
}

func newPublished(res *publish.Result, repository string, dryRun bool) published {
	return published{
		Repository: repository, Tag: res.Tag, HistoryTag: res.HistoryTag, Digest: res.Digest.String(),
		DryRun: dryRun, Unchanged: res.Unchanged, RootChecksum: "sha256:" + res.RootSHA256,
		Roles: roleChanges(res.Plan.Roles), Blobs: sentBlobs(res.Plan.Blobs),
		Bytes: res.Plan.Bytes, ManifestSize: res.Plan.Size,
		Pruned: append([]string{}, res.Pruned...),
	}
}

// nothing reports that nothing was sent anywhere.
func (r *publishResult) nothing() bool {
	return r.Unchanged && !slices.ContainsFunc(r.Beside, func(c besideCopy) bool { return !c.Unchanged }) &&
		!slices.ContainsFunc(r.Attached, func(i attachment) bool { return !i.Unchanged })
}

func roleChanges(in []publish.RoleChange) []roleChange {
	out := make([]roleChange, 0, len(in))
	for _, c := range in {
		out = append(out, roleChange{Role: c.Role, From: c.From, To: c.To, Expires: moment{c.Expires}, Why: c.Why})
	}
	return out
}

func sentBlobs(in []publish.BlobPlan) []sentBlob {
	out := make([]sentBlob, 0, len(in))
	for _, b := range in {
		out = append(out, sentBlob{Title: b.Title, Digest: b.Digest.String(), Size: b.Size})
	}
	return out
}

func (r *publishResult) text(w io.Writer, a *app) {
	writeRebased(w, r.Rebased, r.DryRun)
	if r.unpublished {
		return
	}
	if r.Unchanged {
		fmt.Fprintf(w, "✓ nothing to publish: tag %s -> %s is current\n", r.Tag, r.Digest)
	} else {
		r.changes(w, a)
	}
	writeBesideCopies(w, r.Beside, r.DryRun)
	if r.DryRun {
		writePlannedAttachments(w, r.Attached)
	} else {
		writeAttachments(w, r.Attached, a.world.Now())
		fmt.Fprintf(w, "Root checksum (hand this to clients, out of band): %s   (%s)\n", r.RootChecksum, r.rootFile)
	}
}

// changes says what was sent, or would be.
func (r *published) changes(w io.Writer, a *app) {
	if r.DryRun {
		fmt.Fprintln(w, "✓ lint   ✓ verified in memory as a client, from nothing")
		writePlan(w, r.Roles, r.Blobs, r.Bytes, a.world.Now())
		fmt.Fprintf(w, "would claim %s and move tag %s of %s; nothing was sent\n", r.HistoryTag, r.Tag, r.Repository)
		return
	}
	fmt.Fprintf(w, "✓ %s\n", changeLine(r.Roles))
	fmt.Fprintf(w, "✓ lint   ✓ verified in memory as a client, from nothing   ✓ %s   ✓ claim %s   ✓ head unchanged\n",
		count(len(r.Blobs), "blob"), r.HistoryTag)
	fmt.Fprintf(w, "✓ tag %s -> %s   ✓ read back: equal\n", r.Tag, r.Digest)
	writePruned(w, r.Pruned)
}

// maxChanges is how many roles changeLine names: there can be 256 hash bins.
const maxChanges = 12

// changeLine lists role changes as in "targets v2 -> v3, timestamp v4 -> v5".
func changeLine(roles []roleChange) string {
	parts := make([]string, len(roles))
	for i, c := range roles {
		parts[i] = printable(c.Role) + " " + c.versions()
	}
	if more := len(parts) - maxChanges; more > 1 { // the last two are snapshot and timestamp
		parts = slices.Replace(parts, maxChanges-2, len(parts)-2, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

func (c roleChange) versions() string {
	if c.From == 0 {
		return formatVersion(c.To)
	}
	return formatVersion(c.From) + " -> " + formatVersion(c.To)
}

func writePlan(w io.Writer, roles []roleChange, blobs []sentBlob, bytes int64, now time.Time) {
	rows := make([][]string, 0, len(roles))
	for _, c := range roles {
		rows = append(rows, []string{c.Role, c.versions(), c.Why, formatTime(c.Expires.Time, now)})
	}
	table(w, []string{"ROLE", "VERSION", "WHY", "EXPIRES"}, rows)
	for _, b := range blobs {
		fmt.Fprintf(w, "send %s %s (%d bytes)\n", first(printable(b.Title), "-"), b.Digest, b.Size)
	}
	fmt.Fprintf(w, "%s, %d bytes\n", count(len(blobs), "blob"), bytes)
}
