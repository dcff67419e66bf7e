package publish

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// Plan is what a publish or mirror does to its destination.
type Plan struct {
	// Head is the manifest that the channel tag names before, "" if the tag
	// does not exist. HeadVersion is its timestamp version.
	Head        digest.Digest
	HeadVersion int64
	// Roles are the roles that change against the head, in the order of
	// their writing.
	Roles []RoleChange
	// Blobs are sent because the head does not have them, in the order of
	// the bundle; Bytes is their sum.
	Blobs []BlobPlan
	Bytes int64
	// Digest and Size are those of the new manifest. In a plan that is only
	// shown they can differ from what a publish later writes, since expiries
	// and signatures are made anew.
	Digest digest.Digest
	Size   int64
	// Tag is the channel, HistoryTag the claim, "" where none is written.
	Tag, HistoryTag string
}

// RoleChange is a role with its versions before (0: new) and after.
type RoleChange struct {
	Role     string
	From, To int64
	Expires  time.Time
	// Why is "staged", "renewed", "proposed" or "online"; for a mirror "copied".
	Why string
}

// BlobPlan is a blob that is sent.
type BlobPlan struct {
	// Title is empty for the config and the inline layer.
	Title  string
	Digest digest.Digest
	Size   int64
}

// Versions are the versions of the four top-level roles.
type Versions struct {
	Root, Timestamp, Snapshot, Targets int64
}
