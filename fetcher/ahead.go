package fetcher

import (
	"context"
	"sync/atomic"

	"github.com/tufoci/tufoci/ociremote"
)

// readAhead starts to read what go-tuf will ask for after r, as far as that is
// certain enough: all later roots with a root, snapshot and targets with the
// timestamp if they are not in the local store. Without a local store it is not
// known what the caller has kept, so that only a new snapshot announces targets.
func (f *bundleFiles) readAhead(ctx context.Context, b *ociremote.Bundle, r request) {
	if _, ok := b.File(r.title); !ok {
		return // the refresh ends here, or the search for roots does
	}
	var wanted func(title string) bool
	switch {
	case r.class == classRoot:
		wanted = func(title string) bool {
			class, n := classify(title)
			return class == classRoot && n > r.root
		}
	case r.class == classTimestamp && f.env.have != nil:
		wanted = func(title string) bool {
			class, _ := classify(title)
			return class == classSnapshot || isTopLevelTargets(title)
		}
	case r.class == classSnapshot:
		wanted = isTopLevelTargets
	default:
		return
	}
	var titles []string
	for _, file := range b.Files {
		if wanted(file.Title) {
			titles = append(titles, file.Title)
		}
	}
	f.prefetch(ctx, titles)
}

// prefetch implements files.
func (f *bundleFiles) prefetch(ctx context.Context, titles []string) {
	b := f.current()
	var queue []ociremote.File
	for _, title := range titles {
		file, ok := b.File(title)
		if !ok {
			continue
		}
		if _, inline := b.Inline(title); inline {
			continue
		}
		if class, _ := classify(title); file.Descriptor.Size > f.env.limits.of(class) {
			continue
		}
		queue = append(queue, file)
	}
	var next atomic.Int64
	for range min(len(queue), int(f.env.limits.Concurrency)) {
		go func() {
			for i := next.Add(1) - 1; i < int64(len(queue)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				f.fetchAhead(ctx, queue[i])
			}
		}()
	}
}

// fetchAhead reads one blob before it is asked for. A slot is taken first: a
// blob that waits for one can still be read by whoever asks for it.
func (f *bundleFiles) fetchAhead(ctx context.Context, file ociremote.File) {
	select {
	case f.env.slots <- struct{}{}:
		defer func() { <-f.env.slots }()
	case <-ctx.Done():
		return
	}
	e, ok := f.memo.start(file.Descriptor.Digest.String())
	if !ok {
		return
	}
	class, root := classify(file.Title)
	r := request{title: file.Title, class: class, root: root, max: f.env.limits.of(class)}
	f.memo.fill(ctx, e, func() ([]byte, error) { return f.fetch(ctx, r, file.Descriptor) })
}
