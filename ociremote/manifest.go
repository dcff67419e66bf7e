package ociremote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Manifest is a manifest or index as it was read. Data has the digest and size of
// the descriptor.
type Manifest struct {
	Descriptor ocispec.Descriptor
	Data       []byte
	// Children are the manifests of an index, Subject is what an artifact refers
	// to.
	Children []ocispec.Descriptor
	Subject  *ocispec.Descriptor
}

// IsIndex reports whether it is an image index or a manifest list.
func (m *Manifest) IsIndex() bool { return IsIndex(m.Descriptor.MediaType) }

// IsIndex reports whether a media type is that of an image index or a manifest list.
func IsIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == mediaTypeDockerList
}

// FetchManifest reads the manifest under a tag or digest with one GET of at most
// MaxManifest bytes. ErrNotFound; ErrMalformed for bytes that are not JSON, have a
// media type that differs from the one served, or are both index and image.
func FetchManifest(ctx context.Context, repo Repository, name string) (*Manifest, error) {
	m, err := fetchBytes(ctx, repo, name)
	if err != nil {
		return nil, err
	}
	parsed, err := parseManifest(m.desc.MediaType, m.data)
	if err != nil {
		return nil, &MalformedError{What: "manifest", Err: err}
	}
	return parsed, nil
}

// fetchBytes reads a manifest of any type, as [fetchManifest] does one that could
// be a bundle.
func fetchBytes(ctx context.Context, repo Repository, name string) (manifest, error) {
	desc, rc, err := repo.FetchReference(ctx, name)
	if err != nil {
		return manifest{}, asNotFound(err, name)
	}
	defer rc.Close()
	// Which types are wanted is not the matter of readManifest here.
	announced := desc
	announced.MediaType = ""
	data, err := readManifest(rc, announced, name, Bounds{})
	return manifest{desc: desc, data: data}, err
}

// parseManifest reads the bytes that were served with a media type. A layout may
// not know one; then the bytes have to say it.
func parseManifest(served string, data []byte) (*Manifest, error) {
	if err := checkManifest(data); err != nil {
		return nil, err
	}
	top, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	mediaType, err := manifestType(served, top)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Descriptor: descriptorOf(mediaType, data), Data: data}
	if raw, ok := top["subject"]; ok {
		subject, err := readDescriptor(raw)
		if err != nil {
			return nil, fmt.Errorf("subject: %w", err)
		}
		m.Subject = &subject
	}
	if !m.IsIndex() {
		return m, nil
	}
	raws, err := top.manifests()
	if err != nil {
		return nil, err
	}
	for i, raw := range raws {
		child, err := readChild(raw)
		if err != nil {
			return nil, fmt.Errorf("manifest %d: %w", i, err)
		}
		m.Children = append(m.Children, child)
	}
	return m, nil
}

// manifestType returns the one type that a manifest can be taken for. Bytes that
// one client reads as an index and another as an image are refused (image
// specification 1.1, "mediaType"; CVE-2021-41190).
func manifestType(served string, top object) (string, error) {
	var schema int
	var said string
	if err := errors.Join(top.read("schemaVersion", &schema), top.read("mediaType", &said)); err != nil {
		return "", err
	}
	if schema != 2 {
		return "", fmt.Errorf("schemaVersion %d, want 2", schema)
	}
	_, list := top["manifests"]
	_, config := top["config"]
	_, layers := top["layers"]
	if list && (config || layers) {
		return "", errors.New("both an index and an image")
	}
	known := slices.Contains(manifestTypes, served)
	switch {
	case said != "" && !slices.Contains(manifestTypes, said):
		return "", fmt.Errorf("media type %q is none of a manifest", shorten(said))
	case said != "" && known && said != served:
		return "", fmt.Errorf("media type %s, served as %s", said, served)
	case said != "":
		served = said
	case !known && list:
		served = ocispec.MediaTypeImageIndex
	case !known && config:
		served = ocispec.MediaTypeImageManifest
	case !known:
		return "", errors.New("neither an index nor an image")
	}
	if IsIndex(served) != list || IsIndex(served) == config {
		return "", fmt.Errorf("served as %s, which it is not", served)
	}
	return served, nil
}

// manifests are the entries of an index. The Go types of the image specification
// write null for none.
func (o object) manifests() ([]json.RawMessage, error) {
	raw, ok := o["manifests"]
	if !ok {
		return nil, errors.New("no manifests")
	}
	if string(raw) == "null" {
		return nil, nil
	}
	var raws []json.RawMessage
	return raws, o.read("manifests", &raws)
}

// readChild reads an entry of an index, with its platform.
func readChild(raw json.RawMessage) (ocispec.Descriptor, error) {
	d, err := readDescriptor(raw)
	if err != nil {
		return d, err
	}
	o, err := parseObject(raw)
	if err != nil {
		return d, err
	}
	return d, o.read("platform", &d.Platform)
}
