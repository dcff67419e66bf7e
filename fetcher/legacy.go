package fetcher

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/tufoci/tufoci/ociremote"
)

// legacyFiles reads what a bundle of the older layout of docker/attest does not
// hold: delegated roles, each under a tag of its own, and target files, in a
// repository of their own. There the tag moves file by file, so that a refresh
// may see a mixture of states; TUF verification finds that out.
type legacyFiles struct {
	env     *env
	repo    ociremote.Repository
	options Options
	memo    memo // by title

	mu      sync.Mutex
	targets ociremote.Repository
}

// roleFile takes the name of a delegated role out of a file name.
var roleFile = regexp.MustCompile(`^(?:[1-9][0-9]{0,15}\.)?(.+)\.json$`)

// mayHold reports whether the file is one that the older layout keeps outside
// the bundle.
func (l *legacyFiles) mayHold(r request) bool {
	return r.class == classTargetFile || r.class == classTargets && !isTopLevelTargets(r.title)
}

func (l *legacyFiles) file(ctx context.Context, r request) ([]byte, error) {
	data, err := l.memo.do(ctx, r.title, func() ([]byte, error) {
		work, stop := l.env.start(ctx, r.class)
		defer stop()
		read := l.role
		if r.class == classTargetFile {
			read = l.target
		}
		data, err := read(work, r)
		if err != nil {
			return nil, explain(work, err)
		}
		return data, l.env.count(r.title, int64(len(data)))
	})
	if err == nil && int64(len(data)) > r.max {
		return nil, l.env.limits.over(r.title, r.class, int64(len(data)), r.max)
	}
	return data, err
}

func (l *legacyFiles) role(ctx context.Context, r request) ([]byte, error) {
	m := roleFile.FindStringSubmatch(strings.TrimPrefix(r.title, metadataFolder))
	if m == nil {
		return nil, fmt.Errorf("%w: %s", ErrFileNotFound, r.title)
	}
	role, err := url.PathUnescape(m[1])
	if err != nil {
		return nil, fmt.Errorf("%w: %q is not percent-escaped", ErrInvalidName, r.title)
	}
	b, err := ociremote.FetchLegacyRole(ctx, l.repo, role)
	if errors.Is(err, ociremote.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s (%v)", ErrFileNotFound, r.title, err)
	}
	if err != nil {
		return nil, err
	}
	file, ok := b.File(r.title)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrFileNotFound, r.title)
	}
	if file.Descriptor.Size > r.max {
		return nil, l.env.limits.over(r.title, r.class, file.Descriptor.Size, r.max)
	}
	return ociremote.FetchBlob(ctx, l.repo, file.Descriptor, r.max)
}

func (l *legacyFiles) target(ctx context.Context, r request) ([]byte, error) {
	repo, err := l.targetsRepository(ctx)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(r.title, targetsFolder)
	data, err := ociremote.FetchLegacyTarget(ctx, repo, legacyLister(name), name, r.max)
	if errors.Is(err, ociremote.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s (%v)", ErrFileNotFound, r.title, err)
	}
	return data, err
}

// targetsRepository opens the repository of target files once.
func (l *legacyFiles) targetsRepository(ctx context.Context) (ociremote.Repository, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.targets != nil {
		return l.targets, nil
	}
	if l.options.TargetsURL == "" {
		return nil, fmt.Errorf("%w: a bundle of the older layout needs the repository of its target files", ErrInvalidSource)
	}
	ref, err := ociremote.ParseReference(l.options.TargetsURL)
	if err != nil {
		return nil, fmt.Errorf("%w: targets: %w", ErrInvalidSource, err)
	}
	client, err := l.options.client()
	if err != nil {
		return nil, err
	}
	repo, err := client.Repository(ctx, ref, false)
	if err != nil {
		return nil, err
	}
	home, _, known := ociremote.RegistryName(l.repo)
	if host, _, ok := ociremote.RegistryName(repo); ok && known && host != home {
		// What was given for the registry of the bundle is for no other one.
		if client, err = client.Elsewhere(); err != nil {
			return nil, err
		}
		if repo, err = client.Repository(ctx, ref, false); err != nil {
			return nil, err
		}
	}
	l.targets = repo
	return l.targets, nil
}

// legacyLister names what lists a target file in the older layout: files without
// a directory stand alone, others are grouped by their first directory.
func legacyLister(name string) string {
	if dir, _, ok := strings.Cut(name, "/"); ok {
		return dir
	}
	return "targets"
}
