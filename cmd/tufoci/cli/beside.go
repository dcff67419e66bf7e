package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// besideCopy is one copy next to images.
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

// lateError is the failure of what comes after home: that is published all the same.
type lateError struct {
	what   string // "copies beside images", "attachments"
	failed int
	of     int
	err    error // the first one
}

func (e *lateError) Error() string {
	return fmt.Sprintf("%d of %d %s failed, home is as it should be: %v", e.failed, e.of, e.what, e.err)
}
func (e *lateError) Unwrap() error { return e.err }

// besidePlan is where copies are kept: a home, and what was asked for.
type besidePlan struct {
	home    ociremote.Reference
	host    string // canonical one of images, "" if it is not known
	entries []string
	clients *clients
}

// newBesidePlan checks what was asked for, on the command line and in tufoci.yaml,
// before anything is done.
func newBesidePlan(home ociremote.Reference, c *metadata.Config, asked []string, cl *clients) (*besidePlan, error) {
	p := &besidePlan{home: home, clients: cl}
	for _, entry := range slices.Concat(asked, c.Beside) {
		if !slices.Contains(p.entries, entry) {
			p.entries = append(p.entries, entry)
		}
	}
	if c.Images != "" {
		host, err := ociremote.ParseImageHost(c.Images)
		if err != nil {
			return nil, fmt.Errorf("tufoci.yaml: images: %w", err)
		}
		p.host = host
	}
	_, _, err := publish.BesideNames(p.entries, p.host, nil)
	return p, err
}

// names are the repositories of copies, home left out.
func (p *besidePlan) names(a *app, repositories []string) ([]string, error) {
	names, unmatched, err := publish.BesideNames(p.entries, p.host, repositories)
	for _, entry := range unmatched {
		a.warn(fmt.Sprintf("no image is signed in a repository like %q: there is no copy for it", entry))
	}
	home := p.home.Host + "/" + p.home.Repository
	return slices.DeleteFunc(names, func(name string) bool { return name == home }), err
}

// open opens the copies to be written.
func (p *besidePlan) open(ctx context.Context, names []string) ([]publish.BesideCopy, error) {
	copies := make([]publish.BesideCopy, len(names))
	for n, name := range names {
		ref, err := ociremote.ParseReference(name)
		if err != nil {
			return nil, err
		}
		repo, err := openWritable(ctx, p.clients.at(ref.Host), ref)
		if err != nil {
			return nil, err
		}
		copies[n] = publish.BesideCopy{Name: name, Repository: repo}
		if ref.Host == p.home.Host {
			copies[n].MountFrom = p.home.Repository
		}
	}
	return copies, nil
}

// keepBeside brings the copies up to date with a view. After a failure there are
// results too.
func (a *app) keepBeside(ctx context.Context, view *trust.View, p *besidePlan, concurrency int) ([]besideCopy, error) {
	if len(p.entries) == 0 {
		return []besideCopy{}, nil
	}
	repositories, err := publish.ImageRepositories(ctx, view)
	if err != nil {
		return []besideCopy{}, err
	}
	names, err := p.names(a, repositories)
	if err != nil {
		return []besideCopy{}, err
	}
	copies, err := p.open(ctx, names)
	if err != nil {
		return []besideCopy{}, err
	}
	results := publish.Beside(ctx, view, copies, publish.BesideOptions{
		Channel: p.home.Tag, Concurrency: concurrency, Now: a.world.Now, Warn: a.warn,
	})
	a.warnExposed(ctx, p, results)
	late := &lateError{what: "copies beside images", of: len(results)}
	out := make([]besideCopy, len(results))
	for n, r := range results {
		out[n] = besideCopy{Repository: r.Name, Tag: r.Tag, Digest: r.Digest.String(), From: r.From, To: r.To, Unchanged: r.Unchanged, Created: r.Created}
		if r.Err != nil {
			out[n].Error = a.report(r.Err)
			late.add(fmt.Errorf("%s: %w", r.Name, r.Err))
		}
	}
	return out, late.orNil()
}

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
	stranger, err := p.clients.anonymous()
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
	a.warn(fmt.Sprintf("anybody can read the copy in %s, and %s/%s is closed: the bundle names every image that is signed", joinWords(open), p.home.Host, p.home.Repository))
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

func writeBeside(w io.Writer, copies []besideCopy) {
	current := 0
	for _, c := range copies {
		switch {
		case c.Error != nil:
			fmt.Fprintf(w, "✗ beside %s: %s\n", printable(c.Repository), printable(c.Error.What))
		case c.Unchanged:
			current++
		case c.Created:
			fmt.Fprintf(w, "✓ beside %s:%s -> timestamp %s, new\n", c.Repository, c.Tag, formatVersion(c.To))
		default:
			fmt.Fprintf(w, "✓ beside %s:%s -> timestamp %s -> %s\n", c.Repository, c.Tag, formatVersion(c.From), formatVersion(c.To))
		}
	}
	if current > 0 {
		fmt.Fprintf(w, "✓ beside images: %d already current\n", current)
	}
}
