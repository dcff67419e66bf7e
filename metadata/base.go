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

	least   map[string]int64 // least next version by role, where that is more than the one after the base: see next
	earlier []*base          // what the base was built on, newest first: only digest, roots and roles
	rebased []*roleFile      // what is staged now, if not nil: see Rebase
}

type baseIndex struct {
	Version   int              `json:"version"`
	Digest    string           `json:"digest"`
	Tag       string           `json:"tag"`
	FetchedAt time.Time        `json:"fetchedAt"`
	Pin       int64            `json:"pin,omitempty"`
	Adopt     bool             `json:"adopt,omitempty"`
	Files     []baseEntry      `json:"files"`
	Least     map[string]int64 `json:"least,omitempty"`
	Earlier   []earlierIndex   `json:"earlier,omitempty"`
	Rebased   *[]baseEntry     `json:"rebased,omitempty"`
}

type earlierIndex struct {
	Digest string      `json:"digest"`
	Files  []baseEntry `json:"files"`
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

// next is the version after the base. A version that was published from here and overwritten is not used a second time:
// clients that saw it take no lower one, nor other bytes under its number.
func (b *base) next(role string) int64 {
	next := b.version(role) + 1
	if b != nil {
		next = max(next, b.least[role])
	}
	return next
}

// follows reports whether a version can be staged on the base: the next one, or one that was overwritten and is to be
// published again as it is.
func (b *base) follows(role string, version int64) bool {
	after := b.version(role) + 1
	return version == after || version > after && version <= b.next(role)
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
	b, err := index.base(dir)
	if err != nil {
		return nil, err
	}
	b.info = BaseInfo{Digest: index.Digest, Tag: index.Tag, FetchedAt: index.FetchedAt}
	b.pin, b.adopt, b.least = index.Pin, index.Adopt, index.Least
	if b.pinned() > int64(len(b.roots)) {
		return nil, fmt.Errorf("%w: %s lacks root v%d", ErrDamaged, baseIndexFile, b.pinned())
	}
	for _, e := range index.Earlier {
		earlier, err := filesOf(dir, e.Files)
		if err != nil {
			return nil, err
		}
		earlier.info.Digest = e.Digest
		b.earlier = append(b.earlier, earlier)
	}
	return b, nil
}

// base makes the newest state that the index names, and what was rebased on it.
func (index baseIndex) base(dir string) (*base, error) {
	b, err := filesOf(dir, index.Files)
	if err != nil || index.Rebased == nil {
		return b, err
	}
	b.rebased = []*roleFile{}
	for _, e := range *index.Rebased {
		f, err := e.roleFile(dir)
		if err != nil {
			return nil, err
		}
		b.rebased = append(b.rebased, f)
	}
	return b, nil
}

// filesOf makes one state of the repository out of what the index says of its files.
func filesOf(dir string, entries []baseEntry) (*base, error) {
	b := &base{roles: map[string]*roleFile{}}
	for _, e := range entries {
		f, err := e.roleFile(dir)
		if err != nil {
			return nil, err
		}
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
	if len(b.roots) == 0 || b.roles[tuf.TARGETS] == nil || b.roles[tuf.SNAPSHOT] == nil || b.roles[tuf.TIMESTAMP] == nil {
		return nil, fmt.Errorf("%w: %s lacks a top-level role", ErrDamaged, baseIndexFile)
	}
	return b, nil
}

// roleFile is the file of an entry, which is read when it is needed.
func (e baseEntry) roleFile(dir string) (*roleFile, error) {
	if filepath.Base(e.File) != e.File || !filepath.IsLocal(e.File) {
		return nil, fmt.Errorf("%w: %s names the file %q", ErrDamaged, baseIndexFile, e.File)
	}
	return &roleFile{
		role: e.Role, version: e.Version, sum: e.SHA256, length: e.Length,
		expires: e.Expires, period: time.Duration(e.Period) * time.Second, file: e.File,
		read: func() ([]byte, error) { return readChecked(filepath.Join(dir, e.File), e.SHA256) },
	}, nil
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
		Version: 1, Digest: b.info.Digest, Tag: b.info.Tag, FetchedAt: seconds(b.info.FetchedAt), Pin: b.pin, Adopt: b.adopt, Least: b.least,
	}
	s := baseSaving{dir: dir, names: map[string]string{}}
	var err error
	if index.Files, err = s.entries(b.all()); err != nil {
		return err
	}
	for _, e := range b.earlier {
		files, err := s.entries(e.all())
		if err != nil {
			return err
		}
		index.Earlier = append(index.Earlier, earlierIndex{Digest: e.info.Digest, Files: files})
	}
	if b.rebased != nil {
		files, err := s.entries(b.rebased)
		if err != nil {
			return err
		}
		index.Rebased = &files
	}
	if err := d.writeAll(dir, s.changes); err != nil {
		return err
	}
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := d.Write(filepath.Join(dir, baseIndexFile), append(data, '\n'), 0o600); err != nil {
		return err
	}
	keep := map[string]bool{baseIndexFile: true}
	for name := range s.names {
		keep[name] = true
	}
	return removeOthers(d, dir, keep)
}

// baseSaving gives the files of a base their names.
type baseSaving struct {
	dir     string
	names   map[string]string // to the sha256 of what stands, or will stand, under each
	changes []fileChange
}

func (s *baseSaving) entries(files []*roleFile) ([]baseEntry, error) {
	entries := make([]baseEntry, 0, len(files))
	for _, f := range files {
		name, exists := s.freeName(f)
		if !exists {
			data, err := f.read()
			if err != nil {
				return nil, err
			}
			if data == nil {
				return nil, fmt.Errorf("bytes of %s v%d are not at hand", f.role, f.version)
			}
			s.changes = append(s.changes, fileChange{path: filepath.Join(s.dir, name), data: data})
		}
		s.names[name], f.file = f.sum, name
		entries = append(entries, baseEntry{
			Role: f.role, Version: f.version, File: name, SHA256: f.sum, Length: f.length,
			Expires: f.expires, Period: int64(f.period / time.Second),
		})
	}
	return entries, nil
}

// removeOthers removes the files of a directory that are not to be kept.
func removeOthers(d *disk, dir string, keep map[string]bool) error {
	names, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !keep[name] {
			if err := d.Unlink(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// freeName is the name under which the file is, or can be, in the directory. Two publishers can have made one version
// of a role with different bytes: the file of the old base must not be overwritten while base.json still names it.
func (s *baseSaving) freeName(f *roleFile) (name string, exists bool) {
	if f.file != "" {
		if info, err := os.Stat(filepath.Join(s.dir, f.file)); err == nil && info.Size() == f.length {
			return f.file, true
		}
	}
	name = fileName(f.role, f.version)
	for i := 2; ; i++ {
		switch sum, taken := s.names[name]; {
		case taken && sum == f.sum:
			return name, true
		case !taken:
			data, err := os.ReadFile(filepath.Join(s.dir, name))
			if err != nil {
				return name, false
			}
			if checksum(data) == f.sum {
				return name, true
			}
		}
		name = fileName(f.role, f.version) + "~" + strconv.Itoa(i)
	}
}
