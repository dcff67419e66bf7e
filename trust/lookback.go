package trust

import (
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// Seen is the newest state of a repository that somebody has seen who is no client
// with a state of its own: a publisher, a monitor, the destination of a delivery.
type Seen struct {
	// Timestamp is its version, 0 for none.
	Timestamp int64
	// Root is the version of the root under which it was seen, 0 if that is not known:
	// then no root ends what was seen.
	Root int64
}

// Seen is what has been seen with a view of this status.
func (s Status) Seen() Seen { return Seen{Timestamp: s.Timestamp.Version, Root: s.Root.Version} }

// Check refuses a view that is older, as [ErrRollback] with detail, unless a root since
// then has ended what was seen, see [View.Ends]: so a publisher recovers from versions
// that were driven up, and whoever goes on from what was seen follows.
func (s Seen) Check(v *View, detail string) error {
	version := v.Status().Timestamp.Version
	if version >= s.Timestamp || s.Root > 0 && v.Ends(s.Root) {
		return nil
	}
	return &VerificationError{Kind: ErrRollback, Role: tuf.TIMESTAMP, Version: version, Want: s.Timestamp, Detail: detail}
}
