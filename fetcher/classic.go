package fetcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// classicFiles reads a TUF repository as files of a web server or a directory.
type classicFiles struct {
	env     *env
	meta    place
	targets place
	memo    memo // by title
}

// place is where files lie. name is a file name of go-tuf's spelling: the rest of
// a title below its folder.
type place interface {
	// readMetadata and readTarget return errAbsent if there is no such file. Of one
	// that is longer than max bytes they return one byte more, or a [LimitError].
	readMetadata(ctx context.Context, name string, max int64) ([]byte, error)
	readTarget(ctx context.Context, name string, max int64) ([]byte, error)
	// list returns the titles of all files of the repository; nil if unknown.
	list() []string
}

// errAbsent is the answer of a place that works and has no such file.
var errAbsent = errors.New("absent")

func openClassic(e *env, src Source, o Options) (*classicFiles, error) {
	f := &classicFiles{env: e}
	var err error
	if src.Kind == KindDir {
		f.meta, f.targets, err = openDir(src.Dir)
	} else {
		f.meta, err = openHTTP(src.URL, o)
		f.targets = f.meta
	}
	if err != nil || o.TargetsURL == "" {
		return f, err
	}
	if dir, ok := strings.CutPrefix(o.TargetsURL, "file://"); ok {
		f.targets, err = openTargetsDir(dir)
	} else {
		f.targets, err = openTargetsHTTP(o)
	}
	if err != nil {
		return nil, fmt.Errorf("targets: %w", err)
	}
	return f, nil
}

// file implements files. That there is no such file is remembered like a file:
// one view is one state.
func (f *classicFiles) file(ctx context.Context, r request) ([]byte, error) {
	data, err := f.memo.do(ctx, r.title, func() ([]byte, error) { return f.read(ctx, r) })
	switch {
	case err != nil:
		return nil, err
	case data == nil && r.class == classTimestamp:
		return nil, fmt.Errorf("%w: no timestamp.json", ErrNoRepository)
	case data == nil:
		return nil, fmt.Errorf("%w: %s", ErrFileNotFound, r.title)
	case int64(len(data)) > r.max:
		return nil, f.env.limits.over(r.title, r.class, int64(len(data)), r.max)
	}
	return data, nil
}

// read returns nil data for a file that is absent.
func (f *classicFiles) read(ctx context.Context, r request) ([]byte, error) {
	limit := min(r.max, f.env.left())
	if limit < 0 {
		return nil, f.env.count(r.title, 0)
	}
	work, stop := f.env.start(ctx, r.class)
	defer stop()
	var data []byte
	var err error
	if name, ok := strings.CutPrefix(r.title, targetsFolder); ok {
		data, err = f.targets.readTarget(work, name, limit)
	} else {
		data, err = f.meta.readMetadata(work, strings.TrimPrefix(r.title, metadataFolder), limit)
	}
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	if err == nil && int64(len(data)) > limit {
		err = &LimitError{Title: r.title, Size: int64(len(data)), Max: limit}
	}
	if over, ok := err.(*LimitError); ok { // of this file, and not of what it took to get there
		over.Limit = f.env.limits.over("", r.class, 0, limit).Limit
		if limit < r.max {
			over.Limit = "total"
		}
		return nil, over
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.title, explain(work, err))
	}
	if data == nil {
		data = []byte{}
	}
	return data, f.env.count(r.title, int64(len(data)))
}

// release implements files.
func (f *classicFiles) release(title string) { f.memo.release(title) }

// prefetch implements files: of a classic repository nothing is known ahead.
func (f *classicFiles) prefetch(context.Context, []string) {}

func (f *classicFiles) titles() []string { return f.meta.list() }
