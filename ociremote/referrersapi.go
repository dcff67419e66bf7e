package ociremote

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// errNoReferrers: the registry has no referrers API, or no such repository.
var errNoReferrers = errors.New("no list of referrers")

// listReferrers asks the referrers API; false if the registry has none.
func (r *registryRepository) listReferrers(ctx context.Context, subject digest.Digest, c *referrerCollector) (bool, error) {
	if _, none := r.client.noReferrers.Load(r.host()); none {
		return false, nil
	}
	page := r.base + "/referrers/" + subject.String()
	if len(c.o.ArtifactTypes) == 1 {
		page += "?" + url.Values{"artifactType": c.o.ArtifactTypes}.Encode()
	}
	for n := 0; page != ""; n++ {
		// The next page has up to MaxManifest bytes.
		if n == c.o.MaxPages || c.full() {
			c.truncated = true
			break
		}
		data, next, err := r.referrersPage(ctx, page)
		if n == 0 && errors.Is(err, errNoReferrers) {
			return false, r.noteNoReferrers(err)
		}
		if err != nil {
			return false, err
		}
		if err := c.addIndex(data); err != nil {
			return false, err
		}
		page = next
	}
	return true, nil
}

// referrersPage reads one page of a list, and the URL of the next one, if there
// is one. 404 and 405 are errNoReferrers beside what they are else.
func (r *registryRepository) referrersPage(ctx context.Context, page string) (data []byte, next string, err error) {
	req, err := http.NewRequestWithContext(r.prepare(ctx), http.MethodGet, page, nil)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	req.Header.Set("Accept", ocispec.MediaTypeImageIndex)
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return nil, "", requestError(err, r.host())
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return nil, "", fmt.Errorf("%w: %w", errNoReferrers, r.refusal(resp))
	default:
		return nil, "", r.refusal(resp)
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != ocispec.MediaTypeImageIndex {
		// A login page is not "nothing refers to it".
		return nil, "", r.unexpected(resp, fmt.Sprintf("with %q and not with a list of referrers", shorten(mediaType)))
	}
	body := networkBody{resp.Body, resp.Request.URL.Host}
	data, err = readManifest(body, ocispec.Descriptor{Size: resp.ContentLength}, "", Bounds{})
	if err != nil {
		return nil, "", err
	}
	next, err = nextPage(req.URL, resp.Header)
	return data, next, err
}

// noteNoReferrers remembers that the registry has no referrers API, unless it said
// that it has no such repository.
func (r *registryRepository) noteNoReferrers(err error) error {
	said, ok := errors.AsType[*errcode.ErrorResponse](err)
	if !ok {
		return err
	}
	if !slices.ContainsFunc(said.Errors, func(e errcode.Error) bool {
		return e.Code == errcode.ErrorCodeNameUnknown || e.Code == errcode.ErrorCodeManifestUnknown
	}) {
		r.client.noReferrers.Store(r.host(), struct{}{})
	}
	return nil
}

// nextPage reads the Link header of a page (distribution specification 1.1,
// "Listing Referrers"; RFC 8288). It may lead to no other origin, which would
// then say what refers to an image.
func nextPage(page *url.URL, h http.Header) (string, error) {
	for _, link := range h.Values("Link") {
		target, params, ok := strings.Cut(strings.TrimSpace(link), ">")
		target, opened := strings.CutPrefix(target, "<")
		if !ok || !opened || !isNext(params) {
			continue
		}
		next, err := page.Parse(target)
		if err != nil || originOf(next) != originOf(page) || next.User != nil {
			return "", &MalformedError{What: "list of referrers", Err: fmt.Errorf("its next page is at %q", shorten(target))}
		}
		return next.String(), nil
	}
	return "", nil
}

// isNext reports whether the parameters of a link say that it is the next page.
func isNext(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "rel") && strings.EqualFold(strings.Trim(value, `"`), "next") {
			return true
		}
	}
	return false
}
