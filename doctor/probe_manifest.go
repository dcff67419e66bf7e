package doctor

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

const (
	mediaTypeManifest = ocispec.MediaTypeImageManifest
	mediaTypeProbe    = "application/vnd.tuf.target"
	// annotationProbe marks a manifest as one of the probes, and makes it one that nobody else has.
	annotationProbe = "io.tufoci.doctor"
	// padding is the length of an annotation that fills a manifest: what every registry takes.
	padding = 200
)

var (
	emptyConfig  = []byte("{}")
	smallPayload = []byte("a probe of tufoci doctor\n")
)

// manifest is a probe as it is sent.
type manifest struct {
	mediaType string
	digest    digest.Digest
	data      []byte
}

func blobOf(data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaTypeProbe, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// newManifest makes a probe of the shape that a bundle has in a layout, which no other run makes.
func (p *probe) newManifest(layout ociremote.Layout, payload []byte, subject *ocispec.Descriptor) (manifest, error) {
	m := p.shape(layout, payload, subject)
	return sealed(m)
}

func (p *probe) shape(layout ociremote.Layout, payload []byte, subject *ocispec.Descriptor) *ocispec.Manifest {
	p.nonce++
	m := &ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    mediaTypeManifest,
		ArtifactType: ociremote.MediaTypeBundle,
		Config:       blobOf(emptyConfig),
		Layers:       []ocispec.Descriptor{blobOf(payload)},
		Subject:      subject,
		Annotations:  map[string]string{annotationProbe: fmt.Sprintf("%s-%d", p.suffix, p.nonce)},
	}
	m.Config.MediaType = ocispec.MediaTypeEmptyJSON
	if layout == ociremote.LayoutGitLab {
		m.ArtifactType, m.Config.MediaType = "", ocispec.MediaTypeImageConfig
	}
	if layout != ociremote.LayoutNoData {
		m.Config.Data, m.Layers[0].Data = emptyConfig, payload
	}
	return m
}

func sealed(m *ocispec.Manifest) (manifest, error) {
	data, err := json.Marshal(m)
	return manifest{m.MediaType, digest.FromBytes(data), data}, err
}

// newManifestOf makes a probe of the size given, in bytes, or up to 30 less: by what is inline, as a bundle is, or by annotations where
// nothing may be. The payload has to be pushed first.
func (p *probe) newManifestOf(size int, layout ociremote.Layout) (m manifest, payload []byte, err error) {
	payload = smallPayload
	shape := p.shape(layout, payload, nil)
	if layout != ociremote.LayoutNoData {
		// The content is always the same, so that runs that cannot delete leave it once.
		payload = []byte(strings.Repeat("tufoci doctor ", size/14))[:max(size-4<<10, 0)/4*3]
		d := blobOf(payload)
		d.Data = payload
		shape.Layers[0] = d
	}
	bare, err := sealed(shape)
	if err != nil {
		return m, nil, err
	}
	fill(shape.Annotations, size-len(bare.data))
	m, err = sealed(shape)
	return m, payload, err
}

// fill adds annotations that make a manifest larger by so many bytes, or by a little less.
func fill(annotations map[string]string, missing int) {
	for n := 0; ; n++ {
		key := fmt.Sprintf("%s.%06d", annotationProbe, n)
		room := missing - len(`,"":""`) - len(key)
		if room <= 0 {
			return
		}
		value := strings.Repeat("x", min(room, padding))
		annotations[key] = value
		missing = room - len(value)
	}
}
