package fetcher

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// bundleFiles reads a bundle: the tag once, everything else by digest.
type bundleFiles struct {
	env    *env
	src    Source
	repo   ociremote.Repository
	name   string
	legacy *legacyFiles
	memo   *memo // by digest

	restarting sync.Mutex // held while the tag is resolved again

	mu        sync.Mutex
	bundle    *ociremote.Bundle
	unchanged bool
	restarted bool
	moved     *MovedError
	// served are the metadata files handed out, with their digests; a root that
	// was reported absent has none.
	served map[string]digest.Digest
}

func openBundle(ctx context.Context, e *env, src Source, o Options, old *View) (*bundleFiles, error) {
	f := &bundleFiles{env: e, src: src, name: src.name, memo: &memo{}, served: map[string]digest.Digest{}}
	work, stop := e.start(ctx, classTimestamp)
	defer stop()
	repo := src.repo
	if repo == nil {
		client, err := o.client()
		if err != nil {
			return nil, err
		}
		f.name = src.Reference.Name()
		repo, err = client.Repository(work, src.Reference, false)
		if err != nil {
			return nil, f.resolveError(work, err)
		}
	}
	f.repo = repo
	f.legacy = &legacyFiles{env: e, repo: repo, options: o}

	known := o.Known
	if known.Digest == "" || digest.FromBytes(o.KnownBundle) != known.Digest {
		known = ociremote.Known{}
	}
	b, err := f.env.limits.bundle().FetchBundle(work, f.repo, f.name, known)
	switch {
	case errors.Is(err, ociremote.ErrNotModified) && known.Digest != "":
		f.unchanged = true
		if b, err = e.limits.bundle().ParseBundle(o.KnownBundle); err != nil {
			return nil, err
		}
		b.ETag = known.ETag
	case err != nil:
		return nil, f.resolveError(work, err)
	}
	f.bundle = b
	if old != nil && old.bundle != nil {
		old.bundle.memo.keep(f.memo, lists(b))
	}
	return f, e.count("the manifest", int64(len(b.Manifest)))
}

// lists returns whether a digest, as text, is that of a file of b.
func lists(b *ociremote.Bundle) func(string) bool {
	digests := make(map[string]bool, len(b.Files))
	for _, file := range b.Files {
		digests[file.Descriptor.Digest.String()] = true
	}
	return func(d string) bool { return digests[d] }
}

// resolveError turns what happened to the tag into the errors of Open.
func (f *bundleFiles) resolveError(ctx context.Context, err error) error {
	if errors.Is(err, ociremote.ErrNotFound) {
		return fmt.Errorf("%w (%v)", ErrNoRepository, err)
	}
	return explain(ctx, err)
}

func (f *bundleFiles) current() *ociremote.Bundle {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bundle
}

func (f *bundleFiles) isUnchanged() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unchanged
}

func (f *bundleFiles) titles() []string {
	b := f.current()
	titles := make([]string, len(b.Files))
	for i, file := range b.Files {
		titles[i] = file.Title
	}
	return titles
}

// file implements files.
func (f *bundleFiles) file(ctx context.Context, r request) ([]byte, error) {
	for {
		b := f.current()
		f.readAhead(ctx, b, r)
		data, dgst, err := f.read(ctx, b, r)
		switch {
		case errors.Is(err, ociremote.ErrBlobNotFound):
			if err := f.restart(ctx, b, r.title); err != nil {
				return nil, err
			}
			continue
		case err != nil && !errors.Is(err, ErrFileNotFound):
			return nil, err
		}
		if f.serve(b, r, dgst) {
			return data, err
		}
	}
}

// release implements files.
func (f *bundleFiles) release(title string) {
	if file, ok := f.current().File(title); ok {
		f.memo.release(file.Descriptor.Digest.String())
		f.env.ahead.pump()
	}
	f.legacy.memo.release(title)
}

// read reads one file of b, from the inline layer, the local store or the
// registry.
func (f *bundleFiles) read(ctx context.Context, b *ociremote.Bundle, r request) ([]byte, digest.Digest, error) {
	file, ok := b.File(r.title)
	if !ok {
		if b.Legacy && f.legacy.mayHold(r) {
			data, err := f.legacy.file(ctx, r)
			return data, digest.FromBytes(data), err
		}
		return nil, "", absent(b, r)
	}
	desc := file.Descriptor
	if desc.Size > r.max {
		return nil, "", f.env.limits.over(r.title, r.class, desc.Size, r.max)
	}
	if data, ok := b.Inline(r.title); ok {
		return data, desc.Digest, nil
	}
	data, err := f.memo.do(ctx, desc.Digest.String(), func() ([]byte, error) { return f.fetch(ctx, r, desc) })
	f.env.ahead.pump() // there may be room again
	return data, desc.Digest, err
}

func (f *bundleFiles) fetch(ctx context.Context, r request, desc ocispec.Descriptor) ([]byte, error) {
	if data, ok := f.env.local(desc); ok {
		return data, nil
	}
	if err := f.env.count(r.title, desc.Size); err != nil {
		return nil, err
	}
	work, stop := f.env.start(ctx, r.class)
	defer stop()
	data, err := ociremote.FetchBlob(work, f.repo, desc, r.max)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.title, explain(work, err))
	}
	return data, nil
}

// absent is the error for a file that the bundle does not list.
func absent(b *ociremote.Bundle, r request) error {
	if r.class == classRoot {
		for _, file := range b.Files {
			if class, n := classify(file.Title); class == classRoot && n > r.root {
				return fmt.Errorf("%w: %s is missing, %s is there", ErrRootGap, r.title, file.Title)
			}
		}
	}
	return fmt.Errorf("%w: %s", ErrFileNotFound, r.title)
}

// serve notes that a file of b is handed out. It reports false if the view
// started over meanwhile and the bundle that it reads now says otherwise.
func (f *bundleFiles) serve(b *ociremote.Bundle, r request, dgst digest.Digest) bool {
	if r.class == classTargetFile {
		return true // verified by the hash in signed metadata, whichever bundle it is from
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bundle != b && !agrees(f.bundle, r.title, dgst) {
		return false
	}
	if dgst != "" || r.class == classRoot {
		f.served[r.title] = dgst
	}
	return true
}

// agrees reports whether b says the same of a title: this digest, or, with none,
// that there is no such file.
func agrees(b *ociremote.Bundle, title string, dgst digest.Digest) bool {
	file, ok := b.File(title)
	return ok == (dgst != "") && file.Descriptor.Digest == dgst
}

// restart resolves the tag once more after a file of b was lost: whoever moved
// the tag may have removed what the old bundle names. The view then reads the
// new bundle, unless files that it handed out would not fit.
func (f *bundleFiles) restart(ctx context.Context, b *ociremote.Bundle, title string) error {
	f.restarting.Lock()
	defer f.restarting.Unlock()
	f.mu.Lock()
	bundle, restarted, moved := f.bundle, f.restarted, f.moved
	f.mu.Unlock()
	lost := func(why string) error {
		return fmt.Errorf("%w: %s in bundle %s (%s)", ErrLostBlob, title, b.Descriptor.Digest, why)
	}
	switch {
	case bundle != b:
		return nil // another reader has done it
	case moved != nil:
		return moved
	case restarted:
		return lost("the second one in this refresh")
	case f.pinned():
		return lost("the source is a digest")
	}

	next, err := f.resolveAgain(ctx, b)
	switch {
	case errors.Is(err, ociremote.ErrNotModified):
		return lost("the tag has not moved")
	case errors.Is(err, ociremote.ErrNotFound):
		return lost("the tag is gone")
	case err != nil:
		return fmt.Errorf("resolving the tag again, since %s is lost: %w", title, err)
	case next.Descriptor.Digest == b.Descriptor.Digest:
		return lost("the tag has not moved")
	}
	if err := f.env.count("the second manifest", int64(len(next.Manifest))); err != nil {
		return err
	}
	return f.adopt(b, next, title)
}

// pinned reports whether the source is a digest, which cannot move.
func (f *bundleFiles) pinned() bool {
	_, err := digest.Parse(f.name)
	return err == nil
}

func (f *bundleFiles) resolveAgain(ctx context.Context, b *ociremote.Bundle) (*ociremote.Bundle, error) {
	work, stop := f.env.start(ctx, classTimestamp)
	defer stop()
	known := ociremote.Known{Digest: b.Descriptor.Digest, ETag: b.ETag, Size: b.Descriptor.Size}
	next, err := f.env.limits.bundle().FetchBundle(work, f.repo, f.name, known)
	return next, explain(work, err)
}

// adopt lets the view read next instead of b, if next agrees with all metadata
// that was handed out.
func (f *bundleFiles) adopt(b, next *ociremote.Bundle, title string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restarted = true
	for served, dgst := range f.served {
		if !agrees(next, served, dgst) {
			fresh := &bundleFiles{
				env: f.env, src: f.src, repo: f.repo, name: f.name, legacy: f.legacy, memo: f.memo,
				bundle: next, restarted: true, served: map[string]digest.Digest{},
			}
			f.moved = &MovedError{
				Title: title, From: b.Descriptor.Digest, To: next.Descriptor.Digest,
				View: &View{src: f.src, env: f.env, files: fresh, bundle: fresh, limits: f.env.limits},
			}
			return f.moved
		}
	}
	f.bundle, f.unchanged = next, false
	f.env.warn(fmt.Sprintf("%s: %s was lost because the repository was replaced while it was read; reading the new one, %s",
		f.src, title, next.Descriptor.Digest))
	return nil
}

// client returns the client of the options, or a default one.
func (o Options) client() (*ociremote.Client, error) {
	if o.Client != nil {
		return o.Client, nil
	}
	return ociremote.NewClient(ociremote.Options{Warn: o.Warn})
}
