package metadata

import (
	"encoding/json"
	"io"
)

// Target is one entry of a targets role.
type Target struct {
	Path   string
	Role   string
	Length int64
	SHA256 string            // hex
	Hashes map[string]string // algorithm to hex
	Custom json.RawMessage
	Staged bool // the entry is new or differs from the base
}

// TargetOptions are the optional parts of a new entry.
type TargetOptions struct {
	Role   string          // default: targets, or the bin of an images/ name when there are bins
	Custom json.RawMessage // a JSON object, without floats
}

// TargetFilter selects entries; the zero value selects all.
type TargetFilter struct {
	Role   string
	Staged bool // only entries that are new or changed
}

// AddTarget stages a file target. The entry's hash is sha256, its bytes are kept until they are published.
func (w *Workspace) AddTarget(path string, data []byte, o TargetOptions) (*Target, error) {
	panic("not implemented")
}

// AddTargetEntries stages images/ entries from JSON lines of path, length, hashes and custom. All or nothing.
func (w *Workspace) AddTargetEntries(r io.Reader, o TargetOptions) ([]Target, error) {
	panic("not implemented")
}

// RemoveTarget stages the removal of entries. With role "" the entry is removed where it stands; ErrNoTarget.
func (w *Workspace) RemoveTarget(role string, paths ...string) ([]Target, error) {
	panic("not implemented")
}

// Targets lists entries sorted by role and path.
func (w *Workspace) Targets(f TargetFilter) ([]Target, error) { panic("not implemented") }
