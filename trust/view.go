package trust

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/ociremote"
)

// View is one verified state of a trust repository. It never changes, and is
// safe for concurrent use. Delegated roles are read when a lookup first needs
// them, each file at most once, and verified against this state. Expiry is
// judged at the time of the refresh that made the view; see Refresher for
// programs that run for long, whose views judge at the time of each call.
type View struct {
	set      *set
	status   Status
	judge    judge
	clock    func() judge // of a Refresher, for what is judged later; nil: judge
	limits   Limits
	origin   *origin // nil: no source was given or asked
	store    store
	cache    blobCache
	parsed   *parseCache
	persist  bool // roles that were read are stored
	warnings *warnings
	// kept is the stored bundle, of which only the inline layer is at hand; nil for
	// none.
	kept func() *ociremote.Bundle

	mu      sync.Mutex
	slots   map[string]*slot
	unsaved map[string][]byte // roles to store
	saved   map[string]bool   // stored, or to be stored
	checked map[string]bool   // for reserved names
	// reservedNames is how many were found.
	reservedNames int
}

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
	// Source is the kind of the source that the state was refreshed from (a
	// fetcher.Kind: registry, layout, archive, http, dir, memory), or "state" for
	// stored state only. SourceRef is the source in the form ParseSource reads.
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

func statusOf(version int64, expires time.Time, data []byte) RoleStatus {
	return RoleStatus{version, expires, int64(len(data)), hexSum(data)}
}

// Fork is one timestamp version with two contents, both validly signed: two
// publishers, or a stolen key.
type Fork struct {
	Version int64 `json:"version"`
	// Digests are the hex sha256 of the timestamp that is kept and of the one
	// that was offered.
	Digests [2]string `json:"digests"`
}

// Limits returns the limits under which the view was made, and reads.
func (v *View) Limits() Limits { return v.limits }

// Status says what the view rests on.
func (v *View) Status() Status {
	s := v.status
	if v.clock != nil {
		j := v.clock()
		stale, _ := v.set.usable(j)
		s.Stale = stale && !j.allowExpired
	}
	s.Warnings = v.warnings.all()
	return s
}

// judgeNow judges what is read of the view from now on.
func (v *View) judgeNow() judge {
	if v.clock != nil {
		return v.clock()
	}
	return v.judge
}

func (s *set) status() Status {
	root := s.roots.last()
	return Status{
		Root:       statusOf(root.version, root.meta.Signed.Expires, root.data),
		Timestamp:  statusOf(s.timestamp.Signed.Version, s.timestamp.Signed.Expires, s.timestampData),
		Snapshot:   statusOf(s.snapshot.Signed.Version, s.snapshot.Signed.Expires, s.snapshotData),
		Targets:    RoleStatus{s.targets.version(), s.targets.meta.Signed.Expires, int64(len(s.targets.data)), s.targets.sum},
		RootSHA256: hexSum(s.roots.pin().data),
	}
}

// Metadata returns the verified bytes of a role. ErrTargetNotFound if no
// delegation reaches a role of that name.
func (v *View) Metadata(ctx context.Context, role string) ([]byte, error) {
	switch role {
	case tuf.ROOT:
		return slices.Clone(v.set.roots.last().data), nil
	case tuf.TIMESTAMP:
		return slices.Clone(v.set.timestampData), nil
	case tuf.SNAPSHOT:
		return slices.Clone(v.set.snapshotData), nil
	}
	defer v.flush(ctx)
	all, err := v.reach(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		switch {
		case r.name != role:
		case r.file == nil:
			return nil, r.err
		default:
			return slices.Clone(r.file.data), nil
		}
	}
	return nil, &VerificationError{Kind: ErrTargetNotFound, Role: role, Detail: fmt.Sprintf("no delegation reaches a role %q", role)}
}

// RootVersion returns the bytes of one verified root, false if it is older than
// the pin or does not exist.
func (v *View) RootVersion(version int64) ([]byte, bool) {
	root, ok := v.set.roots.version(version)
	return slices.Clone(root.data), ok
}

// Ends reports whether a root after version root has changed keys or threshold of
// timestamp or snapshot, so that versions which were seen under that one hold nobody to
// them any more (TUF spec 5.3.11).
func (v *View) Ends(root int64) bool { return v.set.roots.rotated(root) }

// Bundle returns the bundle that holds this state. It is nil if the source is no
// bundle or was not asked, or if its bundle is of another state than the view, as
// with a fork.
func (v *View) Bundle() *ociremote.Bundle {
	bundle := v.origin.bundle()
	if bundle == nil || !isOf(bundle, v.set.timestampData) {
		return nil
	}
	return bundle
}
