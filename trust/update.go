package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/fetcher"
)

// baseURL is what go-tuf is told; adapter cuts it off again.
const baseURL = "tuf:///"

// errReuse ends go-tuf's workflow before targets, of which the client has the
// parsed file of the same version and content.
var errReuse = errors.New("targets did not change")

// errMoreRoots ends it at a root that is one too many.
var errMoreRoots = errors.New("more new roots")

// update is one run of go-tuf's top-level workflow (TUF spec 5.3 to 5.6) and
// what came of it.
type update struct {
	parsed *parseCache
	base   *state // stored state, without what is damaged or no longer counts; a copy
	roots  chain  // verified so far
	judge  judge
	spare  string // a directory for temporary files, may be empty
	// keepTimestamp: the stored timestamp is the newest, whatever the source has;
	// the source is asked for all else.
	keepTimestamp bool
	kept          bool // what verifies is stored, so that the next refresh goes on from there

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
func (u *update) run(ctx context.Context, o *origin, limits Limits, known *roleFile) error {
	dir, placed, cleanup, err := u.placeStored(known == nil)
	if err != nil {
		return err
	}
	defer cleanup()
	u.adapter = &adapter{
		ctx: ctx, origin: o, limits: limits, placed: placed,
		served: map[string][]byte{}, newest: u.roots.last().meta, lastRoot: u.roots.last().version + limits.Roots,
	}
	if u.keepTimestamp {
		u.adapter.timestamp = u.base.timestamp
	}
	cfg := &config.UpdaterConfig{
		MaxRootRotations:      limits.Roots + 1, // the adapter looks whether there is one more
		RootMaxLength:         limits.Root,
		TimestampMaxLength:    limits.Timestamp,
		SnapshotMaxLength:     limits.Snapshot, // where no length is stated, see origin.roleFile
		TargetsMaxLength:      limits.Targets,
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
		u.adapter.stated = func(role string) bool { return stated(up.GetTrustedMetadataSet(), role) }
		u.adapter.reusable = func() bool { return known != nil && u.reusable(up.GetTrustedMetadataSet(), known) }
		err = up.Refresh()
		u.trusted = up.GetTrustedMetadataSet()
		return err
	})
	if err := u.accept(); err != nil {
		return err
	}
	if errors.Is(u.adapter.err, errMoreRoots) {
		return u.pending(limits.Roots)
	}
	if err != nil && !errors.Is(err, errReuse) {
		return u.explain(err)
	}
	return u.finish(known)
}

// pending is the error for a source that has more new roots than one refresh
// follows. It is said aloud: what is verified so far is not the present.
func (u *update) pending(most int64) error {
	detail := "it is verified and kept, and there are more: refresh again, which goes on from there"
	if !u.kept {
		detail = "it is verified, and there are more: start from a later root, or with a higher limit, since nothing is kept here"
	}
	return &VerificationError{
		Kind: ErrMalformed, Role: tuf.ROOT, Version: u.roots.last().version, Detail: detail,
		Err: &fetcher.LimitError{Title: "new roots in one refresh", Size: most + 1, Max: most, Unit: "roots", Limit: "roots"},
	}
}

// stated reports whether the metadata above a role states length and hash of its file,
// which then cannot be anything else.
func stated(now trustedmetadata.TrustedMetadata, role string) bool {
	var meta map[string]*tuf.MetaFiles
	switch {
	case role == tuf.SNAPSHOT && now.Timestamp != nil:
		meta = now.Timestamp.Signed.Meta
	case role == tuf.TARGETS && now.Snapshot != nil:
		meta = now.Snapshot.Signed.Meta
	}
	info := meta[role+".json"]
	return info != nil && isStated(info)
}

func isStated(info *tuf.MetaFiles) bool { return info.Length > 0 && len(info.Hashes) > 0 }

// placeStored writes what is stored into the directory that go-tuf reads it from:
// private, and alone inside a fresh parent, since go-tuf builds paths from names. Who
// owns the place for temporary files can still put something else there: see overlooked.
// It goes to the system's place for temporary files or, where that cannot be
// written, to spare. Where nothing is stored, no directory is needed.
func (u *update) placeStored(targets bool) (dir string, placed *os.Root, cleanup func(), err error) {
	files := map[string][]byte{"timestamp.json": u.base.timestamp, "snapshot.json": u.base.snapshot}
	if targets {
		files["targets.json"] = u.base.targets
	}
	maps.DeleteFunc(files, func(_ string, data []byte) bool { return data == nil })
	if len(files) == 0 {
		// Nothing can exist below a device.
		return filepath.Join(os.DevNull, "metadata"), nil, func() {}, nil
	}
	parent, err := os.MkdirTemp("", "tufoci-")
	remove := func() { os.RemoveAll(parent) }
	if err != nil && u.spare != "" {
		parent, remove, err = makeSpare(u.spare)
	}
	if err == nil {
		dir = filepath.Join(parent, "metadata")
		if placed, err = writeNew(dir, files); err != nil {
			remove()
		}
	}
	if err != nil {
		return "", nil, nil, fmt.Errorf("a refresh needs a temporary directory: %w", err)
	}
	return dir, placed, func() { placed.Close(); remove() }, nil
}

// writeNew makes a directory with these files. It never writes to one that is there: in
// a place of somebody else that could be a link to anything.
func writeNew(dir string, files map[string][]byte) (*os.Root, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	for name, data := range files {
		if err := writeNewFile(root, name, data); err != nil {
			root.Close()
			return nil, err
		}
	}
	return root, nil
}

func writeNewFile(dir *os.Root, name string, data []byte) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
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
// end), and takes of it what came from the source. An error: it is older than what is
// stored, and nothing but roots is taken.
func (u *update) accept() error {
	root := u.trusted.Root
	if root == nil {
		return nil
	}
	start := u.roots.last().version
	for version := u.roots.last().version + 1; version <= root.Signed.Version; version++ {
		data := u.adapter.served[rootFileName(version)]
		meta, err := parse[tuf.RootType](tuf.ROOT, data)
		if err != nil {
			return nil // not possible: go-tuf has just parsed it
		}
		u.roots = append(u.roots, rootFile{version, data, meta})
	}
	if u.roots.rotated(start) {
		u.base.timestamp, u.base.snapshot, u.forget = nil, nil, true
	}
	if u.trusted.Timestamp == nil || !u.adapter.sawNewestRoot {
		return nil
	}
	if e := u.overlooked(); e != nil {
		return e
	}
	if !u.acceptTimestamp() || u.trusted.Snapshot == nil {
		return nil
	}
	at := u.judge.refTime()
	info := u.trusted.Timestamp.Signed.Meta["snapshot.json"]
	if snapshot := u.trusted.Snapshot; snapshot.Signed.Version == info.Version && !snapshot.Signed.IsExpired(at) {
		u.snapshot = u.adapter.asked(tuf.SNAPSHOT)
	}
	if u.trusted.Targets[tuf.TARGETS] != nil {
		u.targets = u.adapter.asked(tuf.TARGETS)
	}
	return nil
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
