package metadata

import (
	"fmt"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// headState is a head taken apart. Its roles are read when they are needed.
type headState struct {
	digest   string
	absent   bool                 // the channel is empty: this is what was published last, here or elsewhere
	roots    []*roleFile          // v1 to the newest
	roles    map[string]*roleFile // without root
	targets  map[string]File      // target files by title
	snapshot *tuf.Metadata[tuf.SnapshotType]
	stamp    *tuf.Metadata[tuf.TimestampType]
}

// role returns the newest file of a role, nil if there is none.
func (h *headState) role(name string) *roleFile {
	switch {
	case h == nil:
		return nil
	case name == tuf.ROOT:
		return h.roots[len(h.roots)-1]
	}
	return h.roles[name]
}

// version is that of the newest file of a role, or what the snapshot says of one without a file; 0 if there is none.
func (h *headState) version(name string) int64 {
	if f := h.role(name); f != nil {
		return f.version
	}
	if h != nil {
		if m := h.snapshot.Signed.Meta[name+".json"]; m != nil {
			return m.Version
		}
	}
	return 0
}

// newHeadState takes a head apart. Metadata without bytes must be a file that the base has.
func newHeadState(head *Head, known *base) (*headState, error) {
	h := &headState{digest: head.Digest, roles: map[string]*roleFile{}, targets: map[string]File{}}
	for _, f := range head.Files {
		role, version, ok := ParseTitle(f.Name)
		if !ok {
			h.targets[f.Name] = f
			continue
		}
		file, err := known.headFile(role, version, f)
		if err != nil {
			return nil, err
		}
		if role == tuf.ROOT {
			h.roots = append(h.roots, file)
		} else if old := h.roles[role]; old == nil || old.version < file.version {
			h.roles[role] = file
		}
	}
	return h, h.check()
}

// baseAsHead takes what was published last for the head: the channel is empty, so it is published again.
func (w *Workspace) baseAsHead() (*headState, error) {
	if w.base == nil {
		return nil, nil
	}
	h := &headState{digest: w.base.info.Digest, absent: true, roots: w.base.roots, roles: w.base.roles, targets: map[string]File{}}
	return h, h.check()
}

// headFile describes one metadata file of a head, without parsing more than its first members, and that only when its
// bytes are not those of the base, which may be nil.
func (b *base) headFile(role string, version int64, f File) (*roleFile, error) {
	sum := f.SHA256
	if f.Data != nil {
		sum = checksum(f.Data)
	}
	published := b.role(role)
	if role == tuf.ROOT && b != nil && version <= int64(len(b.roots)) {
		published = b.roots[version-1]
	}
	if published != nil && published.sum == sum {
		same := *published
		if same.away = f.Data == nil; !same.away {
			same.read = func() ([]byte, error) { return f.Data, nil }
		}
		return &same, nil
	}
	if f.Data == nil {
		return nil, fmt.Errorf("role %q v%d of the head: %w", role, version, errNoBytes)
	}
	file, err := newRoleFile(role, f.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrHead, err)
	}
	if version != 0 && file.version != version {
		return nil, fmt.Errorf("%w: %s holds v%d", ErrHead, f.Name, file.version)
	}
	return file, nil
}

// check holds the head to the shape of a repository; its signatures were verified by who fetched it.
func (h *headState) check() error {
	slices.SortFunc(h.roots, func(a, b *roleFile) int { return int(a.version - b.version) })
	for i, r := range h.roots {
		if r.version != int64(i+1) {
			return fmt.Errorf("%w: it lacks root v%d", ErrHead, i+1)
		}
	}
	if len(h.roots) == 0 || h.roles[tuf.TARGETS] == nil || h.roles[tuf.SNAPSHOT] == nil || h.roles[tuf.TIMESTAMP] == nil {
		return fmt.Errorf("%w: it lacks a top-level role", ErrHead)
	}
	var err error
	if h.snapshot, err = parseFile[tuf.SnapshotType](h.roles[tuf.SNAPSHOT]); err != nil {
		return fmt.Errorf("%w: %v", ErrHead, err)
	}
	if h.stamp, err = parseFile[tuf.TimestampType](h.roles[tuf.TIMESTAMP]); err != nil {
		return fmt.Errorf("%w: %v", ErrHead, err)
	}
	return nil
}

// lineage holds the head to the repository of this workspace: its roots continue those of the base, or start with the
// root that is staged. ErrForeignHead.
func (w *Workspace) lineage(h *headState) error {
	if h == nil {
		return nil
	}
	if w.base != nil {
		return continues(h, w.base.roots)
	}
	return continues(h, []*roleFile{w.staged[tuf.ROOT]})
}

// continues holds a head to roots with which its own have to begin.
func continues(h *headState, ours []*roleFile) error {
	for i, r := range ours {
		if i >= len(h.roots) {
			return fmt.Errorf("%w: it has roots up to v%d, this workspace has v%d", ErrForeignHead, len(h.roots), len(ours))
		}
		if h.roots[i].sum != r.sum {
			return fmt.Errorf("%w: root v%d has sha256 %s, here it has %s", ErrForeignHead, i+1, h.roots[i].sum, r.sum)
		}
	}
	return nil
}
