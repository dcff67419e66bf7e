package tuftest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Media types and keys of layout v1.
const (
	BundleType      = "application/vnd.tufoci.bundle.v1"
	InlineType      = "application/vnd.tufoci.inline.v1.tar+gzip"
	MetadataType    = "application/vnd.tuf.metadata+json"
	TargetType      = "application/vnd.tuf.target"
	manifestType    = "application/vnd.oci.image.manifest.v1+json"
	indexType       = "application/vnd.oci.image.index.v1+json"
	emptyType       = "application/vnd.oci.empty.v1+json"
	titleAnnotation = "org.opencontainers.image.title"
	// inlineLimit bounds the files in the inline layer, in bytes before compression.
	inlineLimit = 120 << 10
)

// PackOptions say how a bundle deviates from an ordinary one.
type PackOptions struct {
	// NoInline leaves the inline layer out.
	NoInline bool
	// Inline are the titles in the inline layer; nil means all that fit.
	Inline []string
	// InlineLayer, if set, is the inline layer's content as it is, right or wrong.
	InlineLayer []byte
	// Annotations of the manifest beside the format version.
	Annotations map[string]string
	// Edit changes the manifest before it is encoded.
	Edit func(manifest map[string]any)
}

// Bundle is a packed repository: a manifest and the blobs that it names.
type Bundle struct {
	Manifest []byte
	// Digest of the manifest.
	Digest string
	// Blobs by digest.
	Blobs map[string][]byte
}

// Pack makes a bundle of layout v1 from files by title.
func Pack(t testing.TB, files map[string][]byte, o PackOptions) *Bundle {
	t.Helper()
	bundle := &Bundle{Blobs: map[string][]byte{}}
	titles := slices.Sorted(maps.Keys(files))
	var layers []any
	if !o.NoInline {
		inline := o.InlineLayer
		if inline == nil {
			inline = InlineLayer(t, files, inlined(files, o.Inline))
		}
		layer := bundle.add(InlineType, inline)
		layer["data"] = inline
		layers = append(layers, layer)
	}
	for _, title := range titles {
		kind := TargetType
		if strings.HasPrefix(title, "metadata/") {
			kind = MetadataType
		}
		layer := bundle.add(kind, files[title])
		layer["annotations"] = map[string]any{titleAnnotation: title}
		layers = append(layers, layer)
	}
	annotations := map[string]any{"io.tufoci.version": "1"}
	for key, value := range o.Annotations {
		annotations[key] = value
	}
	config := bundle.add(emptyType, []byte("{}"))
	config["data"] = []byte("{}")
	manifest := map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "artifactType": BundleType,
		"config": config, "layers": layers, "annotations": annotations,
	}
	if o.Edit != nil {
		o.Edit(manifest)
	}
	encoded, err := json.Marshal(manifest)
	if err != nil {
		t.Fatalf("bundle manifest: %v", err)
	}
	bundle.Manifest, bundle.Digest = encoded, Digest(encoded)
	return bundle
}

// add keeps a blob and returns its descriptor.
func (b *Bundle) add(mediaType string, data []byte) map[string]any {
	digest := Digest(data)
	b.Blobs[digest] = data
	return map[string]any{"mediaType": mediaType, "digest": digest, "size": len(data)}
}

// inlined chooses the titles of the inline layer.
func inlined(files map[string][]byte, wanted []string) []string {
	if wanted != nil {
		return slices.Sorted(slices.Values(wanted))
	}
	var titles []string
	size := 0
	for _, title := range slices.Sorted(maps.Keys(files)) {
		if size+len(files[title]) <= inlineLimit {
			size += len(files[title])
			titles = append(titles, title)
		}
	}
	return titles
}

// InlineLayer packs files, in the order of titles, as one gzip member of USTAR.
func InlineLayer(t testing.TB, files map[string][]byte, titles []string) []byte {
	t.Helper()
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressed)
	for _, title := range titles {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: title, Size: int64(len(files[title])), Mode: 0o644, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatalf("inline layer: %q: %v", title, err)
		}
		if _, err := archive.Write(files[title]); err != nil {
			t.Fatalf("inline layer: %q: %v", title, err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatalf("inline layer: %v", err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatalf("inline layer: %v", err)
	}
	return packed.Bytes()
}

// Push stores a bundle under a tag, around the network.
func (g *Registry) Push(repository, tag string, b *Bundle) {
	g.t.Helper()
	for _, data := range b.Blobs {
		g.PutBlob(repository, data)
	}
	g.PutManifest(repository, tag, b.Manifest)
}
