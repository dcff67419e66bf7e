package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	defaultFetches = 5
	// maxPlatforms is how many manifests an index may have that is signed or revoked with them; real ones have about
	// ten, and twice that with build attestations.
	maxPlatforms = 256
	// unknownPlatform is what build tools give to manifests of an index that nobody runs, such as attestations.
	unknownPlatform = "unknown"
	dockerConfig    = "application/vnd.docker.container.image.v1+json"
)

var (
	// ErrNoImage says that the registry has no such image, or that the manifest of a platform is gone.
	ErrNoImage = errors.New("no such image")
	// ErrImageHost says that an image is not on the host of which the names in metadata speak.
	ErrImageHost = errors.New("image is not on the canonical host")
)

// OpenImage opens the repository of an image to read.
type OpenImage func(ctx context.Context, ref ociremote.ImageReference) (ociremote.Repository, error)

// ImageRequest is an image to read, and the name under which it is to be signed.
type ImageRequest struct {
	Reference ociremote.ImageReference
	// Repository, without a host, and Tag; without one only the digest is signed.
	Repository, Tag string
}

// NewImageRequest names an image as its reference does, which has to be on host, the canonical one. ErrImageHost.
func NewImageRequest(ref ociremote.ImageReference, host string) (ImageRequest, error) {
	if ref.Kind != ociremote.KindRegistry || ref.Host != host || host == "" {
		return ImageRequest{}, fmt.Errorf("%w: %s is not on %q", ErrImageHost, ref, host)
	}
	return ImageRequest{Reference: ref, Repository: ref.Repository, Tag: ref.Tag}, nil
}

// Image is a manifest or index as a registry serves it.
type Image struct {
	ImageRequest
	Manifest *ociremote.Manifest
	// Platforms are the manifests of an index, if they were asked for.
	Platforms []ocispec.Descriptor
}

// Entries are what is to be signed of an image; replace, that its tag may move.
func (i *Image) Entries(replace bool) []metadata.ImageEntry {
	entry := func(d ocispec.Descriptor) metadata.ImageEntry {
		return metadata.ImageEntry{Repository: i.Repository, SHA256: d.Digest.Encoded(), Length: d.Size, MediaType: d.MediaType}
	}
	whole := entry(i.Manifest.Descriptor)
	whole.Tag, whole.Replace = i.Tag, replace
	out := []metadata.ImageEntry{whole}
	for _, d := range i.Platforms {
		one := entry(d)
		one.Index = whole.SHA256
		out = append(out, one)
	}
	return out
}

// FetchOptions steer [FetchImages].
type FetchOptions struct {
	// AllPlatforms reads the manifests of indexes too, but for those that nobody runs.
	AllPlatforms bool
	// Concurrency is how many images are read at the same time; default 5.
	Concurrency int
}

// FetchImages reads images and hashes what it gets: one GET each, by digest where the reference has one, and one for
// each platform. It is all or nothing, in the order of the requests.
//
// Errors: [ErrNoImage]; of package ociremote ErrMalformed for bytes that are no image or index, or not those that were
// asked for, and those of the registry.
func FetchImages(ctx context.Context, open OpenImage, requests []ImageRequest, o FetchOptions) ([]*Image, error) {
	out := make([]*Image, len(requests))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency(o.Concurrency))
	for n, request := range requests {
		group.Go(func() error {
			repo, err := open(ctx, request.Reference)
			if err != nil {
				return imageError(request.Reference, err)
			}
			out[n], err = fetchImage(ctx, repo, request, o.AllPlatforms)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

func concurrency(n int) int {
	if n == 0 {
		return defaultFetches
	}
	return n
}

func fetchImage(ctx context.Context, repo ociremote.Repository, request ImageRequest, platforms bool) (*Image, error) {
	m, err := fetchManifest(ctx, repo, request.Reference)
	if err != nil {
		return nil, err
	}
	image := &Image{ImageRequest: request, Manifest: m}
	if !platforms {
		return image, nil
	}
	if len(m.Children) > maxPlatforms {
		return nil, tooManyPlatforms(request.Reference, len(m.Children))
	}
	for _, child := range m.Children {
		if isRun(child) {
			d, err := fetchPlatform(ctx, repo, request.Reference, child)
			if err != nil {
				return nil, err
			}
			image.Platforms = append(image.Platforms, d)
		}
	}
	return image, nil
}

// fetchManifest reads the manifest that a reference names, by its digest if it has one. Its descriptor is that of the
// bytes, whatever the registry says of them.
func fetchManifest(ctx context.Context, repo ociremote.Repository, ref ociremote.ImageReference) (*ociremote.Manifest, error) {
	m, err := ociremote.FetchManifest(ctx, repo, ref.Reference().Name())
	if err != nil {
		return nil, imageError(ref, err)
	}
	return m, nil
}

// fetchPlatform reads one manifest of an index, which has to be what the index says.
func fetchPlatform(ctx context.Context, repo ociremote.Repository, of ociremote.ImageReference, want ocispec.Descriptor) (ocispec.Descriptor, error) {
	of.Tag, of.Digest = "", want.Digest
	m, err := fetchManifest(ctx, repo, of)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	got := m.Descriptor
	switch {
	case m.IsIndex():
		err = errors.New("an index in an index: sign it by itself")
	case got.Size != want.Size || got.MediaType != want.MediaType:
		err = fmt.Errorf("%d bytes of %s, but its index says %d of %s", got.Size, got.MediaType, want.Size, want.MediaType)
	}
	if err != nil {
		return ocispec.Descriptor{}, imageError(of, &ociremote.MalformedError{What: "manifest", Err: err})
	}
	return got, nil
}

// isRun reports whether a manifest of an index is that of a platform.
func isRun(d ocispec.Descriptor) bool {
	return d.Platform == nil || d.Platform.OS != unknownPlatform || d.Platform.Architecture != unknownPlatform
}

func tooManyPlatforms(ref ociremote.ImageReference, n int) error {
	return imageError(ref, &ociremote.MalformedError{
		What: "index", Err: fmt.Errorf("%d manifests, at most %d are taken: %w", n, maxPlatforms, ociremote.ErrTooLarge),
	})
}

// imageError says of which image an error is.
func imageError(ref ociremote.ImageReference, err error) error {
	if errors.Is(err, ociremote.ErrNotFound) {
		return fmt.Errorf("%w: %s", ErrNoImage, ref)
	}
	return fmt.Errorf("image %s: %w", ref, err)
}

// artifactType is what a manifest is that is no image: a signature, a chart, a bundle of trust; "" for an image.
func artifactType(m *ociremote.Manifest) string {
	var said struct {
		ArtifactType string `json:"artifactType"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
		Annotations map[string]any `json:"annotations"`
	}
	if err := json.Unmarshal(m.Data, &said); err != nil {
		return unknownPlatform
	}
	switch config := said.Config.MediaType; {
	case said.ArtifactType != "":
		return said.ArtifactType
	case said.Annotations[ociremote.AnnotationVersion] != nil, said.Annotations[ociremote.AnnotationProposal] != nil:
		return "trust of tufoci" // in the layout that looks like an image
	case m.Subject != nil:
		return "a referrer of " + m.Subject.Digest.String()
	case !m.IsIndex() && config != ocispec.MediaTypeImageConfig && config != dockerConfig:
		return config
	}
	return ""
}
