package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tufoci/tufoci/internal/ownfile"
)

// dirPlace is one directory of a TUF repository. Names come from metadata that
// may not have been verified, so files are opened through [os.Root], which no
// name and no symbolic link leads out of.
type dirPlace struct {
	dir string
	// targets is the directory of target files, for the list.
	targets string
}

// openDir finds out the layout of a directory: metadata in DIR/metadata, as
// "oras pull" of a bundle writes it, or else in DIR itself. Target files are in
// DIR/targets.
func openDir(dir string) (meta, targets place, err error) {
	switch isDir, err := existsDir(dir); {
	case err != nil:
		return nil, nil, err
	case !isDir:
		return nil, nil, fmt.Errorf("%w: no directory %s", ErrNoRepository, dir)
	}
	metaDir, targetsDir := filepath.Join(dir, "metadata"), filepath.Join(dir, "targets")
	isDir, err := existsDir(metaDir)
	if err != nil {
		return nil, nil, err
	}
	if !isDir {
		metaDir = dir
	}
	return &dirPlace{dir: metaDir, targets: targetsDir}, &dirPlace{dir: targetsDir}, nil
}

// openTargetsDir returns a place for target files only.
func openTargetsDir(dir string) (place, error) {
	dir, err := parseDir(dir)
	if err != nil {
		return nil, err
	}
	return &dirPlace{dir: dir}, nil
}

func existsDir(dir string) (bool, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}

// readMetadata implements place. A file whose role name has odd characters is
// looked for under the escaped name, which a bundle's title and "oras pull" use,
// and then under the plain one, which web servers need.
func (d *dirPlace) readMetadata(_ context.Context, name string, max int64) ([]byte, error) {
	data, err := d.read(name, max)
	if !errors.Is(err, errAbsent) {
		return data, err
	}
	plain, uerr := url.PathUnescape(name)
	if uerr != nil || plain == name || !fs.ValidPath(plain) {
		return nil, errAbsent
	}
	return d.read(plain, max)
}

// readTarget implements place.
func (d *dirPlace) readTarget(_ context.Context, name string, max int64) ([]byte, error) {
	return d.read(name, max)
}

func (d *dirPlace) read(name string, max int64) ([]byte, error) {
	root, err := os.OpenRoot(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name = filepath.FromSlash(strings.TrimLeft(path.Clean("/"+name), "/"))
	file, _, err := ownfile.OpenIn(root, name)
	switch {
	case isAbsent(err):
		return nil, errAbsent
	case err != nil:
		return nil, fmt.Errorf("%s: %w", d.dir, err)
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, max+1))
}

// list implements place.
func (d *dirPlace) list() []string {
	var titles []string
	walk(d.dir, func(name string, info fs.DirEntry) bool {
		if info.IsDir() {
			return filepath.Join(d.dir, filepath.FromSlash(name)) != d.targets
		}
		if strings.HasSuffix(name, ".json") {
			titles = append(titles, metadataFolder+escaped(name))
		}
		return true
	})
	walk(d.targets, func(name string, info fs.DirEntry) bool {
		if !info.IsDir() {
			titles = append(titles, targetsFolder+name)
		}
		return true
	})
	slices.Sort(titles)
	return slices.Compact(titles)
}

// walk calls fn for all directories and regular files below dir, as far as they
// can be read, with slashed names. A directory for which fn is false is left out.
func walk(dir string, fn func(name string, info fs.DirEntry) bool) {
	_ = fs.WalkDir(os.DirFS(dir), ".", func(name string, info fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return nil
		}
		if info.IsDir() || info.Type().IsRegular() {
			if !fn(name, info) && info.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
}

// escaped returns a file name in go-tuf's spelling, whichever of the two it has.
func escaped(name string) string {
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return url.PathEscape(name)
}

// isAbsent reports whether the error says that there is no such file, also where
// a part of the path is a file or the name is longer than any file's.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotDir(err) || isNameTooLong(err)
}
