package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/fetcher"
)

const (
	// baseURL is what go-tuf is told; adapter cuts it off again.
	baseURL = "tuf:///"
	// unknownLength is the most that is read of a metadata file of which the
	// metadata above it states no length.
	unknownLength = 1 << 20
	// maxRootRotations is how many new roots one refresh follows. The verified
	// ones are kept, so that the next refresh goes on behind them.
	maxRootRotations = 1024
)

// errReuse ends go-tuf's workflow before targets, of which the client has the
// parsed file of the same version and content.
var errReuse = errors.New("targets did not change")

// update is one run of go-tuf's top-level workflow (TUF spec 5.3 to 5.6) and
// what came of it.
type update struct {
	parsed *parseCache
	base   *state // stored state, without what is damaged or no longer counts; a copy
	roots  chain  // verified so far
	judge  judge
	spare  string // a directory for temporary files, may be empty

	adapter *adapter
	trusted trustedmetadata.TrustedMetadata

	// What came from the source and was accepted; nil if it did not.
	timestamp, snapshot, targets []byte
	forget                       bool // a new root revoked stored timestamp and snapshot
	set                          *set // nil if the workflow failed
	fork                         *Fork
}

// run goes through the workflow once. Afterwards u says what was verified, also
// if there is an error.
func (u *update) run(ctx context.Context, o *origin, limits Limits, rotations int, known *roleFile) error {
	dir, cleanup, err := u.placeStored(known == nil)
	if err != nil {
		return err
	}
	defer cleanup()
	u.adapter = &adapter{
		ctx: ctx, origin: o, limits: limits, dir: dir,
		served: map[string][]byte{}, newest: u.roots.last().meta,
	}
	cfg := &config.UpdaterConfig{
		MaxRootRotations:      int64(rotations),
		RootMaxLength:         limits.Root,
		TimestampMaxLength:    limits.Timestamp,
		SnapshotMaxLength:     min(unknownLength, limits.Snapshot),
		TargetsMaxLength:      min(unknownLength, limits.Targets),
		Fetcher:               u.adapter,
		LocalTrustedRoot:      u.roots.last().data,
		LocalMetadataDir:      dir,
		RemoteMetadataURL:     baseURL,
		DisableLocalCache:     true,
		PrefixTargetsWithHash: true,
	}
	err = guard("", func() error {
		up, err := updater.New(cfg)
		if err != nil {
			return err
		}
		up.UnsafeSetRefTime(u.judge.refTime())
		u.adapter.reusable = func() bool { return known != nil && u.reusable(up.GetTrustedMetadataSet(), known) }
		err = up.Refresh()
		u.trusted = up.GetTrustedMetadataSet()
		return err
	})
	u.accept()
	if err != nil && !errors.Is(err, errReuse) {
		return u.explain(err)
	}
	if !u.adapter.sawNewestRoot {
		return &VerificationError{
			Kind: ErrMalformed, Role: tuf.ROOT, Version: u.roots.last().version,
			Detail: fmt.Sprintf("more than %d new roots at once; the next refresh goes on from here", rotations),
		}
	}
	return u.finish(known)
}

// placeStored writes what is stored into the directory that go-tuf reads it from:
// private, and alone inside a fresh parent, since go-tuf builds paths from names.
// It goes to the system's place for temporary files or, where that cannot be
// written, to spare. Where nothing is stored, no directory is needed.
func (u *update) placeStored(targets bool) (dir string, cleanup func(), err error) {
	files := map[string][]byte{"timestamp.json": u.base.timestamp, "snapshot.json": u.base.snapshot}
	if targets {
		files["targets.json"] = u.base.targets
	}
	maps.DeleteFunc(files, func(_ string, data []byte) bool { return data == nil })
	if len(files) == 0 {
		// Nothing can exist below a device.
		return filepath.Join(os.DevNull, "metadata"), func() {}, nil
	}
	parent, err := os.MkdirTemp("", "tufoci-")
	if err != nil && u.spare != "" {
		parent, err = os.MkdirTemp(u.spare, ".refresh-")
	}
	if err != nil {
		return "", nil, fmt.Errorf("a refresh needs a temporary directory: %w", err)
	}
	cleanup = func() { os.RemoveAll(parent) }
	dir = filepath.Join(parent, "metadata")
	if err := os.Mkdir(dir, 0o700); err != nil {
		cleanup()
		return "", nil, err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			cleanup()
			return "", nil, err
		}
	}
	return dir, cleanup, nil
}

// reusable reports whether the parsed targets file is the one that the new snapshot
// names and the new root stands behind: what go-tuf would have checked again.
func (u *update) reusable(now trustedmetadata.TrustedMetadata, known *roleFile) bool {
	if now.Snapshot == nil || checkMeta(now.Snapshot, known) != nil {
		return false
	}
	root := rootFile{now.Root.Signed.Version, u.roots.last().data, now.Root}
	if data, ok := u.adapter.served[rootFileName(root.version)]; ok {
		root.data = data
	}
	return u.parsed.verify(rootDelegator(root), known) == nil
}

// accept works out what the workflow verified (whether or not it came to its
// end), and takes of it what came from the source.
func (u *update) accept() {
	root := u.trusted.Root
	if root == nil {
		return
	}
	start := u.roots.last().version
	for version := u.roots.last().version + 1; version <= root.Signed.Version; version++ {
		data := u.adapter.served[rootFileName(version)]
		meta, err := parse[tuf.RootType](tuf.ROOT, data)
		if err != nil {
			return // not possible: go-tuf has just parsed it
		}
		u.roots = append(u.roots, rootFile{version, data, meta})
	}
	if u.roots.rotated(start) {
		u.base.timestamp, u.base.snapshot, u.forget = nil, nil, true
	}
	if u.trusted.Timestamp == nil || !u.adapter.sawNewestRoot {
		return
	}
	if !u.acceptTimestamp() || u.trusted.Snapshot == nil {
		return
	}
	at := u.judge.refTime()
	info := u.trusted.Timestamp.Signed.Meta["snapshot.json"]
	if snapshot := u.trusted.Snapshot; snapshot.Signed.Version == info.Version && !snapshot.Signed.IsExpired(at) {
		u.snapshot = u.adapter.asked(tuf.SNAPSHOT)
	}
	if u.trusted.Targets[tuf.TARGETS] != nil {
		u.targets = u.adapter.asked(tuf.TARGETS)
	}
}

// acceptTimestamp reports whether the trusted timestamp is usable. go-tuf keeps
// the stored one if the versions are equal, silently.
func (u *update) acceptTimestamp() bool {
	trusted := u.trusted.Timestamp
	offered := u.adapter.served["timestamp.json"]
	if u.base.timestamp != nil {
		stored, err := parse[tuf.TimestampType](tuf.TIMESTAMP, u.base.timestamp)
		if err == nil && reflect.DeepEqual(stored, trusted) {
			u.findFork(stored, offered)
			offered = nil
		}
	}
	if trusted.Signed.IsExpired(u.judge.refTime()) {
		return false
	}
	u.timestamp = offered
	return true
}

// findFork compares the offered timestamp with the stored one, which go-tuf has
// kept. What it says counts if the workflow succeeds: go-tuf compares versions once
// the signatures have verified, and fails at an older one. Other bytes around the same signed content are no fork: anybody
// can make them.
func (u *update) findFork(stored *tuf.Metadata[tuf.TimestampType], offered []byte) {
	if offered == nil {
		return
	}
	other, err := parse[tuf.TimestampType](tuf.TIMESTAMP, offered)
	if err != nil || other.Signed.Version != stored.Signed.Version || reflect.DeepEqual(other.Signed, stored.Signed) {
		return
	}
	u.fork = &Fork{Version: stored.Signed.Version, Digests: [2]string{hexSum(u.base.timestamp), hexSum(offered)}}
}

// finish makes the verified set and judges the roles that may never be stale.
func (u *update) finish(known *roleFile) error {
	s := &set{
		roots:     u.roots,
		timestamp: u.trusted.Timestamp, timestampData: or(u.timestamp, u.base.timestamp),
		snapshot: u.trusted.Snapshot, snapshotData: or(u.snapshot, u.base.snapshot),
	}
	if s.targets = known; u.trusted.Targets[tuf.TARGETS] != nil {
		s.targets = newRoleFile(tuf.TARGETS, or(u.targets, u.base.targets), u.trusted.Targets[tuf.TARGETS])
	}
	if err := s.fresh(u.judge); err != nil {
		u.targets = nil
		return err
	}
	u.set = s
	return nil
}

func or(a, b []byte) []byte {
	if a != nil {
		return a
	}
	return b
}

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
		if offered.Signed.Version < old.Signed.Version {
			return &VerificationError{Kind: ErrRollback, Role: role, Version: offered.Signed.Version, Want: old.Signed.Version}
		}
		return wentBack(old.Signed.Meta, offered.Signed.Meta, "timestamp", offered.Signed.Version)
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

func wentBack(old, offered map[string]*tuf.MetaFiles, in string, version int64) *VerificationError {
	for _, name := range sortedKeys(old) {
		e := &VerificationError{
			Kind: ErrRollback, Role: strings.TrimSuffix(name, ".json"), Want: old[name].Version,
			Detail: fmt.Sprintf("offered by %s v%d", in, version),
		}
		now, ok := offered[name]
		if !ok {
			e.Detail = fmt.Sprintf("%s v%d no longer lists it", in, version)
			return e
		}
		if now.Version < old[name].Version {
			e.Version = now.Version
			return e
		}
	}
	return nil
}

// adapter serves go-tuf from one origin: every file within our own limits,
// checked before go-tuf parses it, and remembered.
type adapter struct {
	ctx      context.Context // of the one refresh that the adapter lives for
	origin   *origin
	limits   Limits
	dir      string
	reusable func() bool

	served map[string][]byte           // by file name
	newest *tuf.Metadata[tuf.RootType] // root that go-tuf has verified
	// sawNewestRoot: the source does not have the root after newest.
	sawNewestRoot bool

	lastRole    string
	lastVersion int64
	err         error // of the source or of Precheck
}

// DownloadFile implements go-tuf's Fetcher.
func (a *adapter) DownloadFile(url string, maxLength int64, _ time.Duration) ([]byte, error) {
	name := strings.TrimPrefix(url, baseURL)
	role, version := splitFileName(name)
	a.lastRole, a.lastVersion = role, version
	data, err := a.download(name, role, version, maxLength)
	if err != nil && !errors.Is(err, errReuse) {
		if isType[*tuf.ErrDownloadHTTP](err) {
			return nil, err
		}
		a.err = err
	}
	return data, err
}

func (a *adapter) download(name, role string, version, maxLength int64) ([]byte, error) {
	limit := a.limits.Targets
	switch role {
	case tuf.ROOT:
		limit = a.limits.Root
		if err := a.rootVerified(version - 1); err != nil {
			return nil, err
		}
	case tuf.TIMESTAMP:
		limit = a.limits.Timestamp
	case tuf.SNAPSHOT:
		limit = a.limits.Snapshot
	case tuf.TARGETS:
		if a.reusable() {
			return nil, errReuse
		}
	}
	if maxLength <= 0 || maxLength > limit {
		maxLength = limit
	}
	data, err := a.origin.file(a.ctx, metadataDir+name, maxLength)
	switch {
	case err == nil:
	case errors.Is(err, fetcher.ErrFileNotFound) && role == tuf.ROOT:
		// The one thing that tells go-tuf that there is no newer root.
		a.sawNewestRoot = true
		return nil, &tuf.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: name}
	case errors.Is(err, fetcher.ErrFileNotFound):
		return nil, &VerificationError{
			Kind: ErrStaleCopy, Role: role, Version: version, Source: a.origin.source.String(),
			Detail: "the copy at hand does not hold it", Err: err,
		}
	default:
		return nil, err
	}
	a.served[name] = data
	if err := Precheck(role, data); err != nil {
		err.(*VerificationError).Version, err.(*VerificationError).Source = version, a.origin.source.String()
		return nil, err
	}
	return data, nil
}

// rootVerified is called when go-tuf asks for the root after version: so that
// one has verified. If it revoked keys of timestamp or snapshot, the stored ones
// are removed before go-tuf reads them (TUF spec 5.3.11).
func (a *adapter) rootVerified(version int64) error {
	data, ok := a.served[rootFileName(version)]
	if !ok {
		return nil
	}
	meta, err := parse[tuf.RootType](tuf.ROOT, data)
	if err != nil {
		return err
	}
	if rotates(a.newest, meta) {
		for _, name := range []string{"timestamp.json", "snapshot.json"} {
			if err := os.Remove(filepath.Join(a.dir, name)); err != nil && !os.IsNotExist(err) && !errors.Is(err, syscall.ENOTDIR) {
				return err
			}
		}
	}
	a.newest = meta
	return nil
}

// asked returns what was served of a role whose file name may have a version.
func (a *adapter) asked(role string) []byte {
	for name, data := range a.served {
		if found, _ := splitFileName(name); found == role {
			return data
		}
	}
	return nil
}

// splitFileName reads the role and, if there is one, the version of a file name
// of a top-level role.
func splitFileName(name string) (role string, version int64) {
	role = strings.TrimSuffix(name, ".json")
	if number, rest, ok := strings.Cut(role, "."); ok {
		if v, err := strconv.ParseInt(number, 10, 64); err == nil {
			return rest, v
		}
	}
	return role, 0
}
