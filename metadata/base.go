package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// baseIndexFile commits the base: what it does not name is not part of it.
const baseIndexFile = "base.json"

// base is what was published last. Its files have names of their own and never change; base.json is replaced last, so
// that a killed process leaves the old base or the new one.
type base struct {
	info  BaseInfo
	pin   int64       // version of the root that the repository is verified from, see pinned
	adopt bool        // the next head replaces this base whatever it holds, see ResetAll and Adopt
	roots []*roleFile // v1 to the newest
	roles map[string]*roleFile
}

type baseIndex struct {
	Version   int         `json:"version"`
	Digest    string      `json:"digest"`
	Tag       string      `json:"tag"`
	FetchedAt time.Time   `json:"fetchedAt"`
	Pin       int64       `json:"pin,omitempty"`
	Adopt     bool        `json:"adopt,omitempty"`
	Files     []baseEntry `json:"files"`
}

// baseEntry says what a file must hold, and what would otherwise need parsing it.
type baseEntry struct {
	Role    string    `json:"role"`
	Version int64     `json:"version"`
	File    string    `json:"file"`
	SHA256  string    `json:"sha256"`
	Length  int64     `json:"length"`
	Expires time.Time `json:"expires"`
	Period  int64     `json:"period,omitempty"` // seconds
}

// role returns the newest published file of a role, nil if there is none.
func (b *base) role(name string) *roleFile {
	switch {
	case b == nil:
		return nil
	case name == tuf.ROOT:
		return b.roots[len(b.roots)-1]
	}
	return b.roles[name]
}

// pinned is the version of the root that the repository is verified from: the first one, unless it was adopted from
// a later one.
func (b *base) pinned() int64 { return max(b.pin, 1) }

// version is that of the newest published file of a role, 0 if there is none.
func (b *base) version(name string) int64 {
	if f := b.role(name); f != nil {
		return f.version
	}
	return 0
}

// all lists every file, roots first.
func (b *base) all() []*roleFile {
	files := slices.Clone(b.roots)
	for _, name := range slices.Sorted(maps.Keys(b.roles)) {
		files = append(files, b.roles[name])
	}
	return files
}

// loadBase reads the index of the base; nil when nothing was published yet. The files are read when they are needed,
// and then held to the index.
func loadBase(dir string) (*base, error) {
	data, err := readBounded(filepath.Join(dir, baseIndexFile), maxRoleFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var index baseIndex
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrDamaged, baseIndexFile, err)
	}
	if index.Version != 1 {
		return nil, fmt.Errorf("%w: %s has format version %d, this program knows 1", ErrDamaged, baseIndexFile, index.Version)
	}
	b := &base{
		info:  BaseInfo{Digest: index.Digest, Tag: index.Tag, FetchedAt: index.FetchedAt},
		pin:   index.Pin,
		adopt: index.Adopt,
		roles: map[string]*roleFile{},
	}
	for _, e := range index.Files {
		if filepath.Base(e.File) != e.File {
			return nil, fmt.Errorf("%w: %s names the file %q", ErrDamaged, baseIndexFile, e.File)
		}
		f := &roleFile{
			role: e.Role, version: e.Version, sum: e.SHA256, length: e.Length,
			expires: e.Expires, period: time.Duration(e.Period) * time.Second,
		}
		f.file = e.File
		f.read = func() ([]byte, error) { return readChecked(filepath.Join(dir, e.File), f.sum) }
		if e.Role == tuf.ROOT {
			b.roots = append(b.roots, f)
		} else {
			b.roles[e.Role] = f
		}
	}
	for i, r := range b.roots {
		if r.version != int64(i+1) {
			return nil, fmt.Errorf("%w: %s has root v%d in the place of v%d", ErrDamaged, baseIndexFile, r.version, i+1)
		}
	}
	if b.pinned() > int64(len(b.roots)) || b.roles[tuf.TARGETS] == nil || b.roles[tuf.SNAPSHOT] == nil || b.roles[tuf.TIMESTAMP] == nil {
		return nil, fmt.Errorf("%w: %s lacks a top-level role", ErrDamaged, baseIndexFile)
	}
	return b, nil
}

// readChecked reads a file whose bytes are known by their sha256.
func readChecked(path, sum string) ([]byte, error) {
	data, err := readBounded(path, maxRoleFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if checksum(data) != sum {
		return nil, fmt.Errorf("%w: %s is not what was published", ErrDamaged, path)
	}
	return data, nil
}

// saveBase makes the files given the base: new files first, then the index, then away with what it no longer names.
func saveBase(d *disk, dir string, b *base) error {
	index := baseIndex{
		Version: 1, Digest: b.info.Digest, Tag: b.info.Tag, FetchedAt: seconds(b.info.FetchedAt), Adopt: b.adopt,
		Pin: b.pin,
	}
	keep := map[string]bool{baseIndexFile: true}
	var changes []fileChange
	for _, f := range b.all() {
		name, exists := freeName(dir, f)
		if !exists {
			data, err := f.read()
			if err != nil {
				return err
			}
			if data == nil {
				return fmt.Errorf("bytes of %s v%d are not at hand", f.role, f.version)
			}
			changes = append(changes, fileChange{path: filepath.Join(dir, name), data: data})
		}
		keep[name], f.file = true, name
		index.Files = append(index.Files, baseEntry{
			Role: f.role, Version: f.version, File: name, SHA256: f.sum, Length: f.length,
			Expires: f.expires, Period: int64(f.period / time.Second),
		})
	}
	if err := d.writeAll(dir, changes); err != nil {
		return err
	}
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := d.write(filepath.Join(dir, baseIndexFile), append(data, '\n'), 0o600); err != nil {
		return err
	}
	return removeOthers(d, dir, keep)
}

// removeOthers removes the files of a directory that are not to be kept.
func removeOthers(d *disk, dir string, keep map[string]bool) error {
	names, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !keep[name] {
			if err := d.remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// freeName is the name under which the file is, or can be, in the directory. Two publishers can have made one version
// of a role with different bytes: the file of the old base must not be overwritten while base.json still names it.
func freeName(dir string, f *roleFile) (name string, exists bool) {
	if f.file != "" {
		if info, err := os.Stat(filepath.Join(dir, f.file)); err == nil && info.Size() == f.length {
			return f.file, true
		}
	}
	name = fileName(f.role, f.version)
	for i := 2; ; i++ {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return name, false
		}
		if checksum(data) == f.sum {
			return name, true
		}
		name = fileName(f.role, f.version) + "~" + strconv.Itoa(i)
	}
}
