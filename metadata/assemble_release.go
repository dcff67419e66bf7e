package metadata

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxKeptTarget is the largest published target file whose bytes stay in the workspace: the size up to which it may go
// into the inline layer.
const maxKeptTarget = 64 << 10

// release writes down what was assembled.
func (a *assembly) release() (*Release, error) {
	r := &Release{Changed: a.changed, Unchanged: len(a.changed) == 0, Expires: map[string]time.Time{}, onto: a.head}
	for _, f := range a.notes {
		if f.Level == LevelWarning {
			r.Warnings = append(r.Warnings, f)
		}
	}
	if err := a.addMetadata(r); err != nil {
		return nil, err
	}
	if err := a.addTargets(r); err != nil {
		return nil, err
	}
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	r.RootVersion = a.next[tuf.ROOT].version
	r.TimestampVersion = a.next[tuf.TIMESTAMP].version
	r.SnapshotVersion = a.next[tuf.SNAPSHOT].version
	r.TargetsVersion = a.next[tuf.TARGETS].version
	for _, role := range []string{tuf.ROOT, tuf.TIMESTAMP, tuf.SNAPSHOT, tuf.TARGETS} {
		r.Expires[role] = a.next[role].expires
	}
	for _, c := range a.changed {
		r.Expires[c.Role] = a.next[c.Role].expires
	}
	return r, nil
}

// addMetadata adds every root and the newest file of every other role.
func (a *assembly) addMetadata(r *Release) error {
	roots := []*roleFile{}
	if a.head != nil {
		roots = slices.Clone(a.head.roots)
	}
	if newest := a.next[tuf.ROOT]; len(roots) == 0 || newest.version > roots[len(roots)-1].version {
		roots = append(roots, newest)
	}
	files := roots
	for role, f := range a.next {
		if role != tuf.ROOT {
			files = append(files, f)
		}
	}
	for _, f := range files {
		file := File{Name: Title(f.role, f.version), SHA256: f.sum, Length: f.length}
		if !f.away {
			var err error
			if file.Data, err = bytesOf(f); err != nil {
				return err
			}
		}
		r.Files = append(r.Files, file)
	}
	var err error
	r.Root1, err = bytesOf(roots[0])
	return err
}

// addTargets adds the target file of every entry that is not an image. Hash bins list images only.
func (a *assembly) addTargets(r *Release) error {
	roles, err := a.view.targetRoles()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, role := range roles {
		if _, isBin, err := a.view.binParent(role); err != nil {
			return err
		} else if isBin || a.next[role] == nil {
			continue
		}
		entries, err := fileEntries(a.next[role])
		if err != nil {
			return err
		}
		for _, n := range entries {
			name := TargetTitle(n.Path, n.Hashes["sha256"])
			if seen[name] {
				continue
			}
			seen[name] = true
			f, err := a.targetFile(name, n)
			if err != nil {
				return err
			}
			r.Files = append(r.Files, f)
		}
	}
	return nil
}

// fileEntries lists the entries of a role that are files, without parsing it as go-tuf does: a role can have a hundred
// thousand images and three files.
func fileEntries(f *roleFile) ([]entry, error) {
	data, err := bytesOf(f)
	if err != nil {
		return nil, err
	}
	var file struct {
		Signed struct {
			Targets map[string]struct {
				Length int64             `json:"length"`
				Hashes map[string]string `json:"hashes"`
			} `json:"targets"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("role %q: %w: %v", f.role, ErrDamaged, err)
	}
	var out []entry
	for path, t := range file.Signed.Targets {
		if !strings.HasPrefix(path, imagesPrefix) {
			out = append(out, entry{Path: path, Length: t.Length, Hashes: t.Hashes})
		}
	}
	return out, nil
}

// targetFile finds the bytes of a target file here, or in the head.
func (a *assembly) targetFile(name string, n entry) (File, error) {
	sum := n.Hashes["sha256"]
	f := File{Name: name, SHA256: sum, Length: n.Length}
	data, err := a.by.blob(n)
	if err != nil {
		return File{}, err
	}
	if data != nil {
		f.Data = data
		return f, nil
	}
	if a.head != nil && a.head.targets[name].SHA256 == sum {
		return f, nil
	}
	return File{}, fmt.Errorf("%w: the bytes of target %q are neither in the workspace nor in the head; add the target again", ErrDamaged, n.Path)
}

// isSHA256 reports whether a hash is one in hex, as files are named by it.
func isSHA256(sum string) bool {
	return len(sum) == 64 && !strings.ContainsFunc(sum, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
}
