package metadata

import (
	"fmt"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// loadStaged reads which next versions are staged. A staged role has a version that follows its base; what the base has
// caught up with is left from a process that was killed right after it published.
func (w *Workspace) loadStaged() (map[string]*roleFile, error) {
	names, err := readDir(w.path(stagedDir))
	if err != nil {
		return nil, err
	}
	staged := map[string]*roleFile{}
	for _, name := range names {
		role, version, ok := parseFileName(name)
		switch {
		case !ok:
		case version > w.base.version(role):
			f, err := w.loadStagedFile(name, role, version)
			if err != nil {
				return nil, err
			}
			staged[role] = f
		case !w.readOnly:
			if err := w.disk.Unlink(w.path(stagedDir, name)); err != nil {
				return nil, err
			}
		}
	}
	return staged, nil
}

func (w *Workspace) loadStagedFile(name, role string, version int64) (*roleFile, error) {
	if !w.base.follows(role, version) {
		return nil, fmt.Errorf("%w: %s is staged on v%d", ErrDamaged, name, w.base.version(role))
	}
	data, err := readBounded(w.path(stagedDir, name), maxRoleFile)
	if err != nil {
		return nil, err
	}
	f, err := newRoleFile(role, data)
	if err != nil {
		return nil, fmt.Errorf("staged file %s: %w", name, err)
	}
	if f.version != version {
		return nil, fmt.Errorf("%w: %s holds v%d", ErrDamaged, name, f.version)
	}
	return f, nil
}

// edit collects changes of several files, so that a bad one among them changes nothing. Its files are written in
// order: what others refer to comes first.
type edit struct {
	w       *Workspace
	cfg     *Config
	yaml    []byte
	blobs   []fileChange
	files   []*roleFile
	unstage []string
}

func (w *Workspace) newEdit() (*edit, error) {
	if err := w.writable(); err != nil {
		return nil, err
	}
	return &edit{w: w, cfg: w.cfg}, nil
}

// stage adds the next version of a role: that after its base, a fresh expiry, no signatures.
func stage[T tuf.Roles](e *edit, role string, md *tuf.Metadata[T]) error {
	data, err := encode(md)
	if err != nil {
		return err
	}
	return e.stageData(role, data)
}

func (e *edit) stageData(role string, data []byte) error {
	l, err := e.w.life(e.cfg, role)
	if err != nil {
		return err
	}
	data, err = nextVersion(data, e.w.base.next(role), e.w.now(), l)
	if err != nil {
		return err
	}
	f, err := newRoleFile(role, data)
	if err != nil {
		return err
	}
	if err := checkSize(f); err != nil {
		return err
	}
	e.files = append(e.files, f)
	return nil
}

// checkSize refuses a role that no client would load.
func checkSize(f *roleFile) error {
	if f.length > maxRoleFile {
		return fmt.Errorf("%w: role %q would have %d bytes, at most %d are allowed", ErrInvalid, f.role, f.length, maxRoleFile)
	}
	return nil
}

// drop removes what is staged of a role.
func (e *edit) drop(role string) { e.unstage = append(e.unstage, role) }

// setConfig changes tufoci.yaml with the rest of the edit.
func (e *edit) setConfig(change func(*Config) error) error {
	cfg, data, err := e.w.editConfig(change)
	if err != nil {
		return err
	}
	e.cfg, e.yaml = cfg, data
	return nil
}

// commit writes the edit. Killed on the way, it leaves files that nothing refers to, or periods of roles to come.
func (e *edit) commit() error {
	w := e.w
	if err := w.thawed(e.files, e.unstage); err != nil {
		return err
	}
	if e.yaml != nil {
		if err := w.disk.Write(w.configPath(), e.yaml, 0o644); err != nil {
			return err
		}
		w.cfg = e.cfg
	}
	if err := w.disk.writeAll(w.path(blobsDir), e.blobs); err != nil {
		return err
	}
	if err := w.saveStaged(e.files); err != nil {
		return err
	}
	for _, role := range e.unstage {
		if err := w.unstage(role); err != nil {
			return err
		}
	}
	return nil
}

// saveStaged writes staged files in the order given.
func (w *Workspace) saveStaged(files []*roleFile) error {
	if err := w.thawed(files, nil); err != nil {
		return err
	}
	var changes []fileChange
	for _, f := range files {
		data, err := f.read()
		if err != nil {
			return err
		}
		if old := w.staged[f.role]; old != nil && old.sum == f.sum {
			continue
		}
		changes = append(changes, fileChange{path: w.path(stagedDir, fileName(f.role, f.version)), data: data})
	}
	if err := w.disk.writeAll(w.path(stagedDir), changes); err != nil {
		return err
	}
	for _, f := range files {
		w.staged[f.role] = f
	}
	return nil
}

// unstage removes the staged file of a role, if there is one.
func (w *Workspace) unstage(role string) error {
	f := w.staged[role]
	if f == nil {
		return nil
	}
	if err := w.disk.Unlink(w.path(stagedDir, fileName(role, f.version))); err != nil {
		return err
	}
	delete(w.staged, role)
	return w.disk.Sync(w.path(stagedDir))
}

// current is the newest file of a role: staged, else published; nil if there is none.
func (w *Workspace) current(role string) *roleFile {
	if f := w.staged[role]; f != nil {
		return f
	}
	return w.base.role(role)
}

// sameContent reports whether two versions of a role differ in nothing that a person has to judge.
func sameContent(a, b *roleFile) (bool, error) {
	if a == nil || b == nil {
		return false, nil
	}
	da, err := bytesOf(a)
	if err != nil {
		return false, err
	}
	db, err := bytesOf(b)
	if err != nil {
		return false, err
	}
	return SameContent(da, db)
}
