package metadata

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// MaxTargetFile bounds a target file. Trust files are small; images are entries, not files.
const MaxTargetFile = 64 << 20

// Target is one entry of a targets role.
type Target struct {
	Path   string
	Role   string
	Length int64
	SHA256 string            // hex
	Hashes map[string]string // algorithm to hex
	Custom json.RawMessage
	Staged bool // the entry is new or differs from the base
}

// TargetOptions are the optional parts of a new entry.
type TargetOptions struct {
	Role   string          // default: targets, or the bin of an images/ name when there are bins
	Custom json.RawMessage // a JSON object, without floats
}

// AddTarget stages a file target, in place of an entry of that path. Its hash is sha256; its bytes are kept until they
// are published. ErrInvalid, ErrReserved, ErrNoRole, ErrNotDelegated.
func (w *Workspace) AddTarget(path string, data []byte, o TargetOptions) (*Target, error) {
	added, err := w.AddTargets([]TargetFile{{Path: path, Data: data, Custom: o.Custom}}, o.Role)
	if err != nil {
		return nil, err
	}
	return &added[0], nil
}

// TargetFile is a file to be added.
type TargetFile struct {
	Path   string
	Data   []byte
	Custom json.RawMessage // a JSON object, without floats; nil for none
}

// AddTargets is AddTarget for several files, all or nothing. Role "" is that of TargetOptions.
func (w *Workspace) AddTargets(files []TargetFile, role string) ([]Target, error) {
	e, err := w.newEdit()
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(files))
	for i, f := range files {
		if err := f.check(); err != nil {
			return nil, err
		}
		sum := checksum(f.Data)
		entries[i] = entry{Path: f.Path, Length: int64(len(f.Data)), Hashes: map[string]string{"sha256": sum}, Custom: f.Custom}
		e.blobs = append(e.blobs, fileChange{path: w.path(blobsDir, sum), data: f.Data})
	}
	added, err := e.addEntries(entries, role)
	if err != nil {
		return nil, err
	}
	return added, e.commit()
}

func (f TargetFile) check() error {
	switch {
	case strings.HasPrefix(f.Path, imagesPrefix):
		return fmt.Errorf("%w: path %q: an image is not a file; give its length and hashes in a list", ErrInvalid, f.Path)
	case len(f.Data) == 0:
		return fmt.Errorf("%w: target %q is a file of zero bytes, which TUF clients differ about", ErrInvalid, f.Path)
	case len(f.Data) > MaxTargetFile:
		return fmt.Errorf("%w: target %q has %d bytes, at most %d are allowed", ErrInvalid, f.Path, len(f.Data), MaxTargetFile)
	}
	return nil
}

// RemoveTarget stages the removal of entries, all or nothing. With role "" an entry is removed from the role in which a
// lookup finds it. ErrNoTarget, ErrNoRole.
func (w *Workspace) RemoveTarget(role string, paths ...string) ([]Target, error) {
	e, err := w.newEdit()
	if err != nil {
		return nil, err
	}
	v := w.view()
	var removed []Target
	for _, p := range paths {
		holder, err := v.holderOf(p, role)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(removed, func(t Target) bool { return t.Path == p }) {
			continue
		}
		md, err := v.targets(holder)
		if err != nil {
			return nil, err
		}
		removed = append(removed, newTarget(holder, p, md.Signed.Targets[p]))
	}
	if err := e.removeEntries(removed); err != nil {
		return nil, err
	}
	return removed, e.commit()
}

// removeEntries stages roles without the entries.
func (e *edit) removeEntries(removed []Target) error {
	byRole := map[string][]string{}
	for _, t := range removed {
		byRole[t.Role] = append(byRole[t.Role], t.Path)
	}
	for role, paths := range byRole {
		err := e.changeTargets(role, func(targets map[string]*tuf.TargetFiles) {
			for _, p := range paths {
				delete(targets, p)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// holderOf finds the role that lists the path: the one named, or the first on a lookup.
func (v *view) holderOf(p, role string) (string, error) {
	candidates := []string{role}
	if role == "" {
		var err error
		if candidates, err = v.visits(p); err != nil {
			return "", err
		}
	} else if _, err := v.rules(role); err != nil {
		return "", err
	}
	for _, r := range candidates {
		md, err := v.targets(r)
		if err != nil {
			return "", err
		}
		if md != nil && md.Signed.Targets[p] != nil {
			return r, nil
		}
	}
	return "", fmt.Errorf("%w: %q", ErrNoTarget, p)
}

// entry is one line of a list of entries.
type entry struct {
	Path   string            `json:"path"`
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom json.RawMessage   `json:"custom,omitempty"`
	role   string            // that is to list it; "": the role of the whole list
}

// target is the entry as it stands in metadata.
func (n entry) target() (*tuf.TargetFiles, error) {
	if len(n.Hashes) != 1 || n.Hashes["sha256"] == "" {
		return nil, fmt.Errorf("%w: target %q: want the hash sha256, and no other", ErrInvalid, n.Path)
	}
	sum, err := hex.DecodeString(n.Hashes["sha256"])
	if err != nil || len(sum) != sha256.Size || hex.EncodeToString(sum) != n.Hashes["sha256"] {
		return nil, fmt.Errorf("%w: target %q: sha256 %q is not 64 lower-case hex digits", ErrInvalid, n.Path, n.Hashes["sha256"])
	}
	if n.Length < 1 || n.Length > maxVersion {
		return nil, fmt.Errorf("%w: target %q: length %d", ErrInvalid, n.Path, n.Length)
	}
	t := &tuf.TargetFiles{Length: n.Length, Hashes: tuf.Hashes{"sha256": sum}, Path: n.Path}
	if len(n.Custom) > 0 {
		custom, err := canonicalCustom(n.Custom)
		if err != nil {
			return nil, fmt.Errorf("%w: target %q: custom: %v", ErrInvalid, n.Path, err)
		}
		t.Custom = &custom
	}
	return t, nil
}

// addEntries stages entries, all or nothing, each in the role given or in the one that roleFor chooses.
func (e *edit) addEntries(entries []entry, role string) ([]Target, error) {
	v := e.w.view()
	var added []Target
	byRole := map[string]map[string]*tuf.TargetFiles{}
	for _, n := range entries {
		if err := checkPathShape(n.Path); err != nil {
			return nil, err
		}
		t, err := n.target()
		if err != nil {
			return nil, err
		}
		r, err := v.listing(n.Path, cmp.Or(n.role, role))
		if err != nil {
			return nil, err
		}
		if byRole[r] == nil {
			byRole[r] = map[string]*tuf.TargetFiles{}
		}
		if byRole[r][n.Path] != nil {
			return nil, fmt.Errorf("%w: target %q is given twice", ErrInvalid, n.Path)
		}
		byRole[r][n.Path] = t
		target := newTarget(r, n.Path, t)
		target.Staged = true
		added = append(added, target)
	}
	for r, targets := range byRole {
		err := e.changeTargets(r, func(all map[string]*tuf.TargetFiles) {
			maps.Copy(all, targets)
		})
		if err != nil {
			return nil, err
		}
	}
	return added, nil
}

// listing is the role that is to list a new entry.
func (v *view) listing(p, role string) (string, error) {
	if role == "" || role == imagesRole || role == binsRole {
		bins, err := v.bins()
		if err != nil {
			return "", err
		}
		if role == "" || bins != nil {
			return v.roleFor(p)
		}
	}
	if typeOf(role) != tuf.TARGETS {
		return "", fmt.Errorf("%w: %q has no targets", ErrInvalid, role)
	}
	if _, err := v.rules(role); err != nil {
		return "", err
	}
	return role, v.checkPathRole(p, role)
}

// changeTargets stages a role with changed entries. What makes no difference is not staged, and keeps its signatures;
// what brings the role back to what is published is staged no more.
func (e *edit) changeTargets(role string, change func(map[string]*tuf.TargetFiles)) error {
	md := newTargets()
	current := e.w.current(role)
	if current != nil {
		var err error
		if md, err = parseFile[tuf.TargetsType](current); err != nil {
			return err
		}
	}
	if md.Signed.Targets == nil {
		md.Signed.Targets = map[string]*tuf.TargetFiles{}
	}
	change(md.Signed.Targets)
	if err := stage(e, role, md); err != nil {
		return err
	}
	last := len(e.files) - 1
	for _, old := range []*roleFile{e.w.base.role(role), current} {
		same, err := sameContent(e.files[last], old)
		if err != nil {
			return err
		}
		if same {
			e.files = e.files[:last]
			if old != current {
				e.drop(role)
			}
			return nil
		}
	}
	return nil
}

func newTarget(role, path string, t *tuf.TargetFiles) Target {
	out := Target{Path: path, Role: role, Length: t.Length, Hashes: map[string]string{}}
	for algorithm, sum := range t.Hashes {
		out.Hashes[algorithm] = hex.EncodeToString(sum)
	}
	out.SHA256 = out.Hashes["sha256"]
	if t.Custom != nil {
		out.Custom = bytes.Clone(*t.Custom)
	}
	return out
}
