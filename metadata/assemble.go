package metadata

import (
	"context"
	"time"
)

// File is one file of a repository, named by its title in a bundle: "metadata/…" or "targets/…".
type File struct {
	Name   string
	Data   []byte // nil: only the registry of the head has the bytes
	SHA256 string // hex
	Length int64
}

// Head is the verified state of the channel: every metadata file with its bytes, target files without.
// The caller has verified it as a client; Assemble trusts it once its root chain fits the workspace.
type Head struct {
	Digest string // of the bundle
	Files  []File
}

// AssembleOptions steer Assemble.
type AssembleOptions struct {
	Now              time.Time // required
	TimestampVersion int64     // least version of the new timestamp; 0: the next one
	DryRun           bool      // nothing is written to the workspace, not even signatures
}

// Release is a complete repository, ready to be verified and pushed.
type Release struct {
	Files     []File // sorted by name
	Unchanged bool   // equal to the head: nothing to push

	RootVersion, TimestampVersion, SnapshotVersion, TargetsVersion int64

	Expires map[string]time.Time // of the top-level roles
	Changed []RoleChange         // against the head, in the order of their writing
	Root1   []byte               // the first root
}

// RoleChange is one role that the release changes.
type RoleChange struct {
	Role     string
	From, To int64  // From 0: new
	Why      string // staged, renewed, online
}

// Assemble makes the next state of the repository from the head and what is staged. head is nil when the channel is empty.
// Errors: ErrConflict, ErrNeedSignatures, ErrLint, ErrForeignHead.
func (w *Workspace) Assemble(ctx context.Context, head *Head, o AssembleOptions) (*Release, error) {
	panic("not implemented")
}

// Published records that the release is the head now: staged files that it holds become the base.
func (w *Workspace) Published(r *Release, digest, tag string, at time.Time) error {
	panic("not implemented")
}
