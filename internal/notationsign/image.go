package notationsign

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/errdef"
)

// Platforms are those of the images that [PushIndex] makes.
var Platforms = []ocispec.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}

// PushImage pushes an image with one layer that holds content, and tags it
// unless tag is "". The layer is compressed, as those of builders are: some programs
// compress others as they copy, and the digest changes.
func PushImage(ctx context.Context, to oras.Target, content []byte, platform ocispec.Platform, tag string) (ocispec.Descriptor, error) {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(content); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := w.Close(); err != nil {
		return ocispec.Descriptor{}, err
	}
	layer, err := push(ctx, to, ocispec.MediaTypeImageLayerGzip, compressed.Bytes())
	if err != nil {
		return layer, err
	}
	config, err := pushJSON(ctx, to, ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: platform, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(content)}},
	})
	if err != nil {
		return config, err
	}
	return pushTagged(ctx, to, ocispec.MediaTypeImageManifest, tag, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer},
	})
}

// PushIndex pushes an index of one image for each of [Platforms], whose layer
// holds content and the platform's name, and tags it unless tag is "".
func PushIndex(ctx context.Context, to oras.Target, content []byte, tag string) (ocispec.Descriptor, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, p := range Platforms {
		desc, err := PushImage(ctx, to, append(bytes.Clone(content), p.Architecture...), p, "")
		if err != nil {
			return desc, err
		}
		desc.Platform = &p
		index.Manifests = append(index.Manifests, desc)
	}
	return pushTagged(ctx, to, ocispec.MediaTypeImageIndex, tag, index)
}

func pushTagged(ctx context.Context, to oras.Target, mediaType, tag string, manifest any) (ocispec.Descriptor, error) {
	desc, err := pushJSON(ctx, to, mediaType, manifest)
	if err != nil || tag == "" {
		return desc, err
	}
	return desc, to.Tag(ctx, desc, tag)
}

func pushJSON(ctx context.Context, to oras.Target, mediaType string, v any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return push(ctx, to, mediaType, data)
}

// push pushes what is not there yet.
func push(ctx context.Context, to oras.Target, mediaType string, data []byte) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if ok, err := to.Exists(ctx, desc); err != nil || ok {
		return desc, err
	}
	err := to.Push(ctx, desc, bytes.NewReader(data))
	if errors.Is(err, errdef.ErrAlreadyExists) {
		err = nil
	}
	return desc, err
}
