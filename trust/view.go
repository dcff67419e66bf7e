package trust

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
)

// View is one verified state of a trust repository. It never changes, and is
// safe for concurrent use. Delegated roles are read when a lookup first needs
// them, each file at most once, and verified against this state. Expiry is
// judged at the time of the refresh that made the view.
type View struct{}

// Status says what a view rests on.
type Status struct {
	Root, Timestamp, Snapshot, Targets RoleStatus
	// RootSHA256 is the hex sha256 of the pinned root.
	RootSHA256 string
	// Stale: timestamp or snapshot is past its expiry and was accepted by
	// MaxStale.
	Stale bool
	// AsOf is the time at which expiry was judged, if it was set.
	AsOf *time.Time
	// Source is where the state comes from: registry, layout, archive, http,
	// dir or memory, or "state" for stored state only. SourceRef is its
	// reference.
	Source    string
	SourceRef string
	// Fork is set if the source offers other bytes for the stored timestamp
	// version, validly signed. The stored view was kept.
	Fork *Fork
	// Unchanged: the source has the same bundle as last time.
	Unchanged bool
	// Verified is false with AsOf and AllowExpired.
	Verified bool
	// Warnings holds all warnings so far, also those of lookups.
	Warnings []string
}

// RoleStatus describes one verified metadata file.
type RoleStatus struct {
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	Length  int64     `json:"length"`
	SHA256  string    `json:"sha256"` // hex
}

// Fork is one timestamp version with two contents, both validly signed: two
// publishers, or a stolen key.
type Fork struct {
	Version int64 `json:"version"`
	// Digests are the hex sha256 of the timestamp that is kept and of the one
	// that was offered.
	Digests [2]string `json:"digests"`
}

// Target is one verified target entry.
type Target struct {
	Path        string
	Role        string // the role that answers for it
	RoleVersion int64
	Length      int64             // bytes
	Hashes      map[string]string // algorithm to hex
	Custom      json.RawMessage   // nil if there is none
}

// Role describes one role of the repository.
type Role struct {
	Name string
	RoleStatus
	KeyIDs    []string // of the first delegator
	Threshold int
	// Delegators are the roles that delegate to it; root for top-level roles,
	// none for root.
	Delegators []string
	// Paths and Terminating are of the first delegator. A hash bin has none.
	Paths       []string
	Terminating bool
	// Bins is the number of hash bins that it delegates to, 0 for none.
	Bins int
	// Delegations are the names of the roles that it delegates to, in order;
	// not those of its bins.
	Delegations []string
	// Targets is the number of entries in its own list.
	Targets int
	// Err says why a delegated role could not be read or verified.
	Err error
}

// File is one file of a repository as it is copied, bytes as received.
type File struct {
	Title  string // "metadata/2.root.json", "targets/dir/<sha256>.name"
	Digest digest.Digest
	Data   []byte
	// Role is the role of a metadata file, empty for target files.
	Role    string
	Version int64
	// Unverified: a root below the pin, carried and not believed.
	Unverified bool
}

// FileSet is a whole repository, in the order in which it can be written so
// that nothing names what is not there yet.
type FileSet struct {
	Files []File
	// Carried are the versions of the roots below the pin, which are not
	// verified.
	Carried []int64
	// Unreached are roles that the snapshot lists and no delegation reaches;
	// they are not copied.
	Unreached []string
}

// Status says what the view rests on.
func (v *View) Status() Status { panic("not implemented") }

// Lookup returns the entry of one name. Errors: ErrTargetNotFound, and whatever
// keeps a role on the way from being read or verified.
func (v *View) Lookup(ctx context.Context, name string) (*Target, error) { panic("not implemented") }

// Get returns the verified bytes of one target: from the inline layer, from the
// cache, else by one request. ErrImageTarget, together with the entry, for names
// under images/.
func (v *View) Get(ctx context.Context, name string) ([]byte, *Target, error) {
	panic("not implemented")
}

// List returns the effective targets by name: an entry of a role is listed only
// if Lookup of that name returns it. Roles that cannot be read or verified are
// in the error, which does not keep the rest from being returned.
func (v *View) List(ctx context.Context) ([]Target, error) { panic("not implemented") }

// Roles describes all roles that a delegation reaches, top-level ones first,
// then in the order of the walk.
func (v *View) Roles(ctx context.Context) ([]Role, error) { panic("not implemented") }

// Files returns every file of the verified repository, byte for byte, to copy
// it. It fails if a role or target that it needs cannot be read.
func (v *View) Files(ctx context.Context) (*FileSet, error) { panic("not implemented") }

// Metadata returns the verified bytes of a role.
func (v *View) Metadata(ctx context.Context, role string) ([]byte, error) { panic("not implemented") }

// RootVersion returns the bytes of one verified root, false if it is older than
// the pin or does not exist.
func (v *View) RootVersion(version int64) ([]byte, bool) { panic("not implemented") }

// Bundle returns the bundle that was read, nil if the source is no bundle or was
// not asked.
func (v *View) Bundle() *ociremote.Bundle { panic("not implemented") }
