package ociremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	// headFirst is the size of a known manifest, in bytes, from which a HEAD
	// pays where the registry has no ETags: less than that is sent before a
	// client can say stop.
	headFirst = 64 << 10
	// pageSize and maxPages of tag lists.
	pageSize = 500
	maxPages = 1000
)

// manifestTypes are accepted. A registry that is not offered the type of a
// manifest says that there is none, and something else would be overwritten.
var manifestTypes = []string{
	ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, mediaTypeDockerManifest, mediaTypeDockerList,
}

// registryRepository is a repository in a registry. Reading is done here, since
// it has to be one request each; writing by oras.
type registryRepository struct {
	client *Client
	repo   *remote.Repository
	// base is the URL of the repository, without a slash at its end.
	base string
	// scope of the token: one for all that this value is used for.
	scope string
	// metered registries count the GETs of manifests.
	metered bool
}

var (
	_ WritableRepository = (*registryRepository)(nil)
	_ manifestFetcher    = (*registryRepository)(nil)
)

func (c *Client) openRegistry(ref Reference, push bool) (*registryRepository, error) {
	repo, err := c.writer(ref.Host + "/" + ref.Repository)
	if err != nil {
		return nil, err
	}
	scheme := "https"
	if repo.PlainHTTP {
		scheme = "http"
	}
	host := repo.Reference.Host()
	actions := []string{auth.ActionPull}
	if push {
		actions = append(actions, auth.ActionPush)
	}
	return &registryRepository{
		client: c, repo: repo,
		base:    scheme + "://" + host + "/v2/" + ref.Repository,
		scope:   auth.ScopeRepository(ref.Repository, actions...),
		metered: host == "registry-1.docker.io" || host == "index.docker.io",
	}, nil
}

// writer is the repository of a name as oras has it.
func (c *Client) writer(name string) (*remote.Repository, error) {
	if known, ok := c.writers.Load(name); ok {
		return known.(*remote.Repository), nil
	}
	repo, err := remote.NewRepository(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	repo.Client = c.auth
	repo.PlainHTTP = c.plainHTTP(repo.Reference.Registry)
	repo.TagListPageSize, repo.TagListMaxPages = pageSize, maxPages
	repo.ReferrerListMaxPages = 1
	repo.MaxMetadataBytes = MaxManifest
	// The tag that lists referrers can name anything, also the index of an image: what
	// it named before is not removed. The registry collects what nothing names.
	repo.SkipReferrersGC = true
	known, _ := c.writers.LoadOrStore(name, repo)
	return known.(*remote.Repository), nil
}

// host that is asked.
func (r *registryRepository) host() string { return r.repo.Reference.Host() }

// prepare marks a context for requests to this repository.
func (r *registryRepository) prepare(ctx context.Context) context.Context {
	ctx = withOrigin(ctx, r.host(), r.repo.PlainHTTP)
	return auth.WithScopesForHost(ctx, r.host(), r.scope)
}

// do makes one request for a manifest or blob. An answer other than 200 or 304 is
// an error.
func (r *registryRepository) do(ctx context.Context, method, path string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.prepare(ctx), method, r.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrInvalidReference, err)
	}
	req.Header = header
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return nil, requestError(err, r.host())
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNotModified {
		resp.Body = networkBody{resp.Body, resp.Request.URL.Host}
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, notFound(r.host() + "/" + r.repo.Reference.Repository + path)
	}
	return nil, r.refusal(resp)
}

// refusal is the error for an answer. Storage that a blob was redirected to knows
// nothing of our credentials, so it cannot refuse them.
func (r *registryRepository) refusal(resp *http.Response) error {
	err := statusError(resp)
	if ae, ok := err.(*AuthError); ok && !strings.EqualFold(resp.Request.URL.Host, r.host()) {
		return &TransportError{Host: ae.Host, Status: ae.Status, Err: ae.Err}
	}
	return err
}

// requestManifest asks for a manifest. The descriptor is what the header says:
// the digest may be missing, the size -1.
func (r *registryRepository) requestManifest(ctx context.Context, method, name, etag string) (*http.Response, ocispec.Descriptor, error) {
	header := http.Header{"Accept": {strings.Join(manifestTypes, ", ")}}
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	resp, err := r.do(ctx, method, "/manifests/"+name, header)
	if err != nil {
		return nil, ocispec.Descriptor{}, err
	}
	if resp.StatusCode == http.StatusNotModified {
		resp.Body.Close()
		if etag == "" {
			return nil, ocispec.Descriptor{}, r.unexpected(resp, "unasked for")
		}
		return nil, ocispec.Descriptor{}, ErrNotModified
	}
	desc, err := r.describe(resp, name)
	if err != nil {
		resp.Body.Close()
	}
	return resp, desc, err
}

// describe reads the head of an answer with a manifest.
func (r *registryRepository) describe(resp *http.Response, name string) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{Size: resp.ContentLength}
	desc.MediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !slices.Contains(manifestTypes, desc.MediaType) {
		// A login page or the like, from something between here and the registry.
		return desc, r.unexpected(resp, fmt.Sprintf("with %q and not with a manifest", shorten(desc.MediaType)))
	}
	desc.Digest = digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	if desc.Digest != "" && validateDigest(desc.Digest) != nil {
		return desc, r.unexpected(resp, "with an invalid digest in its header")
	}
	if desc.Digest != "" && IsDigest(name) && desc.Digest.String() != name {
		return desc, &MalformedError{What: "manifest", Err: fmt.Errorf("asked for %s, got %s", name, desc.Digest)}
	}
	return desc, nil
}

func (r *registryRepository) unexpected(resp *http.Response, how string) error {
	return &TransportError{Host: resp.Request.URL.Host, Status: resp.StatusCode, Err: fmt.Errorf("answered %s", how)}
}

// fetchManifest implements manifestFetcher.
func (r *registryRepository) fetchManifest(ctx context.Context, name string, known Known, within Bounds) (manifest, error) {
	if known.Digest == "" {
		known.ETag = ""
	}
	// Is it worth asking first?
	if known.Digest != "" && (r.metered || (known.ETag == "" && known.Size > headFirst)) {
		changed, err := r.changed(ctx, name, known)
		if err != nil {
			return manifest{}, err
		}
		name = changed
	}
	resp, desc, err := r.requestManifest(ctx, http.MethodGet, name, known.ETag)
	if err != nil {
		return manifest{}, err
	}
	// Closing reads the rest of a short body and cuts off a long one.
	defer resp.Body.Close()
	if known.Digest != "" && desc.Digest == known.Digest {
		return manifest{}, ErrNotModified
	}
	data, err := readManifest(resp.Body, desc, name, within)
	return manifest{desc: desc, data: data, etag: etagOf(resp.Header, data)}, err
}

// etagOf is the ETag of a manifest, if that is its digest, as distribution makes it. Any
// other could be that of another manifest: who once saw it beside this one would be told
// for ever that nothing has changed.
func etagOf(h http.Header, manifest []byte) string {
	etag := h.Get("ETag")
	if strings.Trim(etag, `"`) != digest.FromBytes(manifest).String() {
		return ""
	}
	return etag
}

// changed asks for the digest under a name and returns the name to fetch: the
// digest, where the registry says it.
func (r *registryRepository) changed(ctx context.Context, name string, known Known) (string, error) {
	resp, desc, err := r.requestManifest(ctx, http.MethodHead, name, known.ETag)
	var te *TransportError
	if errors.As(err, &te) && te.Status == http.StatusMethodNotAllowed {
		return name, nil
	}
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	switch desc.Digest {
	case "":
		return name, nil
	case known.Digest:
		return "", ErrNotModified
	default:
		return desc.Digest.String(), nil
	}
}

// FetchReference opens a manifest by tag or digest with one GET.
func (r *registryRepository) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	resp, desc, err := r.requestManifest(ctx, http.MethodGet, name, "")
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if desc.Digest != "" && desc.Size >= 0 {
		return desc, resp.Body, nil
	}
	// What the header does not say, the body does.
	defer resp.Body.Close()
	mediaType := desc.MediaType
	desc.MediaType = ""
	data, err := readManifest(resp.Body, desc, name, Bounds{})
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	return descriptorOf(mediaType, data), io.NopCloser(bytes.NewReader(data)), nil
}

// Resolve asks for the digest under a name with one HEAD.
func (r *registryRepository) Resolve(ctx context.Context, name string) (ocispec.Descriptor, error) {
	resp, desc, err := r.requestManifest(ctx, http.MethodHead, name, "")
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	resp.Body.Close()
	if desc.Digest != "" && desc.Size >= 0 {
		return desc, nil
	}
	desc, rc, err := r.FetchReference(ctx, name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return desc, rc.Close()
}

// Fetch opens a blob, or a manifest by its digest, with one GET. It may be
// redirected to other storage, without credentials.
func (r *registryRepository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	path, header := "/blobs/"+desc.Digest.String(), http.Header{}
	if slices.Contains(manifestTypes, desc.MediaType) {
		path, header = "/manifests/"+desc.Digest.String(), http.Header{"Accept": {desc.MediaType}}
	}
	resp, err := r.do(ctx, http.MethodGet, path, header)
	if errors.Is(err, ErrNotFound) {
		return nil, blobNotFound(desc.Digest)
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, r.unexpected(resp, "unasked for")
	}
	if resp.ContentLength >= 0 && resp.ContentLength != desc.Size {
		resp.Body.Close()
		return nil, &MalformedError{What: "blob", Err: fmt.Errorf("%s of %d bytes is sent with %d", desc.Digest, desc.Size, resp.ContentLength)}
	}
	return resp.Body, nil
}

// Exists asks with one HEAD.
func (r *registryRepository) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	ok, err := r.repo.Exists(r.prepare(ctx), desc)
	return ok, registryError(err, r.host())
}

// RegistryName is where a repository lies in a registry; false for any other.
func RegistryName(repo Repository) (host, repository string, ok bool) {
	r, ok := repo.(*registryRepository)
	if !ok {
		return "", "", false
	}
	return r.host(), r.repo.Reference.Repository, true
}
