package metadata

import (
	"errors"
	"fmt"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// view is the repository with what is staged.
func (w *Workspace) view() *view { return w.viewOf(w.current) }

// baseView is the repository as it was published last.
func (w *Workspace) baseView() *view { return w.viewOf(w.base.role) }

// viewOf is the repository of the files that find returns.
func (w *Workspace) viewOf(find func(role string) *roleFile) *view { return w.parsed.viewOf(find) }

// parsedFiles are files that were parsed, by sha256: shared, never changed.
type parsedFiles struct {
	roots   map[string]*tuf.Metadata[tuf.RootType]
	targets map[string]*tuf.Metadata[tuf.TargetsType]
}

func newParsedFiles() parsedFiles {
	return parsedFiles{roots: map[string]*tuf.Metadata[tuf.RootType]{}, targets: map[string]*tuf.Metadata[tuf.TargetsType]{}}
}

// viewOf is the repository of the files that find returns.
func (p parsedFiles) viewOf(find func(role string) *roleFile) *view {
	return &view{
		root: func() (*tuf.Metadata[tuf.RootType], error) {
			f := find(tuf.ROOT)
			if f != nil && p.roots[f.sum] != nil {
				return p.roots[f.sum], nil
			}
			md, err := parseFile[tuf.RootType](f)
			if err == nil {
				p.roots[f.sum] = md
			}
			return md, err
		},
		targets: func(role string) (*tuf.Metadata[tuf.TargetsType], error) {
			f := find(role)
			if f == nil {
				return nil, nil
			}
			return p.targetsOf(f)
		},
	}
}

// targetsOf is a file of a role below targets.
func (p parsedFiles) targetsOf(f *roleFile) (*tuf.Metadata[tuf.TargetsType], error) {
	if md := p.targets[f.sum]; md != nil {
		return md, nil
	}
	md, err := parseFile[tuf.TargetsType](f)
	if err == nil {
		p.targets[f.sum] = md
	}
	return md, err
}

// errNoBytes says that only a registry has the bytes of a file.
var errNoBytes = errors.New("the bytes are not at hand")

// bytesOf reads a file that must be at hand.
func bytesOf(f *roleFile) ([]byte, error) {
	data, err := f.read()
	if err == nil && data == nil {
		err = errNoBytes
	}
	if err != nil {
		return nil, fmt.Errorf("role %q v%d: %w", f.role, f.version, err)
	}
	return data, nil
}

// parseFile parses a file; the result is the caller's to change.
func parseFile[T tuf.Roles](f *roleFile) (*tuf.Metadata[T], error) {
	if f == nil {
		return nil, fmt.Errorf("%w: a role has no file", ErrDamaged)
	}
	data, err := bytesOf(f)
	if err != nil {
		return nil, err
	}
	md, err := parse[T](data)
	if err != nil {
		return nil, fmt.Errorf("role %q v%d: %w", f.role, f.version, err)
	}
	return md, nil
}
