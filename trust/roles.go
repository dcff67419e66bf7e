package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
)

// slot holds one delegated role of a view. turn is a lock that a caller can stop
// waiting for.
type slot struct {
	turn    chan struct{}
	file    *roleFile // stored or fetched, as the snapshot says it has to be
	fetched bool      // file came from the source; it is not asked again
	failed  error     // what will not be better at the next try
}

// roleReader returns a delegated role, verified by the delegator that leads to it.
type roleReader func(ctx context.Context, name string, by signer) (*roleFile, error)

// role returns a delegated role, verified against the snapshot and by one
// delegator (TUF spec 5.6). It is read at the first use: from the store, else, at
// most once, from the source. Each delegator that leads to it has to vouch for it.
func (v *View) role(ctx context.Context, name string, by signer) (*roleFile, error) {
	s := v.slot(name)
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.failed != nil {
		return nil, s.failed
	}
	if err := ctx.Err(); err != nil { // what follows may take long, and does not ask
		return nil, err
	}
	info := metaOf(v.set.snapshot, name)
	if info == nil {
		return nil, notListed(name, v.set.snapshot.Signed.Version)
	}
	if s.file == nil {
		s.file = v.storedRole(name, info)
	}
	if s.file == nil || !s.fetched && v.parsed.verify(by, s.file) != nil {
		// Nothing stored, or not what this delegator signed for: the source decides.
		if err := v.fetchInto(ctx, s, name, info); err != nil {
			return nil, err
		}
	}
	if err := v.parsed.verify(by, s.file); err != nil {
		return nil, v.from(err)
	}
	if err := v.judgeNow().fresh(name, s.file.version(), s.file.meta.Signed.Expires); err != nil {
		return nil, err
	}
	if s.fetched {
		v.keepRole(s.file)
	}
	v.warnReserved(s.file)
	return s.file, nil
}

func (v *View) slot(name string) *slot {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.slots[name]
	if s == nil {
		s = &slot{turn: make(chan struct{}, 1)}
		v.slots[name] = s
	}
	return s
}

// storedRole returns the stored file if it is the one that the snapshot names, or
// else that of the stored bundle. One that is not, or is damaged, counts as absent.
func (v *View) storedRole(name string, info *tuf.MetaFiles) *roleFile {
	if file := v.fitting(name, info, v.store.role(name)); file != nil {
		return file
	}
	return v.fitting(name, info, v.inlined(v.roleTitle(name, info.Version)))
}

func (v *View) fitting(name string, info *tuf.MetaFiles, data []byte) *roleFile {
	if data == nil {
		return nil
	}
	file, err := v.checkRole(name, info, data, noLimit)
	if err != nil {
		return nil
	}
	return file
}

func (v *View) fetchInto(ctx context.Context, s *slot, name string, info *tuf.MetaFiles) error {
	data, err := v.fetchRole(ctx, name, info)
	if err != nil {
		return err
	}
	file, err := v.checkRole(name, info, data, v.limits.Values)
	if err != nil {
		s.failed = v.from(err)
		return s.failed
	}
	s.file, s.fetched = file, true
	return nil
}

// checkRole compares bytes with what the snapshot says: length and hash, format
// and type, version. It holds them to so many values.
func (v *View) checkRole(name string, info *tuf.MetaFiles, data []byte, values int64) (*roleFile, error) {
	if err := checkBytes(name, info, data); err != nil {
		return nil, err
	}
	if valuesIn(data) > values { // or else parse counts them
		if err := precheckWithin(name, data, values); err != nil {
			return nil, err
		}
	}
	file, err := v.parsed.parse(name, data)
	if err != nil {
		return nil, err
	}
	return file, checkVersion(info, file)
}

func (v *View) fetchRole(ctx context.Context, name string, info *tuf.MetaFiles) ([]byte, error) {
	if v.origin == nil {
		return nil, v.staleCopy(ctx, name, info.Version, nil)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	limit := v.limits.Targets
	if info.Length > 0 {
		limit = min(limit, info.Length)
	}
	data, err := v.origin.roleFile(ctx, v.roleTitle(name, info.Version), limit, isStated(info), v.limits)
	if errors.Is(err, fetcher.ErrFileNotFound) {
		return nil, v.staleCopy(ctx, name, info.Version, err)
	}
	return data, err
}

// from notes where refused bytes came from.
func (v *View) from(err error) error {
	if e, ok := errors.AsType[*VerificationError](err); ok && e.Source == "" && v.origin != nil {
		named := *e
		named.Source = v.origin.source.String()
		return &named
	}
	return err
}

// roleTitle is the name under which a role file is stored (TUF spec 5.6.1).
func (v *View) roleTitle(name string, version int64) string {
	return metadataDir + v.versioned(version) + url.PathEscape(name) + ".json"
}

func (v *View) versioned(version int64) string {
	if !v.consistent() {
		return ""
	}
	return strconv.FormatInt(version, 10) + "."
}

func (v *View) consistent() bool { return v.set.roots.last().meta.Signed.ConsistentSnapshot }

// staleCopy says that a role of the newest verified state is nowhere to be had.
// Whoever serves an older copy, as a slow mirror does, is not attacking by that.
func (v *View) staleCopy(ctx context.Context, role string, version int64, cause error) error {
	seen := v.set.timestamp.Signed.Version
	e := &VerificationError{Kind: ErrStaleCopy, Role: role, Version: version, Err: cause}
	if v.origin == nil {
		e.Detail = fmt.Sprintf("the state of timestamp v%d needs it, it is not stored, and no source was asked", seen)
		return e
	}
	e.Source = v.origin.source.String()
	e.Want, e.Detail = v.origin.staleness(ctx, role, version, seen, v.limits)
	return e
}

// staleness says why a source lacks a role that a timestamp of version seen needs:
// want is seen if the source is older. The version of the source is for the message
// alone: it is not verified.
func (o *origin) staleness(ctx context.Context, role string, version, seen int64, limits Limits) (want int64, detail string) {
	detail = fmt.Sprintf("this copy does not hold %s v%d, which timestamp v%d needs", role, version, seen)
	data, err := o.file(ctx, metadataDir+"timestamp.json", limits.Timestamp)
	if err != nil {
		return 0, detail
	}
	copied, err := parse[tuf.TimestampType](tuf.TIMESTAMP, data)
	if err != nil || copied.Signed.Version >= seen {
		return 0, detail
	}
	return seen, fmt.Sprintf("this copy is older (v%d) than what was seen (v%d); %s v%d is needed", copied.Signed.Version, seen, role, version)
}

// keepRole notes verified bytes for the store, see View.flush.
func (v *View) keepRole(file *roleFile) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.saved[file.name] {
		v.saved[file.name] = true
		v.unsaved[file.name] = file.data
	}
}

// flush stores the roles that were read since the last call. That it cannot is no
// reason to fail: they can be read again.
func (v *View) flush(ctx context.Context) {
	v.mu.Lock()
	roles := v.unsaved
	v.unsaved = map[string][]byte{}
	v.mu.Unlock()
	if len(roles) == 0 || !v.persist {
		return
	}
	err := v.store.commit(ctx, func(now *state) (*change, error) { return &change{roles: v.current(now, roles)}, nil })
	if err != nil && ctx.Err() == nil {
		v.warnings.add(fmt.Sprintf("delegated roles could not be stored: %v", err))
	}
}

// current leaves out roles that are not those of the stored state any more: another
// view may have moved it on, and stored what it needs.
func (v *View) current(now *state, roles map[string][]byte) map[string][]byte {
	if bytes.Equal(now.snapshot, v.set.snapshotData) {
		return roles
	}
	snapshot, err := parse[tuf.SnapshotType](tuf.SNAPSHOT, now.snapshot)
	if err != nil {
		return nil
	}
	current := maps.Clone(roles)
	maps.DeleteFunc(current, func(name string, data []byte) bool {
		info := metaOf(snapshot, name)
		return info == nil || checkBytes(name, info, data) != nil
	})
	return current
}

// maxReserved is how many reserved names of delegated roles are warned of, in one view:
// whoever has the key of one role can list very many.
const maxReserved = 100

// warnReserved warns of reserved names in the list of a delegated role. They are
// ignored wherever names are answered.
func (v *View) warnReserved(file *roleFile) {
	v.mu.Lock()
	checked := v.checked[file.name]
	v.checked[file.name] = true
	v.mu.Unlock()
	if checked {
		return
	}
	for name := range file.meta.Signed.Targets {
		if !Reserved(name) || v.mayDeny(file.name, name) {
			continue
		}
		if !v.mayWarnReserved() {
			v.warnings.add("delegated roles list more reserved names, which only targets may list: ignored")
			return
		}
		v.warnings.add(fmt.Sprintf("role %.300q lists the reserved name %.300q, which only targets may list: ignored", file.name, name))
	}
}

func (v *View) mayWarnReserved() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reservedNames++
	return v.reservedNames <= maxReserved
}
