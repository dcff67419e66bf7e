package fetcher

import (
	"cmp"
	"context"
	"slices"
	"sync"

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
	slices.SortStableFunc(titles, inOrderOfUse)
	f.prefetch(ctx, titles)
}

// inOrderOfUse compares titles, which are in alphabetical order: root 2 is asked for
// before root 10.
func inOrderOfUse(a, b string) int {
	_, m := classify(a)
	_, n := classify(b)
	return cmp.Compare(m, n)
}

// prefetch implements files.
func (f *bundleFiles) prefetch(ctx context.Context, titles []string) {
	b := f.current()
	var queue []aheadFile
	for _, title := range titles {
		file, ok := b.File(title)
		if !ok {
			continue
		}
		if _, inline := b.Inline(title); inline {
			continue
		}
		if class, _ := classify(title); file.Descriptor.Size > min(f.env.limits.of(class), maxAhead) {
			continue
		}
		queue = append(queue, aheadFile{ctx, f, file})
	}
	f.env.ahead.add(queue)
}

// maxAhead bounds what was read ahead and nobody has asked for yet, in bytes, and what
// is being read so. The list of files, and their sizes, come from whoever can write to
// the source: with one file that comes slowly it could make a client hold all others.
const maxAhead = 4 << 20

// aheadFile is a file to read before it is asked for.
type aheadFile struct {
	ctx   context.Context // of whoever will ask
	files *bundleFiles
	file  ociremote.File
}

// key is what a memo calls the file.
func (f aheadFile) key() string { return f.file.Descriptor.Digest.String() }

// ahead is what one view is still to read ahead, in order.
type ahead struct {
	mu      sync.Mutex
	queue   []aheadFile
	queued  map[string]bool // by digest
	running int
	most    int // files at the same time
}

// add queues what is not queued: each root announces all those after it.
func (a *ahead) add(files []aheadFile) {
	a.mu.Lock()
	for _, next := range files {
		if key := next.key(); !a.queued[key] {
			a.queued[key] = true
			a.queue = append(a.queue, next)
		}
	}
	a.mu.Unlock()
	a.pump()
}

// pump starts to read as much of the queue as there is room for. It is called when
// something was added, or taken, or has been read, so that nothing waits for room:
// what nobody takes any more keeps no goroutine.
func (a *ahead) pump() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) > 0 && a.running < a.most {
		next := a.queue[0]
		if next.ctx.Err() == nil {
			e, room := next.files.memo.start(next.key(), next.file.Descriptor.Size)
			if !room {
				return
			}
			if e != nil {
				a.running++
				go a.read(next, e)
			}
		}
		a.queue = a.queue[1:]
		delete(a.queued, next.key())
	}
}

// read reads one blob. Nobody could recover from a panic here, so that it is an error
// for whoever asks for the blob.
func (a *ahead) read(next aheadFile, e *memoEntry) {
	defer func() {
		_ = recover()
		a.mu.Lock()
		a.running--
		a.mu.Unlock()
		a.pump()
	}()
	f, file := next.files, next.file
	class, root := classify(file.Title)
	r := request{title: file.Title, class: class, root: root, max: f.env.limits.of(class)}
	f.memo.fill(next.ctx, e, func() ([]byte, error) { return f.fetch(next.ctx, r, file.Descriptor) })
}
