package serve

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// unverified passes on what a source holds. Only the limits of its readers hold.
type unverified struct {
	o Options

	mu    sync.RWMutex
	views []*passedOn // newest first
}

// passedOn is one state of the source. Only replaced changes.
type passedOn struct {
	view     *fetcher.View
	replaced time.Time
}

func openUnverified(ctx context.Context, o Options) (contents, error) {
	u := &unverified{o: o}
	changed, err := u.open(ctx)
	if err != nil {
		return nil, err
	}
	o.OnRefresh(Refreshed{Changed: changed})
	return u, nil
}

// follow opens the source again and again: the tag of a bundle moves.
func (u *unverified) follow(ctx context.Context) {
	for {
		wait := u.o.Refresh + time.Duration(float64(u.o.Refresh)*jitter*(2*rand.Float64()-1))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if changed, err := u.open(ctx); ctx.Err() == nil {
			u.o.OnRefresh(Refreshed{Changed: changed, Err: err})
		}
	}
}

// open reads the state that the source has now, and reports whether it is another
// one.
func (u *unverified) open(ctx context.Context) (changed bool, err error) {
	o := fetcher.Options{Client: u.o.Trust.Client, TargetsURL: u.o.Trust.TargetsURL, Limits: u.o.Trust.Limits, Warn: u.o.Trust.Warn}
	if last := u.bundle(); last != nil {
		o.Known = ociremote.Known{Digest: last.Descriptor.Digest, ETag: last.ETag, Size: last.Descriptor.Size}
		o.KnownBundle = last.Manifest
	}
	view, err := fetcher.Open(ctx, u.o.Trust.Source, o)
	if err != nil {
		return false, err
	}
	if b := view.Bundle(); b != nil && b.Partial {
		return false, fmt.Errorf("%w: %s", ErrPartial, view.Source())
	}
	const timestamp = metadataFolder + "timestamp.json"
	if _, err := view.File(ctx, timestamp, u.most(timestamp)); err != nil {
		return false, err
	}
	view.Release(timestamp)
	return u.put(view), nil
}

func (u *unverified) bundle() *ociremote.Bundle {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if len(u.views) == 0 {
		return nil
	}
	return u.views[0].view.Bundle()
}

func (u *unverified) put(view *fetcher.View) (changed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.views) > 0 && (view.Bundle() == nil || view.Unchanged()) {
		return false // another view of the same
	}
	now := u.o.Trust.Now()
	kept := []*passedOn{{view: view}}
	for i, old := range u.views {
		if i == 0 {
			old.replaced = now
		}
		if len(kept) < keptStates && now.Sub(old.replaced) < keptTime {
			kept = append(kept, old)
		}
	}
	u.views = kept
	return true
}

// usable: without a pin nothing says when it ends. Clients see that for themselves.
func (u *unverified) usable() error { return nil }

// find looks in the newest state first. What has no list, as a web server, may have
// any file.
func (u *unverified) find(title string) *file {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for _, p := range u.views {
		b := p.view.Bundle()
		if b == nil || b.Legacy {
			return u.file(p.view, title)
		}
		if listed, ok := b.File(title); ok {
			f := u.file(p.view, title)
			if desc := listed.Descriptor; desc.Size <= f.size { // or else it is refused when it is read
				f.digest, f.size = desc.Digest.String(), desc.Size
			}
			return f
		}
	}
	return nil
}

func (u *unverified) file(view *fetcher.View, title string) *file {
	most := u.most(title)
	return &file{
		title: title, size: most, cache: cacheNot, unverified: true,
		read: func(ctx context.Context) ([]byte, error) {
			defer view.Release(title)
			return view.File(ctx, title, most)
		},
	}
}

// most is how long a file may be, in bytes.
func (u *unverified) most(title string) int64 {
	own, limits := u.o.Trust.Limits, fetcher.DefaultLimits()
	pick := func(own, otherwise int64) int64 {
		if own == 0 {
			own = otherwise
		}
		return min(own, u.o.Memory)
	}
	switch {
	case strings.HasPrefix(title, targetsFolder):
		return pick(own.TargetFile, limits.TargetFile)
	case strings.HasSuffix(title, ".root.json"):
		return pick(own.Root, limits.Root)
	case title == metadataFolder+"timestamp.json":
		return pick(own.Timestamp, limits.Timestamp)
	case strings.HasSuffix(title, "snapshot.json"):
		return pick(own.Snapshot, limits.Snapshot)
	default:
		return pick(own.Targets, limits.Targets)
	}
}
