package metadata

// RoleDiff is what a staged role changes in words that a signer can judge.
type RoleDiff struct {
	Role                       string
	BaseVersion, StagedVersion int64
	Changes                    []Change
}

// Change is one difference.
type Change struct {
	Kind     string // key, threshold, expires, delegation, target, order, member
	Subject  string // key id, role or path
	Old, New string // "" when it is new or gone
}

// Diff compares staged roles with the base; without names all staged ones.
func (w *Workspace) Diff(roles ...string) ([]RoleDiff, error) { panic("not implemented") }

// Reset drops staged changes: of the roles named, of the target paths named. ErrNoRole, ErrNoTarget.
func (w *Workspace) Reset(names ...string) error { panic("not implemented") }

// ResetAll drops everything staged.
func (w *Workspace) ResetAll() error { panic("not implemented") }
