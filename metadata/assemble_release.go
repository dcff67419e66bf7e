package metadata

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// MaxKeptTarget is the largest published target file, in bytes, that stays in the workspace: the size up to which it may
// go into the inline layer.
const MaxKeptTarget = 64 << 10

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
			name := TargetTitle(n.Path, FileHash(n.Hashes))
			if seen[name] {
				continue
			}
			f, err := a.targetFile(name, n)
			if errors.Is(err, errNoTargetBytes) {
				if unused, err := a.view.unused(role, n.Path); err != nil || unused {
					if err != nil {
						return err
					}
					continue
				}
			}
			if err != nil {
				return err
			}
			seen[name] = true
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

// errNoTargetBytes: the bytes of a target file are nowhere to be found.
var errNoTargetBytes = fmt.Errorf("%w: its bytes are neither in the workspace nor in the head; add the target again", ErrDamaged)

// targetFile finds the bytes of a target file here, or in the head.
func (a *assembly) targetFile(name string, n entry) (File, error) {
	f := File{Name: name, SHA256: n.Hashes["sha256"], Length: n.Length}
	data, err := a.by.blob(n)
	if err != nil {
		return File{}, err
	}
	if data != nil {
		f.Data, f.SHA256 = data, checksum(data)
		return f, nil
	}
	if a.head != nil {
		if there, ok := a.head.targets[name]; ok && (f.SHA256 == "" || f.SHA256 == there.SHA256) {
			f.SHA256 = there.SHA256
			return f, nil
		}
	}
	return File{}, fmt.Errorf("target %q: %w", n.Path, errNoTargetBytes)
}

// unused reports whether no lookup of a path ends at the entry that a role has for it: other programs publish such
// entries, with files that nobody can ask for.
func (v *view) unused(role, path string) (bool, error) {
	found, err := v.listings(path)
	return err == nil && (len(found) == 0 || found[0].role != role), err
}

// FileHash is the hash by which the file of an entry is named, in hex: its sha256, else what else it has, as other
// programs write it (TUF spec 5.7.3); "" if it has none that is known.
func FileHash(hashes map[string]string) string {
	for _, algorithm := range []string{"sha256", "sha512"} {
		if sum := hashes[algorithm]; sum != "" {
			return sum
		}
	}
	return ""
}

// hasFileHash reports whether bytes have a hash that FileHash returned.
func hasFileHash(data []byte, sum string) bool {
	if len(sum) == 2*sha512.Size {
		got := sha512.Sum512(data)
		return hex.EncodeToString(got[:]) == sum
	}
	return checksum(data) == sum
}

// isHash reports whether a hash is sha256 or sha512 in hex, as files are named by it.
func isHash(sum string) bool {
	return (len(sum) == 2*sha256.Size || len(sum) == 2*sha512.Size) && isHex(sum)
}

// isSHA256 reports whether a hash is a sha256 in hex.
func isSHA256(sum string) bool { return len(sum) == 2*sha256.Size && isHex(sum) }

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
}
