package fetcher

import (
	"context"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// Options of [Open] and [New]. The zero value works.
type Options struct {
	// Client reaches registries and web servers. Nil: one with default options.
	Client *ociremote.Client
	// TargetsURL is where target files are if they are not beside the metadata.
	// For the kinds http and dir it is an http, https or file URL; the default is
	// targets/ below the metadata URL or below DIR. For a bundle in the older
	// layout of docker/attest it is the reference of the repository of targets.
	// Any other bundle holds its target files itself.
	TargetsURL string
	Limits     Limits
	// Known is the bundle that the caller keeps from last time, KnownBundle the
	// bytes of its manifest. If the source still has it, one request without a
	// body is made, and the view reads KnownBundle. Known is not used if
	// KnownBundle does not have its digest.
	Known       ociremote.Known
	KnownBundle []byte
	// Have returns the content of a digest from a local store, or nil. What it
	// returns is hashed before it is used, and has to have this size, in bytes: the
	// source can name any digest, also that of something large. It may be called
	// concurrently.
	Have func(content digest.Digest, size int64) []byte
	// Before is a view that this one takes the place of, within one operation: what that
	// one has read, and how long it has waited, counts in Total and Operation of both. Of
	// a bundle, what it has read is not read again. Nil: there is none.
	Before *View
	// BaseURL is the prefix that a [Fetcher] cuts off the URLs it is asked for.
	// The default is the URL of the kind http, "oci://HOST/REPO" for a registry,
	// and a URL made up for the other kinds. [Fetcher.Configure] uses it.
	BaseURL string
	// Warn is told what a person should know. Nil: nobody is.
	Warn func(string)
}

// View is one state of a source: for a bundle the one that the tag pointed to
// when it was opened. It reads no file twice, and is safe for concurrent use.
// Nothing that it returns is verified as TUF metadata, and nothing may be
// changed in place: it is also the view's own memory.
type View struct {
	src    Source
	env    *env
	files  files
	bundle *bundleFiles // files, if they come from a bundle
	limits Limits
}

// files is what a kind of source does for a view.
type files interface {
	// file returns a file of at most max bytes, with the errors of View.File.
	file(ctx context.Context, f request) ([]byte, error)
	release(title string)
	prefetch(ctx context.Context, titles []string)
	titles() []string
}

// request is one file that is asked for.
type request struct {
	title string
	class fileClass
	root  int64 // the version, of a root
	max   int64 // in bytes
}

// Open resolves the source once and pins what it finds. For a bundle that is one
// request, or the few that credentials cost; for the other kinds it is none.
//
// It returns ErrNoRepository for a missing tag, registry repository, layout,
// archive or directory, the errors of ociremote.FetchBundle, ErrTooSlow and
// ErrTimeout.
func Open(ctx context.Context, src Source, o Options) (*View, error) {
	return open(ctx, src, o, o.Before)
}

// open is Open; what an older view has read is kept for the new one.
func open(ctx context.Context, src Source, o Options, old *View) (*View, error) {
	limits, err := o.Limits.Filled()
	if err != nil {
		return nil, err
	}
	e := &env{
		limits: limits,
		clock:  &clock{limit: limits.Operation},
		have:   o.Have,
		warn:   o.Warn,
		ahead:  &ahead{most: int(limits.Concurrency), queued: map[string]bool{}},
		tally:  &tally{counts: map[string]int64{}},
	}
	if o.Before != nil {
		e.clock, e.tally = o.Before.env.clock, o.Before.env.tally
	}
	v := &View{src: src, env: e, limits: limits}
	if e.warn == nil {
		e.warn = func(string) {}
	}
	if src.Kind == KindHTTP || src.Kind == KindDir {
		v.files, err = openClassic(e, src, o)
	} else {
		v.bundle, err = openBundle(ctx, e, src, o, old)
		v.files = v.bundle
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src, err)
	}
	return v, nil
}

// File returns the file with this title, such as "metadata/2.root.json" or
// "targets/dir/<sha256>.name", if it is at most max bytes long. A max beyond the
// limit of its class is cut down for a root or timestamp and refused for others;
// a negative one is refused.
//
// Errors: ErrFileNotFound if and only if the source was read and does not hold
// the file (for a web server: it answered 404). ErrNoRepository if timestamp.json
// is what a web server or directory does not hold. ErrRootGap, ErrLostBlob,
// ErrMoved, ErrTooSlow, ErrTimeout, ErrInvalidName; [LimitError] if it is too
// long; else what package ociremote reports.
func (v *View) File(ctx context.Context, title string, max int64) ([]byte, error) {
	r, err := v.request(title, max)
	if err != nil {
		return nil, err
	}
	data, err := v.files.file(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.src, err)
	}
	return data, nil
}

func (v *View) request(title string, max int64) (request, error) {
	if err := checkTitle(title); err != nil {
		return request{}, err
	}
	r := request{title: title}
	r.class, r.root = classify(title)
	var err error
	r.max, err = v.limits.allow(title, r.class, max)
	return r, err
}

// Release lets go of what the view has read of a file, for programs that keep a view
// for long and ask it for many files. The file no longer counts in [Limits].Total; it
// is read again if it is asked for again. So it is with an answer that there is no
// such file.
func (v *View) Release(title string) {
	v.files.release(title)
	v.env.discount(title)
}

// Prefetch starts to read files of a bundle in the background, at most
// [Limits].Concurrency of them at the same time and 4 MiB before somebody asks for
// some of it, and returns at once. Titles that the bundle lacks, carries inline or
// states too long for that are left out, and so is what was read or is in the local
// store. Failures are reported by [View.File].
// It ends when ctx does. The kinds http and dir read nothing ahead.
func (v *View) Prefetch(ctx context.Context, titles ...string) { v.files.prefetch(ctx, titles) }

// Bundle returns the bundle that the view reads, nil for the kinds http and dir.
// It changes only when a lost blob made the view start over.
func (v *View) Bundle() *ociremote.Bundle {
	if v.bundle == nil {
		return nil
	}
	return v.bundle.current()
}

// Unchanged reports whether the view reads the bundle of [Options].Known.
func (v *View) Unchanged() bool { return v.bundle != nil && v.bundle.isUnchanged() }

// Source returns the source that was opened.
func (v *View) Source() Source { return v.src }

// Titles returns the titles of all files of a bundle or directory, sorted, and
// nil for a web server, which has no list. A bundle of the older layout does not
// list its delegated roles and target files. A directory is read anew each time.
func (v *View) Titles() []string { return v.files.titles() }

// env is what all readers of one view share.
type env struct {
	limits Limits
	clock  *clock
	have   func(digest.Digest, int64) []byte
	warn   func(string)
	ahead  *ahead
	*tally
}

// tally is how much was read. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	total  int64            // bytes
	counts map[string]int64 // of total, by title
}

// start bounds the time of one read, and the rate of what arrives for it. A
// target file has a clock of its own.
func (e *env) start(ctx context.Context, class fileClass) (context.Context, func()) {
	c := e.clock
	if class == classTargetFile {
		c = &clock{limit: e.limits.Operation}
	}
	ctx, stop := c.start(ctx)
	return e.limits.guard(ctx), stop
}

// count adds what is read, or is about to be, to the total.
func (e *env) count(title string, size int64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total += size
	e.counts[title] += size
	if e.total > e.limits.Total {
		return &LimitError{Title: "all files of this source, up to " + title, Size: e.total, Max: e.limits.Total, Limit: "total"}
	}
	return nil
}

// discount takes a file out of the total.
func (t *tally) discount(title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total -= t.counts[title]
	delete(t.counts, title)
}

// left is how much may still be read.
func (e *env) left() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.limits.Total - e.total
}

// local looks a blob up in the caller's store, which may be damaged.
func (e *env) local(desc ocispec.Descriptor) ([]byte, bool) {
	if e.have == nil {
		return nil, false
	}
	data := e.have(desc.Digest, desc.Size)
	if data == nil || int64(len(data)) != desc.Size || digest.FromBytes(data) != desc.Digest {
		return nil, false
	}
	return data, true
}
