package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tufoci/tufoci/mirror"
	"github.com/tufoci/tufoci/verify"
)

type mirrorSyncResult struct {
	document
	Mirrors []mirrorSync `json:"mirrors"`
}

// mirrorSync is what became of one mirror, or what would.
type mirrorSync struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
	reading
	Unchanged bool          `json:"unchanged"`
	Before    int64         `json:"timestampBefore"`
	Roles     []roleVersion `json:"roles"`
	Images    []imageCopy   `json:"images"`
	Blobs     int           `json:"imageBlobs"`
	Bytes     int64         `json:"imageBytes"`
	Expires   moment        `json:"expires"`
	Behind    bool          `json:"behind"`
	Error     *errorReport  `json:"error"`
}

const syncText = `
A mirror.yaml has "version: 1" and a list "mirrors", each with name, from (a trust
or a SOURCE, then with root) and to, and where they are wanted images, imagesTo,
referrers, history, require and concurrency.`

func (a *app) newMirrorSync() *cobra.Command {
	return newGroup("sync", "Keep the mirrors of a mirror.yaml", a.newMirrorSyncOnce(), a.newMirrorSyncCheck())
}

func (a *app) newMirrorSyncOnce() *cobra.Command {
	var file string
	var flags registryFlags
	cmd := &cobra.Command{
		Use:   "once -c mirror.yaml",
		Short: "Bring every mirror up to date, for a schedule",
		Long: `Copy every mirror of a mirror.yaml, each verified before it is written. One that
fails keeps no other from being copied; the gravest failure is the exit code. A
second schedule on the same file finds it locked (exit 41).
` + syncText,
		Example: "  tufoci mirror sync once -c /etc/tufoci/mirror.yaml",
		Args:    cobra.NoArgs,
	}
	addSyncFlags(cmd, &file, &flags)
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		r, err := a.runMirrorSync(ctx, file, &flags, false)
		return printAlso(a, r, err)
	})
	return cmd
}

func (a *app) newMirrorSyncCheck() *cobra.Command {
	var file string
	var flags registryFlags
	cmd := &cobra.Command{
		Use:   "check -c mirror.yaml",
		Short: "Say which mirrors are behind or expired, and change nothing",
		Long: `Compare every mirror of a mirror.yaml with its source. Exit 20 if one is behind, or
if what it holds has expired.
` + syncText,
		Example: "  tufoci mirror sync check -c /etc/tufoci/mirror.yaml --format json",
		Args:    cobra.NoArgs,
	}
	addSyncFlags(cmd, &file, &flags)
	cmd.RunE = a.run(func(ctx context.Context, _ []string) error {
		r, err := a.runMirrorSync(ctx, file, &flags, true)
		return printAlso(a, r, err)
	})
	return cmd
}

// addSyncFlags are those of both: how to reach registries, without credentials, which
// those of docker's configuration are for, registry by registry.
func addSyncFlags(cmd *cobra.Command, file *string, flags *registryFlags) {
	f := cmd.Flags()
	f.StringVarP(file, "mirrors", "c", "", "`FILE` with the mirrors")
	f.StringVar(&flags.config, "registry-config", "", "credentials `FILE` (default: that of docker)")
	f.StringVar(&flags.caFile, "ca-file", "", "certificate authority `FILE` of the registries")
	f.BoolVar(&flags.plainHTTP, "plain-http", false, "reach all registries without TLS")
	flags.side = "from-" // credentials of the environment are not for several registries
}

// runMirrorSync goes through all mirrors. The gravest failure is the error.
func (a *app) runMirrorSync(ctx context.Context, file string, flags *registryFlags, check bool) (*mirrorSyncResult, error) {
	if file == "" {
		return nil, usagef("give the file with the mirrors: -c mirror.yaml")
	}
	cfg, err := mirror.ReadConfig(file)
	if err != nil {
		return nil, err
	}
	if !check {
		unlock, err := cfg.Lock(a.stateDir())
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	r := &mirrorSyncResult{Mirrors: []mirrorSync{}}
	errs := make([]error, len(cfg.Mirrors))
	subjects := make([]subject, len(cfg.Mirrors))
	for i := range cfg.Mirrors {
		a.subject.trust, a.subject.source = "", ""
		one := mirrorSync{
			Name: cfg.Mirrors[i].Name, From: cfg.Mirrors[i].From, To: cfg.Mirrors[i].To.String(),
			Roles: []roleVersion{}, Images: []imageCopy{},
		}
		err := a.syncMirror(ctx, &cfg.Mirrors[i], flags, check, &one)
		if err != nil {
			one.Error = a.report(err)
			errs[i] = fmt.Errorf("%s: %w", one.Name, err)
		}
		subjects[i] = a.subject
		r.Mirrors = append(r.Mirrors, one)
		if ctx.Err() != nil {
			return r, err
		}
	}
	worst := verify.Gravest(errs...)
	for i, err := range errs {
		if err != nil && err == worst {
			a.subject = subjects[i]
		}
	}
	return r, worst
}

// syncMirror copies one mirror, or plans to.
func (a *app) syncMirror(ctx context.Context, m *mirror.Scheduled, flags *registryFlags, check bool, one *mirrorSync) error {
	from := &readFlags{registry: *flags, root: m.Root}
	copying, err := a.imageSource(ctx, m.From, from, &selectFlags{
		acceptFlags: acceptFlags{require: m.Require}, patterns: m.Images, referrers: m.Referrers, history: m.History,
	})
	if err != nil {
		return err
	}
	client, err := a.client(ctx, flags)
	if err != nil {
		return err
	}
	if copying.Destination, err = imageDestination(ctx, client, m.To, m.ImagesTo); err != nil {
		return err
	}
	copying.Concurrency, copying.DryRun = m.Concurrency, check
	st := copying.Source.View.Status()
	one.reading, one.Roles = readingOf(st), roleVersions(st)
	state := mirror.Held{}
	if check {
		if state, err = mirror.Hold(ctx, copying.Source.View, copying.Destination, a.world.Now); err != nil {
			return err
		}
		one.Expires = moment{state.Expires}
	}
	copied, err := mirror.Copy(ctx, *copying)
	if copied != nil {
		one.take(copied)
	}
	if err != nil || !check {
		return err
	}
	return one.judge(a.world.Now(), state)
}

// take notes what was copied.
func (s *mirrorSync) take(copied *mirror.Result) {
	s.Images, s.Blobs, s.Bytes = imageCopies(copied.Images), copied.Blobs, copied.Bytes
	if copied.Metadata != nil {
		s.Before = copied.Metadata.Plan.HeadVersion
		s.Unchanged = copied.Metadata.Unchanged
		if s.Unchanged {
			s.Before = copied.Metadata.Versions.Timestamp
		}
	}
	for _, image := range copied.Images {
		s.Unchanged = s.Unchanged && image.Unchanged
	}
}

// behindError says that a mirror is not what it should be.
type behindError struct{ what string }

func (e *behindError) Error() string { return e.what }

// judge says whether a mirror is behind its source, or holds what has expired.
func (s *mirrorSync) judge(now time.Time, held mirror.Held) error {
	s.Behind = !s.Unchanged
	switch {
	case held.Timestamp == 0:
		return &behindError{"the mirror holds nothing yet"}
	case s.Before != s.Roles[1].Version: // higher before keys were replaced
		return &behindError{fmt.Sprintf("the mirror is behind: timestamp v%d, the source has v%d", s.Before, s.Roles[1].Version)}
	case s.Behind:
		return &behindError{"images are missing at the mirror, or have other tags"}
	case !held.Expires.After(now):
		return &behindError{"what the mirror holds has expired " + formatLeft(held.Expires, now)}
	}
	return nil
}

func (r *mirrorSyncResult) text(w io.Writer, a *app) {
	rows := make([][]string, len(r.Mirrors))
	for i, m := range r.Mirrors {
		changed := 0
		for _, image := range m.Images {
			if !image.Unchanged {
				changed++
			}
		}
		expires, detail := "-", ""
		if !m.Expires.IsZero() {
			expires = formatLeft(m.Expires.Time, a.world.Now())
		}
		if m.Error != nil {
			detail = m.Error.What
		}
		rows[i] = []string{m.Name, m.outcome(), m.versions(), expires, fmt.Sprintf("%d of %d", changed, len(m.Images)), megabytes(m.Bytes), detail}
	}
	table(w, []string{"MIRROR", "OUTCOME", "TIMESTAMP", "MIRROR EXPIRES", "IMAGES CHANGED", "SENT", ""}, rows)
}

func (s *mirrorSync) outcome() string {
	switch {
	case s.Behind:
		return "behind"
	case s.Error != nil:
		return "failed"
	case s.Unchanged:
		return "unchanged"
	}
	return "copied"
}

func (s *mirrorSync) versions() string {
	switch {
	case len(s.Roles) == 0:
		return "-"
	case s.Before == s.Roles[1].Version:
		return fmt.Sprintf("v%d", s.Before)
	case s.Before == 0:
		return fmt.Sprintf("- -> v%d", s.Roles[1].Version)
	}
	return fmt.Sprintf("v%d -> v%d", s.Before, s.Roles[1].Version)
}
