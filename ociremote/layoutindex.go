package ociremote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layoutIndex is an index.json. What is not ours in it is kept byte for byte:
// members, entries, and the fields of entries.
type layoutIndex struct {
	members []indexMember
	entries []layoutEntry
}

type indexMember struct {
	key string
	raw json.RawMessage
}

// layoutEntry is one manifest of the index.
type layoutEntry struct {
	raw json.RawMessage
	// desc is empty for an entry that this package does not understand.
	desc ocispec.Descriptor
}

// name is what the entry is called, in whatever form.
func (e layoutEntry) name() string { return e.desc.Annotations[ocispec.AnnotationRefName] }

// tag is the tag in the name: the name itself, or the end of a full reference.
func (e layoutEntry) tag() string {
	name := e.name()
	if tagName.MatchString(name) {
		return name
	}
	i := strings.LastIndexByte(name, ':')
	if i < 0 || !strings.Contains(name[:i], "/") || !tagName.MatchString(name[i+1:]) {
		return ""
	}
	return name[i+1:]
}

// emptyIndex is the index of a new layout.
func emptyIndex() *layoutIndex {
	mediaType, _ := json.Marshal(ocispec.MediaTypeImageIndex)
	return &layoutIndex{members: []indexMember{
		{"schemaVersion", json.RawMessage("2")}, {"mediaType", mediaType}, {"manifests", json.RawMessage("[]")},
	}}
}

// parseIndex reads an index.json.
func parseIndex(data []byte) (*layoutIndex, error) {
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	top, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	idx := &layoutIndex{}
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := tok.(string)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		idx.members = append(idx.members, indexMember{key, raw})
	}
	// The Go types of the image specification write null for no entries.
	var raws []json.RawMessage
	if string(top["manifests"]) == "null" {
		delete(top, "manifests")
	}
	if err := top.read("manifests", &raws); err != nil {
		return nil, err
	}
	for _, raw := range raws {
		desc, err := readDescriptor(raw)
		if err != nil {
			desc = ocispec.Descriptor{}
		}
		idx.entries = append(idx.entries, layoutEntry{raw, desc})
	}
	return idx, nil
}

// encode writes the index again.
func (idx *layoutIndex) encode() ([]byte, error) {
	raws := make([]json.RawMessage, len(idx.entries))
	for i, e := range idx.entries {
		raws[i] = e.raw
	}
	var buf bytes.Buffer
	buf.WriteByte('{')
	written := false
	for _, m := range append(slices.Clone(idx.members), indexMember{key: "manifests"}) {
		if m.key == "manifests" {
			if written {
				continue
			}
			m.raw, written = joinRaw(raws), true
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		if buf.Len() > 1 {
			buf.WriteByte(',')
		}
		buf.Write(key)
		buf.WriteByte(':')
		buf.Write(m.raw)
	}
	buf.WriteByte('}')
	if buf.Len() > maxIndex {
		return nil, fmt.Errorf("index.json: %w, the limit is %d bytes", ErrTooLarge, maxIndex)
	}
	return buf.Bytes(), nil
}

func joinRaw(raws []json.RawMessage) json.RawMessage {
	out := []byte{'['}
	for i, raw := range raws {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	return append(out, ']')
}

// find returns the manifests with a tag, each once: those with the bare tag, or
// else those with a full reference.
func (idx *layoutIndex) find(tag string) ([]ocispec.Descriptor, error) {
	var bare, full []ocispec.Descriptor
	for _, e := range idx.entries {
		switch {
		case e.name() == tag:
			bare = addOnce(bare, e.desc)
		case e.tag() == tag:
			full = addOnce(full, e.desc)
		}
	}
	if len(bare) > 1 {
		return nil, errors.New("two manifests are called " + tag)
	}
	if len(bare) == 1 {
		return bare, nil
	}
	return full, nil
}

func addOnce(list []ocispec.Descriptor, d ocispec.Descriptor) []ocispec.Descriptor {
	if slices.ContainsFunc(list, func(o ocispec.Descriptor) bool { return o.Digest == d.Digest }) {
		return list
	}
	return append(list, plain(d))
}

// tags are all of them, sorted, each once.
func (idx *layoutIndex) tags() []string {
	var tags []string
	for _, e := range idx.entries {
		if tag := e.tag(); tag != "" {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// set gives a manifest a bare tag and takes it from any other.
func (idx *layoutIndex) set(desc ocispec.Descriptor, tag string) error {
	d := plain(desc)
	d.ArtifactType = desc.ArtifactType
	d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(idx.entries, func(e layoutEntry) bool { return e.name() == tag })
	if at < 0 {
		idx.entries = append(idx.entries, layoutEntry{raw, d})
		return nil
	}
	if idx.entries[at].desc.Digest == d.Digest {
		return nil
	}
	idx.entries[at] = layoutEntry{raw, d}
	return nil
}

// remove drops the entries of a manifest.
func (idx *layoutIndex) remove(dgst digest.Digest) {
	idx.entries = slices.DeleteFunc(idx.entries, func(e layoutEntry) bool { return e.desc.Digest == dgst })
}
