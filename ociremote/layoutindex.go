package ociremote

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layoutIndex is an index.json. What is not ours in it is kept byte for byte:
// members, entries, and the fields of entries. It is safe for concurrent use.
type layoutIndex struct {
	members []indexMember

	mu      sync.RWMutex
	entries []layoutEntry
	// Where entries are, by their name, by the tag at the end of a full name, and by
	// digest: an index can have very many.
	names, fulls map[string][]int
	digests      map[digest.Digest][]int
	// fresh are the manifests that nobody has looked for a subject in.
	fresh []ocispec.Descriptor
}

type indexMember struct {
	key string
	raw json.RawMessage // nil for manifests
}

// layoutEntry is one manifest of the index.
type layoutEntry struct {
	raw json.RawMessage
	// desc is empty for an entry that this package does not understand.
	desc ocispec.Descriptor
}

// name is what the entry is called, in whatever form.
func (e layoutEntry) name() string { return e.desc.Annotations[ocispec.AnnotationRefName] }

// elsewhere reports whether the name is that of an image in a repository of its own,
// as PushNamed gives it: its tag is none of the repository that the layout itself is.
func (e layoutEntry) elsewhere() bool { return e.desc.Annotations[AnnotationRepository] != "" }

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
	if err := CheckJSON(data); err != nil {
		return nil, err
	}
	idx := &layoutIndex{}
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.Join(errors.New("no object"), err)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := indexMember{}
		m.key, _ = tok.(string)
		switch {
		case m.key == "manifests":
			err = idx.readEntries(dec)
		case strings.EqualFold(m.key, "manifests"):
			// Written again, it would have two lists, of which others read one.
			err = fmt.Errorf("manifests is spelt %q", shorten(m.key))
		default:
			err = dec.Decode(&m.raw)
		}
		if err != nil {
			return nil, err
		}
		idx.members = append(idx.members, m)
	}
	return idx, nil
}

// readEntries reads the list of manifests, one after the other: there can be very many.
func (idx *layoutIndex) readEntries(dec *json.Decoder) error {
	tok, err := dec.Token()
	switch {
	case err != nil:
		return err
	case tok == nil:
		return nil // the Go types of the image specification write null for no entries
	case tok != json.Delim('['):
		return errors.New("manifests: no list")
	}
	for dec.More() {
		var e layoutEntry
		if err := dec.Decode(&e.raw); err != nil {
			return err
		}
		if e.desc, err = readDescriptor(e.raw); err != nil {
			e.desc = ocispec.Descriptor{}
		}
		idx.append(e)
	}
	_, err = dec.Token()
	return err
}

// append adds an entry. The caller holds the lock, or has the index for itself.
func (idx *layoutIndex) append(e layoutEntry) {
	idx.entries = append(idx.entries, e)
	idx.note(len(idx.entries) - 1)
}

// note makes an entry one that is found.
func (idx *layoutIndex) note(at int) {
	if idx.names == nil {
		idx.names, idx.fulls, idx.digests = map[string][]int{}, map[string][]int{}, map[digest.Digest][]int{}
	}
	e := idx.entries[at]
	if name := e.name(); name != "" {
		idx.names[name] = append(idx.names[name], at)
		if tag := e.tag(); tag != "" && tag != name {
			idx.fulls[tag] = append(idx.fulls[tag], at)
		}
	}
	if d := e.desc.Digest; d != "" {
		idx.digests[d] = append(idx.digests[d], at)
		idx.fresh = append(idx.fresh, plain(e.desc))
	}
}

// encode writes the index again.
func (idx *layoutIndex) encode() ([]byte, error) {
	idx.mu.RLock()
	defer idx.mu.RUnlock()
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

// find returns the manifests with a name, each once: those that are called so, or
// else those with a full reference that ends in this tag. own leaves out images that
// have a repository of their own.
func (idx *layoutIndex) find(name string, own bool) ([]ocispec.Descriptor, error) {
	idx.mu.RLock()
	defer idx.mu.RUnlock()
	switch called := idx.once(idx.names[name], false); {
	case len(called) > 1:
		return nil, errors.New("two manifests are called " + name)
	case len(called) == 1:
		return called, nil
	}
	return idx.once(idx.fulls[name], own), nil
}

// once are the manifests of entries, each once. The caller holds the lock.
func (idx *layoutIndex) once(entries []int, own bool) []ocispec.Descriptor {
	var found []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	for _, at := range entries {
		e := idx.entries[at]
		if seen[e.desc.Digest] || own && e.elsewhere() {
			continue
		}
		seen[e.desc.Digest] = true
		found = append(found, plain(e.desc))
	}
	return found
}

// lists finds a manifest by its digest.
func (idx *layoutIndex) lists(dgst digest.Digest) (ocispec.Descriptor, bool) {
	idx.mu.RLock()
	defer idx.mu.RUnlock()
	at := idx.digests[dgst]
	if len(at) == 0 {
		return ocispec.Descriptor{}, false
	}
	return plain(idx.entries[at[0]].desc), true
}

// list returns the entries as they are now.
func (idx *layoutIndex) list() []layoutEntry {
	idx.mu.RLock()
	defer idx.mu.RUnlock()
	return slices.Clone(idx.entries)
}

// takeFresh returns the manifests that were not looked at, and takes them as looked
// at.
func (idx *layoutIndex) takeFresh() []ocispec.Descriptor {
	idx.mu.Lock()
	defer idx.mu.Unlock()
	fresh := idx.fresh
	idx.fresh = nil
	return fresh
}

// giveBack is for those that were not looked at after all.
func (idx *layoutIndex) giveBack(fresh []ocispec.Descriptor) {
	idx.mu.Lock()
	defer idx.mu.Unlock()
	idx.fresh = append(idx.fresh, fresh...)
}

// tags are all of them, sorted, each once. Those of images in repositories of their
// own are none.
func (idx *layoutIndex) tags() []string {
	var tags []string
	for _, e := range idx.list() {
		if tag := e.tag(); tag != "" && !e.elsewhere() {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// set gives a manifest a name and takes it from any other. Without a name it is
// listed, if it is not yet.
func (idx *layoutIndex) set(e indexName) error {
	d := plain(e.desc)
	d.ArtifactType = e.desc.ArtifactType
	if e.name != "" || len(e.annotations) > 0 {
		d.Annotations = maps.Clone(e.annotations)
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
	}
	if e.name != "" {
		d.Annotations[ocispec.AnnotationRefName] = e.name
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	idx.mu.Lock()
	defer idx.mu.Unlock()
	if e.name == "" {
		if len(idx.digests[d.Digest]) == 0 {
			idx.append(layoutEntry{raw, d})
		}
		return nil
	}
	if len(idx.names[e.name]) == 0 {
		idx.append(layoutEntry{raw, d})
		return nil
	}
	if at := idx.names[e.name][0]; idx.entries[at].desc.Digest != d.Digest {
		idx.forget(at)
		idx.entries[at] = layoutEntry{raw, d}
		idx.note(at)
	}
	return nil
}

// indexName is an entry to write.
type indexName struct {
	desc        ocispec.Descriptor
	name        string
	annotations map[string]string
}

// forget makes an entry one that is not found.
func (idx *layoutIndex) forget(at int) {
	drop := func(list []int) []int { return slices.DeleteFunc(list, func(i int) bool { return i == at }) }
	e := idx.entries[at]
	idx.names[e.name()] = drop(idx.names[e.name()])
	if tag := e.tag(); tag != "" {
		idx.fulls[tag] = drop(idx.fulls[tag])
	}
	idx.digests[e.desc.Digest] = drop(idx.digests[e.desc.Digest])
}

// remove drops the entries of a manifest.
func (idx *layoutIndex) remove(dgst digest.Digest) {
	idx.mu.Lock()
	defer idx.mu.Unlock()
	idx.entries = slices.DeleteFunc(idx.entries, func(e layoutEntry) bool { return e.desc.Digest == dgst })
	idx.renumber()
}

// untag drops the entries that give a manifest a tag of this layout, and reports
// whether there were any.
func (idx *layoutIndex) untag(tag string) bool {
	idx.mu.Lock()
	defer idx.mu.Unlock()
	before := len(idx.entries)
	idx.entries = slices.DeleteFunc(idx.entries, func(e layoutEntry) bool { return e.tag() == tag && !e.elsewhere() })
	idx.renumber()
	return len(idx.entries) < before
}

// sort puts the entries in an order that does not depend on how they came: bare
// tags, full names, and what has no name.
func (idx *layoutIndex) sort() {
	idx.mu.Lock()
	defer idx.mu.Unlock()
	place := func(e layoutEntry) int {
		switch name := e.name(); {
		case name == "":
			return 2
		case tagName.MatchString(name):
			return 0
		}
		return 1
	}
	slices.SortStableFunc(idx.entries, func(a, b layoutEntry) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.name(), b.name()), cmp.Compare(a.desc.Digest, b.desc.Digest))
	})
	idx.renumber()
}

// renumber finds all entries anew.
func (idx *layoutIndex) renumber() {
	fresh := idx.fresh
	idx.names, idx.fulls, idx.digests = nil, nil, nil
	for at := range idx.entries {
		idx.note(at)
	}
	idx.fresh = fresh
}
