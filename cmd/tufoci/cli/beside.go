package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// besideFlags say next to which images copies of a bundle are kept.
type besideFlags struct {
	entries []string
	from    string
	flags   *pflag.FlagSet // which of them were given
}

func (b *besideFlags) add(cmd *cobra.Command) {
	b.flags = cmd.Flags()
	b.flags.StringSliceVar(&b.entries, "beside", nil, "the copy in the image repository `REPO` too, or those that match a pattern of repositories of signed images (several times)")
}

// addFrom is for commands that need no workspace.
func (b *besideFlags) addFrom(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.from, "beside-from", "", "the copies that this tufoci.yaml `FILE` names too")
}

// besidePlan is where copies of a home are kept.
type besidePlan struct {
	home    ociremote.Reference
	host    string // canonical one of images, "" if it is not known
	entries []string
	clients *clients
}

// plan checks what was asked for, on the command line, in a file and in the workspace,
// if there is one, before anything is done.
func (b *besideFlags) plan(home ociremote.Reference, workspace *metadata.Config, cl *clients) (*besidePlan, error) {
	if b.flags.Changed("beside") && len(b.entries) == 0 {
		// Of a variable that is not set: a monitor would watch nothing.
		return nil, usagef("--beside is empty: it names a repository, or a pattern of repositories of images")
	}
	p := &besidePlan{home: home, clients: cl, entries: slices.Clone(b.entries)}
	configs := []*metadata.Config{workspace}
	if b.from != "" {
		data, err := readFile(b.from)
		if err != nil {
			return nil, err
		}
		c, err := metadata.ParseConfig(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.from, err)
		}
		configs = append(configs, c)
	}
	for _, c := range configs {
		if c == nil {
			continue
		}
		p.entries = append(p.entries, c.Beside...)
		if c.Images == "" {
			continue
		}
		host, err := ociremote.ParseImageHost(c.Images)
		if err != nil {
			return nil, fmt.Errorf("tufoci.yaml: images: %w", err)
		}
		p.host = host
	}
	slices.Sort(p.entries)
	p.entries = slices.Compact(p.entries)
	for _, entry := range p.entries {
		if p.isHome(entry) {
			return nil, usagef("--beside %s: that is the trust repository itself", entry)
		}
	}
	_, _, err := publish.BesideNames(p.entries, p.host, nil)
	return p, err
}

func (p *besidePlan) isHome(name string) bool {
	return p.home.Kind == ociremote.KindRegistry && name == p.home.Host+"/"+p.home.Repository
}

// names are the repositories of copies. Home is not one of them, although images may
// lie in it.
func (p *besidePlan) names(a *app, repositories []string) ([]string, error) {
	names, unmatched, err := publish.BesideNames(p.entries, p.host, repositories)
	for _, entry := range unmatched {
		a.warn(fmt.Sprintf("no image is signed in a repository like %q: there is no copy for it", entry))
	}
	return slices.DeleteFunc(names, p.isHome), err
}

// copies opens the copies of what a view shows, to be read and written.
func (p *besidePlan) copies(ctx context.Context, a *app, view *trust.View) ([]publish.BesideCopy, error) {
	if len(p.entries) == 0 {
		return nil, nil
	}
	repositories, err := publish.ImageRepositories(ctx, view)
	if err != nil {
		return nil, err
	}
	names, err := p.names(a, repositories)
	if err != nil {
		return nil, err
	}
	copies := make([]publish.BesideCopy, len(names))
	for n, name := range names {
		ref, err := ociremote.ParseReference(name)
		if err != nil {
			return nil, err
		}
		client, err := p.clients.at(ref.Host)
		if err != nil {
			return nil, err
		}
		copies[n].Name = name
		if copies[n].Repository, err = openWritable(ctx, client, ref); err != nil {
			return nil, err
		}
		if ref.Host == p.home.Host {
			copies[n].MountFrom = p.home.Repository
		}
	}
	return copies, nil
}

// besideCopy is what became of one copy.
type besideCopy struct {
	Repository string       `json:"repository"`
	Tag        string       `json:"tag"`
	Digest     string       `json:"digest"`
	From       int64        `json:"from"`
	To         int64        `json:"to"`
	Unchanged  bool         `json:"unchanged"`
	Created    bool         `json:"created"`
	Error      *errorReport `json:"error"`
}

// keepBeside brings the copies up to date with a view, also when home had nothing to
// do: one may have failed the last time. After a failure there are results too.
func (a *app) keepBeside(ctx context.Context, view *trust.View, p *besidePlan, o publish.BesideOptions) ([]besideCopy, error) {
	copies, err := p.copies(ctx, a, view)
	if err != nil {
		return []besideCopy{}, err
	}
	o.Now, o.Warn = a.world.Now, a.warn
	results := publish.Beside(ctx, view, copies, o)
	if !o.DryRun {
		a.warnExposed(ctx, p, results)
	}
	late := &lateError{what: "copies", of: len(results), dryRun: o.DryRun}
	out := make([]besideCopy, len(results))
	for n, r := range results {
		out[n] = besideCopy{Repository: r.Name, Tag: r.Tag, Digest: r.Digest.String(), From: r.From, To: r.To, Unchanged: r.Unchanged, Created: r.Created}
		if r.Err != nil {
			out[n].Error = a.report(r.Err)
			late.add(fmt.Errorf("the copy beside %s: %w", r.Name, r.Err))
		}
	}
	return out, late.orNil()
}

// lateError is the failure of what comes after home, which is done all the same.
type lateError struct {
	what       string // "copies", "attachments"
	failed, of int
	err        error // the first one
	dryRun     bool  // nothing is done
}

func (e *lateError) Error() string {
	if e.dryRun {
		return fmt.Sprintf("%v (%d of %d %s would fail)", e.err, e.failed, e.of, e.what)
	}
	return fmt.Sprintf("%v (%d of %d %s failed; the others and home are done)", e.err, e.failed, e.of, e.what)
}

func (e *lateError) Unwrap() error { return e.err }

func (e *lateError) add(err error) {
	if e.failed++; e.err == nil {
		e.err = err
	}
}

func (e *lateError) orNil() error {
	if e.err == nil {
		return nil
	}
	return e
}

// warnExposed warns of new copies that anybody can read although home is closed: a
// bundle names every image of its repository.
func (a *app) warnExposed(ctx context.Context, p *besidePlan, results []publish.BesideResult) {
	created := slices.DeleteFunc(slices.Clone(results), func(r publish.BesideResult) bool { return !r.Created || r.Err != nil })
	if len(created) == 0 {
		return
	}
	stranger, err := p.clients.own.Anonymous()
	if err != nil || readable(ctx, stranger, p.home) {
		return
	}
	var mu sync.Mutex
	var open []string
	var group errgroup.Group
	group.SetLimit(maxConcurrent)
	for _, r := range created {
		group.Go(func() error {
			ref, err := ociremote.ParseReference(r.Name)
			if err != nil {
				return err
			}
			if ref.Tag = r.Tag; readable(ctx, stranger, ref) {
				mu.Lock()
				defer mu.Unlock()
				open = append(open, r.Name)
			}
			return nil
		})
	}
	if group.Wait() != nil || len(open) == 0 {
		return
	}
	slices.Sort(open)
	a.warn(fmt.Sprintf("anybody can read the copy in %s, and %s is closed: the bundle names every image that is signed", joinWords(open), p.home))
}

// readable reports whether a client is given what a reference names.
func readable(ctx context.Context, client *ociremote.Client, ref ociremote.Reference) bool {
	repo, err := client.Repository(ctx, ref, false)
	if err != nil {
		return false
	}
	_, err = repo.Resolve(ctx, ref.Name())
	return err == nil
}

func writeBesideCopies(w io.Writer, copies []besideCopy, dryRun bool) {
	for _, c := range copies {
		where := printable(c.Repository + ":" + c.Tag)
		switch {
		case c.Error != nil:
			fmt.Fprintf(w, "✗ beside %s: %s\n", where, printable(c.Error.What))
		case c.Unchanged:
			fmt.Fprintf(w, "✓ beside %s: timestamp %s, unchanged\n", where, formatVersion(c.To))
		case dryRun:
			fmt.Fprintf(w, "would write the copy beside %s: timestamp %s\n", where, roleChange{From: c.From, To: c.To}.versions())
		default:
			fmt.Fprintf(w, "✓ beside %s: timestamp %s\n", where, roleChange{From: c.From, To: c.To}.versions())
		}
	}
}
