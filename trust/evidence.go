package trust

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// explain turns the error of the workflow into one with evidence.
func (u *update) explain(err error) error {
	if u.adapter.err != nil {
		return u.adapter.err
	}
	role := u.adapter.lastRole
	source := u.adapter.origin.source.String()
	switch {
	case isType[*tuf.ErrExpiredMetadata](err):
		return u.expired()
	case isType[*tuf.ErrBadVersionNumber](err), role == tuf.SNAPSHOT && isType[*tuf.ErrRepository](err):
		if rollback := u.rollback(role); rollback != nil {
			rollback.Source = source
			return rollback
		}
	}
	err = translate(role, u.adapter.lastVersion, err)
	if v, ok := errors.AsType[*VerificationError](err); ok && v.Source == "" {
		v.Source = source
	}
	return err
}

// expired finds the role that stopped the workflow.
func (u *update) expired() error {
	t := &u.trusted
	if err := u.judge.fresh(tuf.ROOT, t.Root.Signed.Version, t.Root.Signed.Expires); err != nil {
		return err
	}
	if t.Timestamp != nil {
		if _, err := u.judge.usable(tuf.TIMESTAMP, t.Timestamp.Signed.Version, t.Timestamp.Signed.Expires); err != nil {
			return err
		}
	}
	if t.Snapshot != nil {
		if _, err := u.judge.usable(tuf.SNAPSHOT, t.Snapshot.Signed.Version, t.Snapshot.Signed.Expires); err != nil {
			return err
		}
	}
	if data := or(u.adapter.asked(tuf.TARGETS), u.base.targets); data != nil {
		if targets, err := parse[tuf.TargetsType](tuf.TARGETS, data); err == nil {
			return u.judge.refuse(tuf.TARGETS, targets.Signed.Version, targets.Signed.Expires)
		}
	}
	return u.judge.refuse(tuf.TARGETS, 0, time.Time{})
}

// rollback compares what was offered with what is stored, and names the role that
// went back (TUF spec 5.4.3, 5.5.5); nil if none did.
func (u *update) rollback(role string) *VerificationError {
	switch role {
	case tuf.TIMESTAMP:
		old, err := parse[tuf.TimestampType](role, u.base.timestamp)
		if err != nil {
			return nil
		}
		offered, err := parse[tuf.TimestampType](role, u.adapter.served["timestamp.json"])
		if err != nil {
			return nil
		}
		return timestampWentBack(&old.Signed, &offered.Signed)
	case tuf.SNAPSHOT:
		old, err := parse[tuf.SnapshotType](role, u.base.snapshot)
		if err != nil {
			return nil
		}
		offered, err := parse[tuf.SnapshotType](role, u.adapter.asked(role))
		if err != nil {
			return nil
		}
		return wentBack(old.Signed.Meta, offered.Signed.Meta, "snapshot", offered.Signed.Version)
	}
	return nil
}

// overlooked compares what came out of the workflow with what is stored, and names the
// role that went back; nil if none did. go-tuf has compared them as well, but only if it
// found what is stored: whoever owns the place for temporary files can take it away, or
// put something else there, while the source is asked. What the newest root does not
// stand behind counts for neither.
func (u *update) overlooked() *VerificationError {
	root := u.roots.last().meta
	old, err := parse[tuf.TimestampType](tuf.TIMESTAMP, u.base.timestamp)
	if stored := err == nil && reflect.DeepEqual(u.trusted.Timestamp, old); !stored && !u.isOffered(u.trusted.Timestamp) {
		return u.planted(tuf.TIMESTAMP, u.trusted.Timestamp.Signed.Version)
	}
	if err == nil {
		now := &u.trusted.Timestamp.Signed
		e := timestampWentBack(&old.Signed, now)
		// Of one version there is one content: the stored one is kept, see findFork.
		if now.Version == old.Signed.Version && !reflect.DeepEqual(*now, old.Signed) {
			e = &VerificationError{Kind: ErrRollback, Role: tuf.TIMESTAMP, Version: now.Version, Want: now.Version}
		}
		if e != nil && verifyBy(root, tuf.ROOT, tuf.TIMESTAMP, old.Signed.Version, old) == nil {
			return u.behindOurBack(e)
		}
	}
	if u.trusted.Snapshot == nil {
		return nil
	}
	return cmp.Or(u.overlookedSnapshot(root), u.overlookedTargets())
}

// isOffered reports whether a timestamp is the one that the source has.
func (u *update) isOffered(timestamp *tuf.Metadata[tuf.TimestampType]) bool {
	offered, err := parse[tuf.TimestampType](tuf.TIMESTAMP, u.adapter.served["timestamp.json"])
	return err == nil && reflect.DeepEqual(timestamp, offered)
}

func (u *update) overlookedSnapshot(root delegator) *VerificationError {
	now := u.trusted.Snapshot
	old, err := parse[tuf.SnapshotType](tuf.SNAPSHOT, u.base.snapshot)
	if u.adapter.asked(tuf.SNAPSHOT) == nil && (err != nil || !reflect.DeepEqual(now, old)) {
		return u.planted(tuf.SNAPSHOT, now.Signed.Version)
	}
	if err != nil {
		return nil
	}
	e := wentBack(old.Signed.Meta, now.Signed.Meta, "snapshot", now.Signed.Version)
	if e != nil && verifyBy(root, tuf.ROOT, tuf.SNAPSHOT, old.Signed.Version, old) == nil {
		return u.behindOurBack(e)
	}
	return nil
}

// overlookedTargets compares the stored bytes, which may be many: they are parsed only
// where nothing states their hash.
func (u *update) overlookedTargets() *VerificationError {
	now := u.trusted.Targets[tuf.TARGETS]
	if now == nil || u.adapter.asked(tuf.TARGETS) != nil {
		return nil
	}
	info := metaOf(u.trusted.Snapshot, tuf.TARGETS)
	if u.base.targets != nil && checkBytes(tuf.TARGETS, info, u.base.targets) == nil {
		if len(info.Hashes) > 0 {
			return nil
		}
		if old, err := u.parsed.parse(tuf.TARGETS, u.base.targets); err == nil && reflect.DeepEqual(now, old.meta) {
			return nil
		}
	}
	return u.planted(tuf.TARGETS, now.Signed.Version)
}

// planted is the error for a file that is neither stored nor from the source. It is
// signed, and may be newer, but its bytes are not at hand: nothing could be stored of it
// but what the source has sent in its place.
func (u *update) planted(role string, version int64) *VerificationError {
	return u.behindOurBack(&VerificationError{Kind: ErrState, Role: role, Version: version})
}

func (u *update) behindOurBack(e *VerificationError) *VerificationError {
	e.Source = u.adapter.origin.source.String()
	e.Detail = strings.TrimPrefix(e.Detail+"; ", "; ") + "meanwhile somebody has changed the directory for temporary files (TMPDIR)"
	return e
}

// timestampWentBack names the role that went back between two timestamps: timestamp, or
// the snapshot that it names; nil if none did. What else a timestamp lists may go again:
// nothing is read of it (TUF spec 5.4.3).
func timestampWentBack(old, offered *tuf.TimestampType) *VerificationError {
	if offered.Version < old.Version {
		return &VerificationError{Kind: ErrRollback, Role: tuf.TIMESTAMP, Version: offered.Version, Want: old.Version}
	}
	const snapshot = tuf.SNAPSHOT + ".json"
	return lowered(snapshot, old.Meta[snapshot], offered.Meta[snapshot], tuf.TIMESTAMP, offered.Version)
}

// wentBack names the first role of what was listed that is listed no more, or with a
// lower version; nil if there is none.
func wentBack(old, offered map[string]*tuf.MetaFiles, in string, version int64) *VerificationError {
	for _, name := range sortedKeys(old) {
		if e := lowered(name, old[name], offered[name], in, version); e != nil {
			return e
		}
	}
	return nil
}

// lowered compares two entries of one file; now is nil if it is listed no more.
func lowered(name string, old, now *tuf.MetaFiles, in string, version int64) *VerificationError {
	e := &VerificationError{Kind: ErrRollback, Role: strings.TrimSuffix(name, ".json"), Want: old.Version}
	switch {
	case now == nil:
		e.Detail = fmt.Sprintf("%s v%d no longer lists it", in, version)
	case now.Version < old.Version:
		e.Version, e.Detail = now.Version, fmt.Sprintf("offered by %s v%d", in, version)
	default:
		return nil
	}
	return e
}
