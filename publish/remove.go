package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"

	"github.com/tufoci/tufoci/ociremote"
)

// remover removes history tags of one repository, in the way that it has: as tags, or
// where there is no such thing with their manifests.
type remover struct {
	repo    ociremote.WritableRepository
	channel string
	tags    content.Untagger // nil: it removes no tags

	named func() (map[digest.Digest][]string, error) // what each manifest is called
}

// newRemover looks at the head once more: what was put back under the channel tag
// meanwhile must not go.
func newRemover(ctx context.Context, repo ociremote.WritableRepository, channel string, head digest.Digest) (*remover, error) {
	switch now, err := tagDigest(ctx, repo, channel); {
	case err != nil:
		return nil, err
	case now != head:
		return nil, fmt.Errorf("%w: tag %q named %s, and now %s", ErrMoving, channel, head, now)
	}
	r := &remover{repo: repo, channel: channel}
	r.tags, _ = repo.(content.Untagger)
	r.named = sync.OnceValues(func() (map[digest.Digest][]string, error) { return namedBy(ctx, repo, maxOtherTags) })
	return r, nil
}

// remove removes the tag of a bundle. One that is gone is no failure.
func (r *remover) remove(ctx context.Context, e *past) error {
	err := fmt.Errorf("%w: %T", ErrNoDelete, r.repo)
	if r.tags != nil {
		err = r.tags.Untag(ctx, e.Tag)
	}
	if isNotFound(err) {
		// Of the tag, or of a way to remove it.
		there, resolveErr := tagDigest(ctx, r.repo, e.Tag)
		if resolveErr != nil || there == "" {
			return resolveErr
		}
		err = fmt.Errorf("%w: %w", ErrNoDelete, err)
	}
	if err == nil || !cannot(err) {
		return err
	}
	return r.removeManifest(ctx, e, err)
}

// removeManifest removes the manifest itself, which takes all its tags along: only if it
// has no other. A claim stays: somebody may be about to make it the head.
func (r *remover) removeManifest(ctx context.Context, e *past, why error) error {
	deleter, ok := r.repo.(content.Deleter)
	if !ok || e.State == StateOvertaken {
		return fmt.Errorf("%w: %w", ErrNoDelete, why)
	}
	named, err := r.named()
	if err != nil {
		return err
	}
	if tags := named[e.Digest]; !slices.Equal(tags, []string{e.Tag}) {
		return fmt.Errorf("%w without the manifest %s, which is called %q: %w", ErrNoDelete, e.Digest, tags, why)
	}
	switch err := deleter.Delete(ctx, e.manifest); {
	case err == nil, isNotFound(err):
		return nil
	case cannot(err):
		return fmt.Errorf("%w: %w", ErrNoDelete, err)
	default:
		return err
	}
}

// cannot reports that an answer says "there is no such thing here", in one of the ways
// in which registries say that.
func cannot(err error) bool {
	e, ok := errors.AsType[*ociremote.TransportError](err)
	return errors.Is(err, ErrNoDelete) ||
		ok && slices.Contains([]int{http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented}, e.Status)
}

// namedBy are the tags of each manifest of a repository, which must not have more than
// most: each costs a request.
func namedBy(ctx context.Context, repo ociremote.WritableRepository, most int) (map[digest.Digest][]string, error) {
	var all []string
	err := repo.Tags(ctx, "", func(tags []string) error {
		if all = append(all, tags...); len(all) > most {
			return fmt.Errorf("%w: each of more than %d would have to be looked at", ErrTooManyTags, most)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resolveTags(ctx, repo, all, defaultConcurrency)
}

// resolveTags are tags by what they name.
func resolveTags(ctx context.Context, repo ociremote.WritableRepository, tags []string, concurrency int) (map[digest.Digest][]string, error) {
	digests := make([]digest.Digest, len(tags))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for i, tag := range tags {
		group.Go(func() (err error) {
			digests[i], err = tagDigest(ctx, repo, tag)
			return err
		})
	}
	err := group.Wait()
	named := map[digest.Digest][]string{}
	for i, d := range digests {
		if d != "" { // else it is gone
			named[d] = append(named[d], tags[i])
		}
	}
	return named, err
}
