package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// frozenFile, in a directory named by the id of a freeze, says which roles are frozen.
const frozenFile = "frozen.json"

// maxFrozenFile bounds it, in bytes.
const maxFrozenFile = 1 << 20

// Freeze keeps what is staged of roles as it is, while people sign it elsewhere. Signatures may come; what they are over
// stays until Unfreeze, or until it is published.
type Freeze struct {
	ID      string // hex sha256; for a ceremony its txid
	Message string
	File    string // where what is signed was written, for people
	Since   time.Time
	Roles   []FrozenRole
}

// FrozenRole is one role of a Freeze.
type FrozenRole struct {
	Role    string
	Version int64
	Payload string // hex sha256 of what is to be signed
}

// FrozenError says which role cannot be changed, and for what. It Is ErrFrozen.
type FrozenError struct {
	Role   string
	Freeze Freeze
}

func (e *FrozenError) Error() string {
	return fmt.Sprintf("%s is frozen since %s, to be signed: %q", e.Role, e.Freeze.Since.Format(time.RFC3339), e.Freeze.Message)
}

// Is reports that the error is an ErrFrozen.
func (e *FrozenError) Is(target error) bool { return target == ErrFrozen }

// Freeze freezes staged roles under an id, which the caller chooses: 64 hex digits. Of f it takes ID, Message and File.
// Freezing the same roles once more, under the same id for the same reason, is no error. ErrInvalid, *FrozenError for a
// role that is frozen already.
func (w *Workspace) Freeze(f Freeze, roles ...string) error {
	if err := w.writable(); err != nil {
		return err
	}
	if !isSHA256(f.ID) {
		return fmt.Errorf("%w: id %q of a freeze", ErrInvalid, f.ID)
	}
	f.Since, f.Roles = seconds(w.now()), nil
	for _, role := range roles {
		if other := w.frozen(role); other != nil && (other.ID != f.ID || other.Message != f.Message) {
			return &FrozenError{role, *other}
		}
		payload, err := w.Payload(role)
		if err != nil {
			return err
		}
		f.Roles = append(f.Roles, FrozenRole{role, w.staged[role].version, checksum(payload)})
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	for _, dir := range []string{w.path(ceremonyDir), w.path(ceremonyDir, f.ID)} {
		if _, err := w.disk.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := w.disk.Write(w.path(ceremonyDir, f.ID, frozenFile), append(data, '\n'), 0o600); err != nil {
		return err
	}
	w.freezes = slices.DeleteFunc(w.freezes, func(old Freeze) bool { return old.ID == f.ID })
	w.freezes = append(w.freezes, f)
	return nil
}

// Unfreeze lets roles be edited again. What is staged stays, with its signatures. ErrNotFrozen.
func (w *Workspace) Unfreeze(id string) error {
	if err := w.writable(); err != nil {
		return err
	}
	i := slices.IndexFunc(w.freezes, func(f Freeze) bool { return f.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: %s", ErrNotFrozen, id)
	}
	if err := w.removeFreeze(id); err != nil {
		return err
	}
	w.freezes = slices.Delete(w.freezes, i, i+1)
	return nil
}

// removeFreeze removes the record, then its directory: one without a record freezes nothing.
func (w *Workspace) removeFreeze(id string) error {
	dir := w.path(ceremonyDir, id)
	if err := w.disk.Unlink(w.path(ceremonyDir, id, frozenFile)); err != nil {
		return err
	}
	if err := w.disk.Sync(dir); err != nil {
		return err
	}
	return w.disk.Unlink(dir)
}

// Frozen lists what is frozen, the oldest first.
func (w *Workspace) Frozen() []Freeze {
	return slices.SortedFunc(slices.Values(w.freezes), func(a, b Freeze) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// frozen finds what froze a role, nil if it is not.
func (w *Workspace) frozen(role string) *Freeze {
	for i := range w.freezes {
		if slices.ContainsFunc(w.freezes[i].Roles, func(r FrozenRole) bool { return r.Role == role }) {
			return &w.freezes[i]
		}
	}
	return nil
}

// thawed refuses to write files, or to drop roles, that would change what is frozen. Signatures change nothing.
func (w *Workspace) thawed(files []*roleFile, drop []string) error {
	for _, f := range files {
		freeze := w.frozen(f.role)
		if freeze == nil {
			continue
		}
		payload, err := f.payload()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(freeze.Roles, func(r FrozenRole) bool { return r.Role == f.role && r.Payload == checksum(payload) }) {
			return &FrozenError{f.role, *freeze}
		}
	}
	for _, role := range drop {
		if freeze := w.frozen(role); freeze != nil && w.staged[role] != nil {
			return &FrozenError{role, *freeze}
		}
	}
	return nil
}

// loadFreezes reads what is frozen. What is published is frozen no more.
func (w *Workspace) loadFreezes() error {
	entries, err := os.ReadDir(w.path(ceremonyDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !isSHA256(e.Name()) {
			continue
		}
		if err := w.loadFreeze(e.Name()); err != nil {
			return err
		}
	}
	return w.dropPublished()
}

// loadFreeze reads one record. A directory without one is what a killed process left.
func (w *Workspace) loadFreeze(id string) error {
	if !w.readOnly {
		if err := w.disk.sweep(w.path(ceremonyDir, id)); err != nil {
			return err
		}
	}
	data, err := readBounded(w.path(ceremonyDir, id, frozenFile), maxFrozenFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && w.readOnly:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return w.disk.Unlink(w.path(ceremonyDir, id))
	case err != nil:
		return err
	}
	var f Freeze
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("%w: %s of %s: %v", ErrDamaged, frozenFile, id, err)
	}
	if f.ID != id || len(f.Roles) == 0 {
		return fmt.Errorf("%w: %s of %s speaks of something else", ErrDamaged, frozenFile, id)
	}
	w.freezes = append(w.freezes, f)
	return nil
}

// dropPublished forgets what was frozen and is published now.
func (w *Workspace) dropPublished() error {
	var kept []Freeze
	for _, f := range w.freezes {
		if slices.ContainsFunc(f.Roles, func(r FrozenRole) bool { return w.base.version(r.Role) < r.Version }) {
			kept = append(kept, f)
			continue
		}
		if w.readOnly {
			continue
		}
		if err := w.removeFreeze(f.ID); err != nil {
			return err
		}
	}
	w.freezes = kept
	return nil
}
