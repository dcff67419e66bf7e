package ociremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// maxBuffered is the largest blob, in bytes, that is held in memory so that its
// upload can be repeated.
const maxBuffered = 8 << 20

var (
	_ registry.Mounter = (*registryRepository)(nil)
	_ content.Deleter  = (*registryRepository)(nil)
	_ content.Untagger = (*registryRepository)(nil)
)

// Push uploads a blob, or a manifest by its digest: POST and PUT, or one PUT.
func (r *registryRepository) Push(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error {
	body, err := replayable(body, desc)
	if err != nil {
		return err
	}
	err = registryError(r.repo.Push(r.prepare(ctx), desc, body), r.host())
	if err == nil || !sessionLost(err) {
		return err
	}
	// A repeated PUT finds its upload finished by the first one, whose answer
	// was lost.
	if ok, existsErr := r.Exists(ctx, desc); existsErr != nil || !ok {
		return err
	}
	return nil
}

// sessionLost: the registry may know nothing of the upload. Which status says so
// differs; a HEAD tells whether it was finished.
func sessionLost(err error) bool {
	var te *TransportError
	return errors.Is(err, ErrNotFound) || (errors.As(err, &te) &&
		slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestedRangeNotSatisfiable}, te.Status))
}

// PushReference uploads a manifest under a tag with one PUT.
func (r *registryRepository) PushReference(ctx context.Context, desc ocispec.Descriptor, body io.Reader, name string) error {
	if err := checkName(name, desc); err != nil {
		return err
	}
	body, err := replayable(body, desc)
	if err != nil {
		return err
	}
	return registryError(r.repo.PushReference(r.prepare(ctx), desc, body, name), r.host())
}

// Tags lists the tags. Pages come as the registry cuts them, each sorted. What is no tag
// is left out: callers count tags, and a registry could send names of megabytes.
func (r *registryRepository) Tags(ctx context.Context, last string, fn func([]string) error) error {
	var fnErr error
	err := r.repo.Tags(r.prepare(ctx), last, func(tags []string) error {
		tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return !tagName.MatchString(tag) })
		slices.Sort(tags)
		// Some registries send the whole list whatever they are asked.
		fnErr = tagsAfter(tags, last, fn)
		return fnErr
	})
	if fnErr != nil {
		return fnErr
	}
	return asNotFound(registryError(err, r.host()), r.repo.Reference.String())
}

// Mount makes a blob of another repository of the same registry appear in this
// one. Where the registry cannot, it is uploaded.
func (r *registryRepository) Mount(ctx context.Context, desc ocispec.Descriptor, from string, getContent func() (io.ReadCloser, error)) error {
	return registryError(r.repo.Mount(r.prepare(ctx), desc, from, getContent), r.host())
}

// Delete removes a manifest with all its tags, or a blob. Where the registry has no
// referrers API, a manifest that refers to another is first taken from the list of
// its referrers.
func (r *registryRepository) Delete(ctx context.Context, desc ocispec.Descriptor) error {
	return registryError(r.repo.Delete(r.prepare(ctx), desc), r.host())
}

// Untag removes a tag with one DELETE, and nothing that it names. A tag that is not
// there is [ErrNotFound]. Not every registry can; distribution 2 and Harbor delete
// manifests only.
func (r *registryRepository) Untag(ctx context.Context, tag string) error {
	if !tagName.MatchString(tag) {
		return fmt.Errorf("%w: tag %q", ErrInvalidReference, shorten(tag))
	}
	ctx = auth.AppendScopesForHost(r.prepare(ctx), r.host(), auth.ScopeRepository(r.repo.Reference.Repository, auth.ActionDelete))
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.base+"/manifests/"+tag, nil)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return requestError(err, r.host())
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return notFound(r.repo.Reference.Repository + ":" + tag)
	}
	return r.refusal(resp)
}

// replayable makes a body one that can be sent again, if it is not large.
func replayable(body io.Reader, desc ocispec.Descriptor) (io.Reader, error) {
	if _, ok := body.(*bytes.Reader); ok {
		return body, nil
	}
	if desc.Size < 0 || desc.Size > maxBuffered {
		return body, nil
	}
	data, err := readVerified(body, desc)
	if err != nil {
		return nil, fmt.Errorf("content to push: %w", err)
	}
	return bytes.NewReader(data), nil
}
