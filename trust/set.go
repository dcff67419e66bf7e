package trust

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// set is a verified state of the top-level roles. Nothing in it changes.
type set struct {
	roots         chain
	timestamp     *tuf.Metadata[tuf.TimestampType]
	timestampData []byte
	snapshot      *tuf.Metadata[tuf.SnapshotType]
	snapshotData  []byte
	targets       *roleFile
}

// roleFile is one parsed file of targets or a delegated role. It never changes.
type roleFile struct {
	name string
	data []byte
	sum  string // hex sha256 of data
	meta *tuf.Metadata[tuf.TargetsType]
}

func newRoleFile(name string, data []byte, meta *tuf.Metadata[tuf.TargetsType]) *roleFile {
	return &roleFile{name: name, data: data, sum: hexSum(data), meta: meta}
}

func (r *roleFile) version() int64 { return r.meta.Signed.Version }

// metaOf returns what a snapshot says about a role; nil if it does not list it.
func metaOf(snapshot *tuf.Metadata[tuf.SnapshotType], role string) *tuf.MetaFiles {
	return snapshot.Signed.Meta[role+".json"]
}

// checkBytes compares bytes with what the snapshot says about them (TUF spec
// 5.6.2).
func checkBytes(role string, info *tuf.MetaFiles, data []byte) error {
	err := guard(role, func() error { return info.VerifyLengthHashes(data) })
	return translate(role, info.Version, err)
}

// checkMeta compares a parsed file with what a snapshot says about it (TUF spec
// 5.6.2 and 5.6.4).
func checkMeta(snapshot *tuf.Metadata[tuf.SnapshotType], file *roleFile) error {
	info := metaOf(snapshot, file.name)
	if info == nil {
		return notListed(file.name, snapshot.Signed.Version)
	}
	if err := checkBytes(file.name, info, file.data); err != nil {
		return err
	}
	return checkVersion(info, file)
}

func checkVersion(info *tuf.MetaFiles, file *roleFile) error {
	if info.Version == file.version() {
		return nil
	}
	return &VerificationError{
		Kind: ErrMismatch, Role: file.name, Version: file.version(), Want: info.Version,
		Detail: fmt.Sprintf("the snapshot names v%d", info.Version),
	}
}

func notListed(role string, snapshot int64) error {
	return &VerificationError{
		Kind: ErrMismatch, Role: role,
		Detail: fmt.Sprintf("it is delegated to, but snapshot v%d does not list it", snapshot),
	}
}

// fresh judges the roles that may never be stale.
func (s *set) fresh(j judge) error {
	root := s.roots.last()
	if err := j.fresh(tuf.ROOT, root.version, root.meta.Signed.Expires); err != nil {
		return err
	}
	return j.fresh(tuf.TARGETS, s.targets.version(), s.targets.meta.Signed.Expires)
}

// usable judges timestamp and snapshot.
func (s *set) usable(j judge) (stale bool, err error) {
	a, err := j.usable(tuf.TIMESTAMP, s.timestamp.Signed.Version, s.timestamp.Signed.Expires)
	if err != nil {
		return false, err
	}
	b, err := j.usable(tuf.SNAPSHOT, s.snapshot.Signed.Version, s.snapshot.Signed.Expires)
	return a || b, err
}

// errIncomplete: the stored state is not whole, but nothing about it is wrong.
var errIncomplete = errors.New("the stored state is not complete")

// verifyStored verifies a stored state without its source, by the same rules.
// errIncomplete if files are missing, damaged or do not belong together.
func verifyStored(roots chain, st *state, j judge, parsed *parseCache) (*set, error) {
	if st.timestamp == nil || st.snapshot == nil || st.targets == nil {
		return nil, errIncomplete
	}
	tm, err := trustOf(roots.last(), j)
	if err != nil {
		return nil, err
	}
	if err := j.fresh(tuf.ROOT, roots.last().version, roots.last().meta.Signed.Expires); err != nil {
		return nil, err
	}
	s := &set{roots: roots, timestampData: st.timestamp, snapshotData: st.snapshot}
	err = guard(tuf.TIMESTAMP, func() (err error) {
		s.timestamp, err = tm.UpdateTimestamp(st.timestamp)
		return err
	})
	if isType[*tuf.ErrExpiredMetadata](err) {
		_, err := j.usable(tuf.TIMESTAMP, tm.Timestamp.Signed.Version, tm.Timestamp.Signed.Expires)
		return nil, err
	}
	if err == nil {
		err = guard(tuf.SNAPSHOT, func() (err error) {
			s.snapshot, err = tm.UpdateSnapshot(st.snapshot, false)
			return err
		})
	}
	if isType[*tuf.ErrExpiredMetadata](err) {
		_, err := j.usable(tuf.SNAPSHOT, tm.Snapshot.Signed.Version, tm.Snapshot.Signed.Expires)
		return nil, err
	}
	if err != nil {
		return nil, errIncomplete
	}
	s.targets, err = parsed.parse(tuf.TARGETS, st.targets)
	if err != nil || checkMeta(s.snapshot, s.targets) != nil || parsed.verify(rootDelegator(roots.last()), s.targets) != nil {
		return nil, errIncomplete
	}
	return s, s.fresh(j)
}

// trustOf returns go-tuf's rules, started at a root that is verified already.
func trustOf(root rootFile, j judge) (tm *trustedmetadata.TrustedMetadata, err error) {
	err = guard(tuf.ROOT, func() error {
		tm, err = trustedmetadata.New(root.data)
		return err
	})
	if err != nil {
		return nil, translate(tuf.ROOT, root.version, err)
	}
	tm.RefTime = j.refTime()
	return tm, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
