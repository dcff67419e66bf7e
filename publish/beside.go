package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// BesideCopy is the repository of images in which a copy of the bundle is kept.
type BesideCopy struct {
	// Name is HOST/REPOSITORY, for messages.
	Name       string
	Repository ociremote.WritableRepository
	// MountFrom is the repository of the trust repository on the same registry, from
	// which blobs are mounted; "" if it is on another one.
	MountFrom string
}

// BesideOptions steer Beside and CheckBeside. The zero value works.
type BesideOptions struct {
	// Concurrency is how many copies are written at the same time; default 5.
	Concurrency int
	// DryRun says what would be done and writes nothing.
	DryRun bool
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what does not stop it but should be read, from several goroutines;
	// nil: nobody is.
	Warn func(string)
}

// BesideResult is what became of one copy.
type BesideResult struct {
	Name string
	// Tag is "tuf", or the lineage's own tag where that holds another.
	Tag    string
	Digest digest.Digest
	// From is the timestamp version that was there, 0 for none; To the one that is
	// there now.
	From, To int64
	// Unchanged: it was there already. Created: nothing of this lineage was there.
	Unchanged, Created bool
	// Err is why this copy was not written; the others are.
	Err error
}

// Beside keeps copies of the bundle of a view in the repositories of images, under
// [ociremote.DefaultChannel], whatever the channel of home: readers know no other.
// Where that holds another root lineage, it is [ociremote.LineageTag]. It is called
// once home has moved. Copies are written at the same time, their blobs mounted where
// possible; one that fails has an Err and keeps no other from being written. A copy
// never goes backwards, and nothing that is not ours is touched. The results are in
// the order of the copies.
//
// A copy that is the bundle of the view costs one request. Of one that is not, what
// it holds is verified first, as [Mirror] does it, whose errors these are.
func Beside(ctx context.Context, view *trust.View, copies []BesideCopy, o BesideOptions) []BesideResult {
	k := newKeeper(ctx, view, o)
	results := make([]BesideResult, len(copies))
	k.each(copies, func(n int, c BesideCopy) { results[n] = k.keep(ctx, c) })
	return results
}

// keeper keeps copies of one original.
type keeper struct {
	o BesideOptions
	// current is the bundle of the view. A copy with its digest needs no look at the
	// original.
	current ociremote.Known
	status  trust.Status
	// cargo is what is copied, read when the first copy needs it.
	cargo func() (*cargo, error)
}

// cargo is what goes to every copy alike.
type cargo struct {
	*original
	candidate candidate
	verbatim  bool
	firstRoot digest.Digest
}

func newKeeper(ctx context.Context, view *trust.View, o BesideOptions) *keeper {
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	k := &keeper{o: o, status: view.Status()}
	if b := view.Bundle(); b != nil && !b.Partial {
		k.current = ociremote.Known{Digest: b.Descriptor.Digest, Size: b.Descriptor.Size}
	}
	k.cargo = sync.OnceValues(func() (*cargo, error) { return k.load(ctx, view) })
	return k
}

// load reads the original and makes the bundle that all copies get. It names no
// previous one, so that the copies have one digest.
func (k *keeper) load(ctx context.Context, view *trust.View) (*cargo, error) {
	from, err := newOriginal(ctx, view)
	if err != nil {
		return nil, err
	}
	first, ok := from.firstRoot()
	if !ok {
		return nil, errors.New("the source does not hold root v1, which tells its copies from those of others")
	}
	c, verbatim, err := from.candidate("", "", k.o.Now(), k.o.Warn)
	if err != nil {
		return nil, err
	}
	return &cargo{from, c, verbatim, first}, nil
}

// each goes through copies, several at a time.
func (k *keeper) each(copies []BesideCopy, do func(n int, c BesideCopy)) {
	var group errgroup.Group
	group.SetLimit(k.o.Concurrency)
	for n, c := range copies {
		group.Go(func() error { do(n, c); return nil })
	}
	_ = group.Wait()
}

// destination is the channel of a copy.
func (k *keeper) destination(c BesideCopy) *destination {
	dst := newDestination(c.Repository, ociremote.DefaultChannel, 0, nil, func(s string) { k.o.Warn(c.Name + ": " + s) })
	dst.push.mountFrom = c.MountFrom
	return dst
}

// keep brings one copy up to date. Like [Mirror] it plans anew when the tag moves.
func (k *keeper) keep(ctx context.Context, c BesideCopy) BesideResult {
	dst := k.destination(c)
	for range maxReplans + 1 {
		result, err := k.once(ctx, dst)
		result.Name, result.Err = c.Name, err
		if !errors.Is(err, errMoved) {
			return result
		}
	}
	return BesideResult{Name: c.Name, Tag: ociremote.DefaultChannel, Err: fmt.Errorf("%w: %d plans were overtaken", ErrMoving, maxReplans+1)}
}

func (k *keeper) once(ctx context.Context, dst *destination) (BesideResult, error) {
	place, old, err := k.find(ctx, dst)
	result := BesideResult{Tag: place.channel}
	version := k.status.Timestamp.Version
	if errors.Is(err, ociremote.ErrNotModified) {
		result.Unchanged, result.Digest, result.From, result.To = true, k.current.Digest, version, version
		return result, nil
	}
	if err != nil {
		return result, err
	}
	c, err := k.cargo()
	if err != nil {
		return result, err
	}
	m := &mirroring{c.original, MirrorOptions{NoHistory: true, DryRun: k.o.DryRun, Now: k.o.Now}, place}
	done, err := m.over(ctx, old, c.candidate, c.verbatim)
	if err != nil {
		return result, err
	}
	result.Digest, result.From, result.To = done.Digest, done.Plan.HeadVersion, version
	if result.Unchanged, result.Created = done.Unchanged, old == nil; result.Unchanged {
		result.From = version
	}
	return result, nil
}

// find says under which tag the copy belongs, and what is there: nil for nothing,
// [ociremote.ErrNotModified] for the bundle of the view itself. Where another
// lineage, or something that is no whole bundle, has the channel tag, it is the tag
// of the lineage; what stands there has to be ours, as is seen when it is verified.
func (k *keeper) find(ctx context.Context, dst *destination) (*destination, *ociremote.Bundle, error) {
	old, err := k.look(ctx, dst)
	if old == nil && err == nil {
		return dst, nil, nil
	}
	if err != nil && !errors.Is(err, ErrForeignTag) {
		return dst, nil, err
	}
	c, cargoErr := k.cargo()
	if cargoErr != nil {
		return dst, nil, cargoErr
	}
	if err == nil && c.isOurs(old) {
		return dst, old, nil
	}
	own := *dst
	own.channel = ociremote.LineageTag(dst.channel, c.firstRoot)
	old, err = k.look(ctx, &own)
	return &own, old, err
}

// look reads a tag, as [destination.headBut] does. A bundle that breaks the rules is
// not ours.
func (k *keeper) look(ctx context.Context, dst *destination) (*ociremote.Bundle, error) {
	b, err := dst.headBut(ctx, k.current)
	if errors.Is(err, ociremote.ErrMalformed) {
		return nil, &ForeignTagError{Tag: dst.channel, Err: err}
	}
	return b, err
}

// isOurs reports whether a bundle says that it is of the same lineage. Whether it is
// is seen when it is verified.
func (c *cargo) isOurs(b *ociremote.Bundle) bool {
	f, ok := b.File(metadata.Title("root", 1))
	return ok && f.Descriptor.Digest == c.firstRoot
}
