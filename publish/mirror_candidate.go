package publish

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// candidate is the bundle as it will be at a destination: the source's own, byte
// for byte, or one that is packed anew in a layout.
func (s *original) candidate(layout ociremote.Layout, previous digest.Digest, now time.Time, warn func(string)) (c candidate, verbatim bool, err error) {
	if s.source != nil && (layout == "" || layout == s.source.Layout) {
		if blobs, ok := s.verbatim(); ok {
			return candidate{bundle: s.source, blobs: blobs, version: s.status.Timestamp.Version}, true, nil
		}
		warn(fmt.Sprintf("the bundle %s is packed anew: it is not made of the verified files alone", s.source.Descriptor.Digest))
	}
	c, err = s.pack(previous, now, ociremote.PackOptions{Layout: layout})
	return c, false, err
}

// pack makes a bundle of the files.
func (s *original) pack(previous digest.Digest, now time.Time, o ociremote.PackOptions) (candidate, error) {
	contents := make([]ociremote.Content, len(s.set.Files))
	for i, f := range s.set.Files {
		contents[i] = ociremote.Content{Title: f.Title, Digest: f.Digest, Size: int64(len(f.Data)), Data: f.Data}
	}
	o.Annotations = annotations(s.versions(), map[string]time.Time{
		"root": s.status.Root.Expires, "timestamp": s.status.Timestamp.Expires,
		"snapshot": s.status.Snapshot.Expires, "targets": s.status.Targets.Expires,
	}, previous, now)
	b, blobs, err := ociremote.Pack(contents, o)
	if err != nil {
		return candidate{}, fmt.Errorf("packing the bundle: %w", err)
	}
	return candidate{bundle: b, blobs: blobs, version: s.status.Timestamp.Version}, nil
}

// emptyConfig is the config of every bundle.
const emptyConfig = "{}"

// verbatim returns the blobs of the source's own manifest, if that can be
// copied as it is: its files are those that were verified, no fewer and no
// more, and what it holds beside them is at hand.
func (s *original) verbatim() ([]ociremote.Blob, bool) {
	if s.source.Legacy || len(s.source.Files) != len(s.set.Files) {
		return nil, false
	}
	data := map[digest.Digest][]byte{digest.FromString(emptyConfig): []byte(emptyConfig)}
	for _, f := range s.set.Files {
		there, ok := s.source.File(f.Title)
		if !ok || there.Descriptor.Digest != f.Digest {
			return nil, false
		}
		data[f.Digest] = f.Data
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(s.source.Manifest, &manifest); err != nil {
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
