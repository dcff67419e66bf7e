package ociremote

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
)

// Known is the manifest that was seen last under a name. The zero value is none.
type Known struct {
	Digest digest.Digest
	// ETag that came with it, sent back as If-None-Match.
	ETag string
	// Size in bytes of the manifest.
	Size int64
}

// manifest is what was found under a name.
type manifest struct {
	desc ocispec.Descriptor
	data []byte
	etag string
}

// manifestFetcher is a Repository that can spare itself the body of a manifest
// that is known: it returns ErrNotModified.
type manifestFetcher interface {
	fetchManifest(ctx context.Context, name string, known Known, within Bounds) (manifest, error)
}

// FetchBundle reads the bundle under a tag or digest, in one request.
//
// If the manifest is still the known one it returns [ErrNotModified]: told by
// the registry's 304, or by the digest that stands in the answer's header, the
// body unread. Registries that count GETs of manifests (Docker Hub), and known
// manifests of more than 64 KiB from a registry without ETags, are asked by HEAD
// first. A bundle of [LayoutNoData] costs a second request, for its inline layer.
//
// Nothing under that name is [ErrNotFound], a manifest of something else
// [ErrForeign], a bad one [ErrMalformed], more than [MaxManifest] bytes
// [ErrTooLarge]. A registry that refuses is an [AuthError], any other answer, or
// none, a [TransportError].
func FetchBundle(ctx context.Context, repo Repository, name string, known Known) (*Bundle, error) {
	return fetchBundle(ctx, repo, name, known, Bounds{})
}

func fetchBundle(ctx context.Context, repo Repository, name string, known Known, within Bounds) (*Bundle, error) {
	m, err := fetchManifest(ctx, repo, name, known, within)
	if err != nil {
		return nil, err
	}
	// Not every registry says the digest in its header.
	if known.Digest != "" && digest.FromBytes(m.data) == known.Digest {
		return nil, ErrNotModified
	}
	b, err := within.ParseBundle(m.data)
	if err != nil {
		return nil, err
	}
	b.ETag = m.etag
	return b, b.loadInline(ctx, repo)
}

// fetchManifest reads and checks the bytes of a manifest.
func fetchManifest(ctx context.Context, repo Repository, name string, known Known, within Bounds) (manifest, error) {
	if f, ok := repo.(manifestFetcher); ok {
		return f.fetchManifest(ctx, name, known, within)
	}
	desc, rc, err := repo.FetchReference(ctx, name)
	if err != nil {
		return manifest{}, asNotFound(err, name)
	}
	defer rc.Close()
	if known.Digest != "" && desc.Digest == known.Digest {
		return manifest{}, ErrNotModified
	}
	data, err := readManifest(rc, desc, name, within)
	return manifest{desc: desc, data: data}, err
}

// readManifest reads the manifest that desc announces under a name, and holds it
// to the digest of desc and to the name, if that is a digest.
func readManifest(r io.Reader, desc ocispec.Descriptor, name string, within Bounds) ([]byte, error) {
	if err := foreignType(desc.MediaType); err != nil {
		return nil, err
	}
	if err := within.checkSize(desc.Size); err != nil {
		return nil, &MalformedError{What: "manifest", Err: err}
	}
	data, err := io.ReadAll(io.LimitReader(r, within.manifest()+1))
	if err != nil {
		return nil, err
	}
	if err := within.checkSize(int64(len(data))); err != nil {
		return nil, &MalformedError{What: "manifest", Err: err}
	}
	got := digest.FromBytes(data)
	if desc.Digest != "" && got != desc.Digest {
		return nil, &MalformedError{What: "manifest", Err: fmt.Errorf("its digest is %s, it was announced as %s", got, shorten(string(desc.Digest)))}
	}
	if IsDigest(name) && got.String() != name {
		return nil, &MalformedError{What: "manifest", Err: fmt.Errorf("its digest is %s, asked for was %s", got, shorten(name))}
	}
	return data, nil
}

// loadInline fetches the inline layer of a bundle that does not carry it as
// data. One that the registry has lost is no error: the files are there.
func (b *Bundle) loadInline(ctx context.Context, repo Repository) error {
	if b.inlineLayer == nil || b.inlineLayer.Data != nil {
		return nil
	}
	data, err := FetchBlob(ctx, repo, *b.inlineLayer, MaxManifest)
	if errors.Is(err, ErrBlobNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if b.inline, err = unpackInline(data, b.layers); err != nil {
		return &MalformedError{What: "bundle", Err: fmt.Errorf("inline layer: %w", err)}
	}
	return nil
}

// FetchBlob reads a blob of at most max bytes and checks its size and digest. A
// descriptor of more is [ErrTooLarge] and nothing is asked for. A blob that does
// not exist is [ErrBlobNotFound], one with other bytes [ErrMalformed].
func FetchBlob(ctx context.Context, repo Repository, desc ocispec.Descriptor, max int64) ([]byte, error) {
	if desc.Size > max {
		return nil, fmt.Errorf("blob %s of %d bytes: %w, the limit is %d", desc.Digest, desc.Size, ErrTooLarge, max)
	}
	if err := validateDigest(desc.Digest); err != nil {
		return nil, &MalformedError{What: "blob", Err: err}
	}
	rc, err := repo.Fetch(ctx, desc)
	if err != nil {
		return nil, asBlobNotFound(err, desc.Digest)
	}
	defer rc.Close()
	return readVerified(rc, desc)
}

// readVerified reads exactly what desc describes.
func readVerified(r io.Reader, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size < 0 {
		return nil, &MalformedError{What: "blob", Err: fmt.Errorf("size %d", desc.Size)}
	}
	data, err := io.ReadAll(io.LimitReader(r, desc.Size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != desc.Size {
		return nil, &MalformedError{What: "blob", Err: fmt.Errorf("%s has other than %d bytes", desc.Digest, desc.Size)}
	}
	if got := digest.FromBytes(data); got != desc.Digest {
		return nil, &MalformedError{What: "blob", Err: fmt.Errorf("%s has digest %s", desc.Digest, got)}
	}
	return data, nil
}

// asNotFound gives an error of oras our name.
func asNotFound(err error, name string) error {
	if errors.Is(err, errdef.ErrNotFound) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBlobNotFound) {
		return notFound(name)
	}
	return err
}

// asBlobNotFound is the same for blobs.
func asBlobNotFound(err error, dgst digest.Digest) error {
	if errors.Is(err, errdef.ErrNotFound) && !errors.Is(err, ErrBlobNotFound) {
		return blobNotFound(dgst)
	}
	return err
}
