package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// DefaultKeep is how many history tags stay.
const DefaultKeep = 30

// PruneOptions steer [Prune]. The zero value works.
type PruneOptions struct {
	// Channel whose history is pruned; default [ociremote.DefaultChannel].
	Channel string
	// Keep is how many of the newest history tags stay; default [DefaultKeep].
	Keep int
	// Seen is what was seen before: the head may be older than none of it.
	Seen []trust.Seen
	// Base is what was published from a workspace last: the head must not be older.
	Base *metadata.Head
	// DryRun removes nothing.
	DryRun bool
	// Concurrency is how many bundles are read, and tags removed, at the same time;
	// default 5.
	Concurrency int
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// PrunedTag is a history tag that is to go, or would be but for Err.
type PrunedTag struct {
	Tag     string
	Digest  digest.Digest
	Version int64
	// Claim: it never was the head.
	Claim bool
	// Made is when it was made, see [HistoryEntry].
	Made time.Time
	// Err is why it stays.
	Err error
}

// Pruning is what a prune did, or with DryRun would do.
type Pruning struct {
	Head digest.Digest
	View *trust.View
	// Removed are the tags that are gone, oldest first.
	Removed []PrunedTag
	// Spared are tags that are old enough to go, and stay: not ours, or named
	// otherwise.
	Spared []PrunedTag
	// Kept is how many history tags there are now, but for the spared ones.
	Kept int
}

// Prune removes old history tags: all but the newest, and of those dead claims that
// were overtaken. What is younger than twice the life of the timestamp always stays, by
// what its signatures are over: consumers may still have it. So do the head and
// everything above it, and what pin does not vouch for: that is not ours to remove. It
// removes tags and not manifests, which the registry collects; where a registry removes
// manifests only, those that nothing else names.
//
// Killed on the way, it leaves fewer tags than before, and never less than it keeps.
//
// Errors: those of [Monitor]; [ErrNoDelete]; [ErrTooManyTags]; [ErrMoving] if the
// head moved meanwhile. The result says what was removed before.
func Prune(ctx context.Context, pin []byte, repo ociremote.WritableRepository, o PruneOptions) (*Pruning, error) {
	if o.Channel == "" {
		o.Channel = ociremote.DefaultChannel
	}
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h, err := monitoredHead(ctx, pin, repo, MonitorOptions{Channel: o.Channel, Seen: o.Seen, Base: o.Base, Now: o.Now})
	if err != nil {
		return nil, err
	}
	p, err := newPruner(ctx, pin, repo, h, o)
	if err != nil {
		return nil, err
	}
	tags, err := listHistory(ctx, repo, o.Channel)
	if err != nil {
		return nil, err
	}
	kept, old := p.split(tags)
	claims, err := p.deadClaims(ctx, kept)
	if err != nil {
		return nil, err
	}
	rest, err := p.superseded(ctx, old, len(old), false)
	if err != nil {
		return nil, err
	}
	err = p.remove(ctx, append(rest, claims...))
	p.result.Kept = len(tags) - len(p.result.Removed) - len(p.result.Spared)
	return p.result, err
}

// pruner removes history tags.
type pruner struct {
	repo   ociremote.WritableRepository
	h      *head
	o      PruneOptions
	reader *historian
	life   time.Duration // of the head's timestamp
	result *Pruning
}

func newPruner(ctx context.Context, pin []byte, repo ociremote.WritableRepository, h *head, o PruneOptions) (*pruner, error) {
	reader, err := newHistorian(ctx, pin, repo, h, HistoryOptions{Channel: o.Channel, Max: maxHistory, Concurrency: o.Concurrency, Now: o.Now})
	if err != nil {
		return nil, err
	}
	return &pruner{
		repo: repo, h: h, o: o, reader: reader, life: lifeOf(ctx, h.view, o.Now()),
		result: &Pruning{Head: h.digest(), View: h.view},
	}, nil
}

// split takes apart the tags that stay, newest first, and those that may go, oldest
// first. What is above the head does not count.
func (p *pruner) split(tags historyTags) (kept, old []int64) {
	at, _ := slices.BinarySearchFunc(tags, p.h.version(), func(v, head int64) int { return cmp.Compare(head, v) })
	n := min(len(tags), at+p.o.Keep)
	old = slices.Clone(tags[n:])
	slices.Reverse(old)
	return tags[:n], old
}

// protected reports whether consumers may still have what a bundle says: it was made
// within twice the life of the timestamp, of the head's or its own. All of that is
// signed.
func (p *pruner) protected(e *past) bool {
	life := p.life
	if e.MadeSigned {
		life = max(life, e.Expires.Sub(e.Made))
	}
	return p.o.Now().Before(e.Expires.Add(life))
}

// deadClaims finds among the tags that stay those that never were the head, and never
// will be: claims that were overtaken. Forks stay, as evidence.
func (p *pruner) deadClaims(ctx context.Context, kept []int64) ([]*past, error) {
	if err := p.reader.read(ctx, kept); err != nil {
		return nil, err
	}
	if err := p.reader.chain(ctx); err != nil {
		return nil, err
	}
	if err := p.reader.judge(ctx); err != nil {
		return nil, err
	}
	var dead []*past
	for _, e := range p.reader.entries {
		if e.State == StateOvertaken && e.version < p.h.version() && !p.protected(e) {
			dead = append(dead, e)
		}
	}
	return dead, nil
}

// superseded reads tags, at most so many and oldest first, and returns those that may
// go. With stop the first that is protected ends the search: those after it are newer.
func (p *pruner) superseded(ctx context.Context, old []int64, most int, stop bool) ([]*past, error) {
	var out []*past
	for batch := range slices.Chunk(old[:min(len(old), most)], p.reader.o.Concurrency) {
		found, err := p.reader.readTags(ctx, batch)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			switch {
			case e == nil: // gone meanwhile
			case !e.Verified:
				p.spare(e, e.Err)
			case p.protected(e):
				if stop {
					return out, nil
				}
			default:
				e.files, e.roles = nil, nil // there can be very many
				out = append(out, e)
			}
		}
	}
	return out, nil
}

func (p *pruner) spare(e *past, why error) {
	p.result.Spared = append(p.result.Spared, e.pruned(why))
}

func (e *past) pruned(why error) PrunedTag {
	return PrunedTag{Tag: e.Tag, Digest: e.Digest, Version: e.version, Claim: e.State == StateOvertaken, Made: e.Made, Err: why}
}

// remove removes the tags of bundles, unless another tag names them too.
func (p *pruner) remove(ctx context.Context, old []*past) error {
	if len(old) == 0 {
		return nil
	}
	others, err := p.othersNamed(ctx)
	if err != nil {
		return err
	}
	old = slices.DeleteFunc(old, func(e *past) bool {
		i := slices.IndexFunc(others[e.Digest], func(tag string) bool { return tag != e.Tag })
		if i >= 0 {
			p.spare(e, fmt.Errorf("tag %q names it too", others[e.Digest][i]))
		}
		return i >= 0
	})
	if p.o.DryRun {
		for _, e := range old {
			p.result.Removed = append(p.result.Removed, e.pruned(nil))
		}
		return nil
	}
	remover, err := newRemover(ctx, p.repo, p.o.Channel, p.h.digest())
	if err != nil {
		return err
	}
	// The first one tells whether the registry does such a thing at all.
	for i, size := 0, 1; i < len(old); i, size = i+size, p.reader.o.Concurrency {
		if err := p.removeBatch(ctx, remover, old[i:min(i+size, len(old))]); err != nil {
			return err
		}
	}
	return nil
}

func (p *pruner) removeBatch(ctx context.Context, r *remover, batch []*past) error {
	errs := make([]error, len(batch))
	var group errgroup.Group
	for i, e := range batch {
		group.Go(func() error {
			errs[i] = r.remove(ctx, e)
			return nil
		})
	}
	_ = group.Wait()
	var failed []error
	for i, e := range batch {
		if errs[i] != nil {
			failed = append(failed, fmt.Errorf("removing tag %q: %w", e.Tag, errs[i]))
			continue
		}
		p.result.Removed = append(p.result.Removed, e.pruned(nil))
	}
	if len(failed) > 0 {
		return failed[0]
	}
	return nil
}

// maxOtherTags are resolved to learn what else the tags of a repository name.
const maxOtherTags = 1000

// othersNamed are the tags of manifests that stay: those that are no history of this
// channel, as far as they are resolved, and those of its history that were read.
func (p *pruner) othersNamed(ctx context.Context) (map[digest.Digest][]string, error) {
	var others []string
	listed := 0
	err := p.repo.Tags(ctx, "", func(tags []string) error {
		if listed += len(tags); listed > maxListedTags {
			return fmt.Errorf("%w: more than %d", ErrTooManyTags, maxListedTags)
		}
		for _, tag := range tags {
			if _, ours := ociremote.ParseHistoryTag(p.o.Channel, tag); !ours && tag != p.o.Channel && len(others) < maxOtherTags {
				others = append(others, tag)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the tags: %w", err)
	}
	named, err := resolveTags(ctx, p.repo, others, p.reader.o.Concurrency)
	for _, e := range p.reader.entries {
		if e.Tag != "" {
			named[e.Digest] = append(named[e.Digest], e.Tag)
		}
	}
	return named, err
}

const (
	// pruneEvery is how many publishes there are to one that looks for old history:
	// that is a list of tags and, where there are more than are kept, a request for
	// the oldest.
	pruneEvery = 8
	// maxTrimmed is how many tags such a publish removes at the most.
	maxTrimmed = 4 * pruneEvery
)

// trim removes history that a publish has made old. Nothing is asked for where there can
// be none, and by most publishes: tags go a few at a time. It is never a reason to fail.
func (p *publication) trim(ctx context.Context, c candidate, view *trust.View) []string {
	if p.o.Keep <= 0 || c.version <= int64(p.o.Keep) || c.version%pruneEvery != 0 {
		return nil
	}
	h := &head{bundle: c.bundle, view: view, source: p.source()}
	removed, err := p.trimBelow(ctx, h)
	switch _, refused := errors.AsType[*ociremote.AuthError](err); {
	case err == nil:
	case refused, errors.Is(err, ErrNoDelete):
		p.dst.warn(fmt.Sprintf("the registry does not let go of old history: %v", err))
	default:
		p.dst.warn(fmt.Sprintf("old history was not removed: %v", err))
	}
	var tags []string
	for _, t := range removed {
		tags = append(tags, t.Tag)
	}
	return tags
}

func (p *publication) trimBelow(ctx context.Context, h *head) ([]PrunedTag, error) {
	r, err := newPruner(ctx, p.pin.root, p.dst.repo, h, PruneOptions{Channel: p.dst.channel, Keep: p.o.Keep, Concurrency: p.o.Concurrency, Now: p.o.Now})
	if err != nil {
		return nil, err
	}
	tags, err := listHistory(ctx, p.dst.repo, p.dst.channel)
	if err != nil {
		return nil, err
	}
	_, old := r.split(tags)
	superseded, err := r.superseded(ctx, old, maxTrimmed, true)
	if err != nil {
		return nil, err
	}
	err = r.remove(ctx, superseded)
	return r.result.Removed, err
}
