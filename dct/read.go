package dct

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what a repository is verified from, and when.
type Options struct {
	// Root is a root.json that its owner vouches for: the one that is there, or one
	// whose root keys have signed it.
	Root []byte
	// RootKeys are ids of root keys, as `docker trust inspect` shows them, or as the
	// files of their private halves are named. As many as the root requires must have
	// signed it.
	RootKeys []string
	// AllowExpired takes expired metadata, which is then not verified.
	AllowExpired bool
	// Now is the time at which expiry is judged.
	Now time.Time
}

// Read reads what is at a path, and verifies what is signed: a file is a list of
// `docker trust inspect`; a directory holds root.json, alone or in metadata/, or is a
// tree of such repositories, as ~/.docker/trust/tuf is. [ErrFormat], [ErrRoot],
// [ErrSignature], [ErrExpired].
func Read(name string, o Options) ([]Repository, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		data, err := readFile(os.DirFS(filepath.Dir(name)), filepath.Base(name))
		if err != nil {
			return nil, err
		}
		return ReadList(data)
	}
	return readTree(os.DirFS(name), o)
}

func readTree(dir fs.FS, o Options) ([]Repository, error) {
	if o.Root == nil && len(o.RootKeys) == 0 {
		return nil, fmt.Errorf("%w: none was given, and a root is never taken from the data itself", ErrRoot)
	}
	for _, at := range []string{".", "metadata"} {
		if _, err := fs.Stat(dir, path.Join(at, "root.json")); err == nil {
			r, err := readRepository(dir, at, "", o)
			if err != nil {
				return nil, err
			}
			return []Repository{*r}, nil
		}
	}
	var out []Repository
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		gun, ok := strings.CutSuffix(name, "/metadata/root.json")
		if err != nil || !ok || d.IsDir() {
			return err
		}
		if len(out) == maxRepositories {
			return fmt.Errorf("%w: more than %d repositories", ErrFormat, maxRepositories)
		}
		r, err := readRepository(dir, path.Dir(name), gun, o)
		if err != nil {
			return err
		}
		out = append(out, *r)
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%w: no root.json, metadata/root.json or NAME/metadata/root.json", ErrFormat)
	}
	return out, err
}

// readFile reads a file that is not larger than is taken.
func readFile(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%w: %s has more than %d bytes", ErrFormat, name, maxFile)
	}
	return data, err
}

// reader reads one repository.
type reader struct {
	dir   fs.FS
	at    string
	o     Options
	r     *Repository
	root  signedRoot
	bytes map[string][]byte // of the files that were opened, by role
}

// readRepository reads the metadata in a directory: root, what it says of the other
// roles, and of these first what is above the targets, as far as it is there.
func readRepository(dir fs.FS, at, gun string, o Options) (*Repository, error) {
	rd := &reader{dir: dir, at: at, o: o, r: &Repository{GUN: gun, Verified: true}, bytes: map[string][]byte{}}
	if err := rd.readRoot(); err != nil {
		return nil, err
	}
	listed, err := rd.readSnapshot()
	if err != nil {
		return nil, err
	}
	if err := rd.readTargets(listed); err != nil {
		return nil, err
	}
	return rd.r, rd.r.sortTags()
}

// open reads one metadata file. Without one it is fs.ErrNotExist.
func (rd *reader) open(name string) (*file, error) {
	data, err := readFile(rd.dir, path.Join(rd.at, name+".json"))
	if err != nil {
		return nil, err
	}
	f, h, err := parseFile(name, data)
	if err != nil {
		return nil, err
	}
	rd.bytes[name] = data
	rd.r.Roles = append(rd.r.Roles, Role{name, h.Version, h.Expires})
	return f, nil
}

// current judges the expiry of the role that was verified last.
func (rd *reader) current() error {
	role := rd.r.Roles[len(rd.r.Roles)-1]
	if role.Expires.After(rd.o.Now) {
		return nil
	}
	return rd.lapsed(&ExpiredError{rd.r.GUN, role})
}

func (rd *reader) lapsed(expired error) error {
	if !rd.o.AllowExpired {
		return expired
	}
	rd.r.Verified = false
	rd.r.Warnings = append(rd.r.Warnings, expired.Error()+"; expired metadata was allowed: nothing here is verified")
	return nil
}

// by verifies a file by what root says of its role.
func (rd *reader) by(f *file) error {
	rule := rd.root.Roles[f.name]
	keys := keysOf(rd.root.Keys, rule)
	rd.note(f.name, keys)
	return f.verify(roleRoot, keys, rule.Threshold)
}

func (rd *reader) note(role string, keys []*parsedKey) {
	for _, k := range keys {
		rd.r.Keys = append(rd.r.Keys, Key{role, k.canonical, k.kind})
	}
}

// readSnapshot verifies timestamp and snapshot, which say that the rest belongs
// together and is the newest, and returns what snapshot lists. docker's own copy has
// both; without them there is a warning.
func (rd *reader) readSnapshot() (map[string]fileMeta, error) {
	var stamp signedMeta
	switch err := rd.readMeta(roleTimestamp, &stamp); {
	case errors.Is(err, fs.ErrNotExist):
		rd.r.Warnings = append(rd.r.Warnings, rd.r.GUN+": without timestamp.json nothing says that this is the newest")
	case err != nil:
		return nil, err
	}
	var snapshot signedMeta
	switch err := rd.readMeta(roleSnapshot, &snapshot); {
	case errors.Is(err, fs.ErrNotExist) && stamp.Meta != nil:
		return nil, fmt.Errorf("%w: %s: snapshot.json is missing", ErrFormat, rd.r.GUN)
	case errors.Is(err, fs.ErrNotExist):
		rd.r.Warnings = append(rd.r.Warnings, rd.r.GUN+": without snapshot.json nothing says that the files belong together")
		return nil, nil
	case err != nil:
		return nil, err
	}
	if stamp.Meta != nil {
		if err := rd.lists(stamp.Meta, roleTimestamp, roleSnapshot); err != nil {
			return nil, err
		}
	}
	if snapshot.Meta == nil {
		snapshot.Meta = map[string]fileMeta{}
	}
	return snapshot.Meta, rd.lists(snapshot.Meta, roleSnapshot, roleRoot)
}

func (rd *reader) readMeta(name string, to *signedMeta) error {
	f, err := rd.open(name)
	if err != nil {
		return err
	}
	if err := rd.by(f); err != nil {
		return err
	}
	if err := rd.current(); err != nil {
		return err
	}
	if err := f.read(to); err != nil {
		return err
	}
	if to.Meta == nil {
		return fmt.Errorf("%w: %s.json lists nothing", ErrFormat, name)
	}
	return nil
}

// lists holds a file that was opened to what another one lists of it.
func (rd *reader) lists(meta map[string]fileMeta, by, name string) error {
	m, ok := meta[name]
	if !ok {
		return fmt.Errorf("%w: %s: %s.json does not list %s", ErrSignature, rd.r.GUN, by, name)
	}
	if err := m.describes(rd.bytes[name]); err != nil {
		return fmt.Errorf("%w: %s: %s.json is not what %s.json lists: %v", ErrSignature, rd.r.GUN, name, by, err)
	}
	return nil
}

// knows reports whether a list of keys has an id: that of the metadata or that of the
// key itself.
func knows(ids []string, k *parsedKey) bool {
	return slices.Contains(ids, k.id) || slices.Contains(ids, k.canonical)
}
