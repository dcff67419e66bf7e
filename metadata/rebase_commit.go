package metadata

import (
	"maps"
	"path/filepath"
	"slices"
)

// commit makes the head the base and stages the result. base.json names both; replacing it is what commits. Killed
// before, the workspace is as it was but for bytes of target files; after, the next one who opens it carries on.
func (r *rebasing) commit() error {
	w := r.w
	next := r.onto
	next.info.FetchedAt = w.now()
	next.info.Tag = w.cfg.Channel
	next.earlier = r.earlier()
	if r.o.DryRun {
		w.base, w.staged, w.readOnly = next, r.next, true
		w.held = map[string][]byte{}
		for _, b := range r.blobs {
			w.held[filepath.Base(b.path)] = b.data
		}
		return nil
	}
	if err := w.disk.writeAll(w.path(blobsDir), r.blobs); err != nil {
		return err
	}
	next.rebased = []*roleFile{}
	for _, role := range slices.Sorted(maps.Keys(r.next)) {
		f := *r.next[role]
		next.rebased = append(next.rebased, &f)
	}
	if err := saveBase(w.disk, w.path(baseDir), next); err != nil {
		return err
	}
	w.base, w.staged = next, r.next
	return w.settleRebase()
}

// earlier lists what the head was built on, as far as it is known here.
func (r *rebasing) earlier() []*base {
	if r.from == r.w.base {
		return r.from.before(nil, r.head.digest)
	}
	var states []*base
	if i := slices.Index(r.w.base.earlier, r.from); i >= 0 {
		states = slices.Clone(r.w.base.earlier[i:])
	}
	return slices.DeleteFunc(states, func(e *base) bool { return e.info.Digest == r.head.digest })
}

// finishRebase reads what is staged. A rebase that was killed after it was committed is brought to its end first.
func (w *Workspace) finishRebase() (map[string]*roleFile, error) {
	if w.base == nil || w.base.rebased == nil {
		return w.loadStaged()
	}
	if w.readOnly {
		staged := map[string]*roleFile{}
		for _, f := range w.base.rebased {
			staged[f.role] = f
		}
		return staged, nil
	}
	if err := w.settleRebase(); err != nil {
		return nil, err
	}
	return w.loadStaged()
}

// settleRebase moves what was rebased from the base to where staged files are, in place of what was there.
func (w *Workspace) settleRebase() error {
	dir := w.path(stagedDir)
	var changes []fileChange
	keep := map[string]bool{}
	for _, f := range w.base.rebased {
		data, err := bytesOf(f)
		if err != nil {
			return err
		}
		name := fileName(f.role, f.version)
		keep[name] = true
		changes = append(changes, fileChange{path: filepath.Join(dir, name), data: data})
	}
	if err := w.disk.writeAll(dir, changes); err != nil {
		return err
	}
	names, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, _, ours := parseFileName(name); ours && !keep[name] {
			if err := w.disk.Unlink(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	if err := w.disk.Sync(dir); err != nil {
		return err
	}
	w.base.rebased = nil
	return saveBase(w.disk, w.path(baseDir), w.base)
}
