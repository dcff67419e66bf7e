package publish

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// candidate is the bundle as it will be at the destination.
func (m *mirroring) candidate(old *ociremote.Bundle) (c candidate, verbatim bool, err error) {
	if m.source != nil && (m.o.Layout == "" || m.o.Layout == m.source.Layout) {
		if blobs, ok := m.verbatim(); ok {
			return candidate{bundle: m.source, blobs: blobs, version: m.status.Timestamp.Version}, true, nil
		}
		m.dst.warn(fmt.Sprintf("the bundle %s is packed anew: it is not made of the verified files alone", m.source.Descriptor.Digest))
	}
	contents := make([]ociremote.Content, len(m.set.Files))
	for i, f := range m.set.Files {
		contents[i] = ociremote.Content{Title: f.Title, Digest: f.Digest, Size: int64(len(f.Data)), Data: f.Data}
	}
	var previous digest.Digest
	if old != nil {
		previous = old.Descriptor.Digest
	}
	expires := map[string]time.Time{
		"root": m.status.Root.Expires, "timestamp": m.status.Timestamp.Expires,
		"snapshot": m.status.Snapshot.Expires, "targets": m.status.Targets.Expires,
	}
	b, blobs, err := ociremote.Pack(contents, ociremote.PackOptions{
		Layout:      m.o.Layout,
		Annotations: annotations(m.versions(), expires, previous, m.o.Now()),
	})
	if err != nil {
		return candidate{}, false, fmt.Errorf("packing the bundle: %w", err)
	}
	return candidate{bundle: b, blobs: blobs, version: m.status.Timestamp.Version}, false, nil
}

// emptyConfig is the config of every bundle.
const emptyConfig = "{}"

// verbatim returns the blobs of the source's own manifest, if that can be
// copied as it is: its files are those that were verified, no fewer and no
// more, and what it holds beside them is at hand.
func (m *mirroring) verbatim() ([]ociremote.Blob, bool) {
	if m.source.Legacy || len(m.source.Files) != len(m.set.Files) {
		return nil, false
	}
	data := map[digest.Digest][]byte{digest.FromString(emptyConfig): []byte(emptyConfig)}
	for _, f := range m.set.Files {
		there, ok := m.source.File(f.Title)
		if !ok || there.Descriptor.Digest != f.Digest {
			return nil, false
		}
		data[f.Digest] = f.Data
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.source.Manifest, &manifest); err != nil {
		return nil, false
	}
	var all []ociremote.Blob
	seen := map[digest.Digest]bool{}
	for _, desc := range append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...) {
		if seen[desc.Digest] {
			continue
		}
		seen[desc.Digest] = true
		blob := ociremote.Blob{Descriptor: desc, Data: data[desc.Digest]}
		if blob.Data == nil {
			blob.Data = desc.Data
		}
		if int64(len(blob.Data)) != desc.Size || digest.FromBytes(blob.Data) != desc.Digest {
			return nil, false
		}
		all = append(all, blob)
	}
	return all, true
}
