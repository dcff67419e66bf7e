package serve

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/pause"
	"github.com/tufoci/tufoci/ociremote"
)

// unverified passes on what a source holds. Only the limits of its readers hold.
type unverified struct {
	o       Options
	history history[*fetcher.View]
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
		if pause.For(ctx, wait) != nil {
			return
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
	before := u.history.newest()
	if before != nil && before.Bundle() != nil {
		last := before.Bundle()
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
	if before != nil && (view.Bundle() == nil || view.Unchanged()) {
		return false, nil // another view of the same
	}
	u.history.put(view, u.o.Trust.Now())
	return true, nil
}

// usable: without a pin nothing says when it ends. Clients see that for themselves.
func (u *unverified) usable() error { return nil }

// find looks in the newest state first. What has no list, as a web server, may have
// any file.
func (u *unverified) find(title string) *file {
	for _, p := range u.history.all() {
		b := p.state.Bundle()
		if b == nil || b.Legacy {
			return u.file(p.state, title)
		}
		if listed, ok := b.File(title); ok {
			f := u.file(p.state, title)
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
