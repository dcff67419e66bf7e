package metadata

import (
	"errors"
	"fmt"
	"io/fs"
)

// TargetData returns the bytes of the target that a lookup of path finds, as their entry says: those of staged targets,
// and of published ones that are small. ErrNoTarget, or ErrNotAtHand for those that only the head has.
func (w *Workspace) TargetData(path string) ([]byte, error) {
	v := w.view()
	holder, err := v.holderOf(path, "")
	if err != nil {
		return nil, err
	}
	md, err := v.targets(holder)
	if err != nil {
		return nil, err
	}
	t := newTarget(holder, path, md.Signed.Targets[path])
	data, err := w.blob(entry{Path: path, Length: t.Length, Hashes: t.Hashes})
	if err == nil && data == nil {
		return nil, fmt.Errorf("%w: %q", ErrNotAtHand, path)
	}
	return data, err
}

// blob reads the bytes of an entry, nil if they are not here, or not what the entry says.
func (w *Workspace) blob(n entry) ([]byte, error) {
	sum := FileHash(n.Hashes)
	if !isHash(sum) {
		return nil, fmt.Errorf("%w: target %q has no sha256", ErrDamaged, n.Path)
	}
	if data := w.held[sum]; data != nil && int64(len(data)) == n.Length {
		return data, nil
	}
	data, err := readBounded(w.path(blobsDir, sum), MaxTargetFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !hasFileHash(data, sum) || int64(len(data)) != n.Length:
		return nil, nil
	}
	return data, nil
}
