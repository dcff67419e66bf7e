package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/ownfile"
	"github.com/tufoci/tufoci/ociremote"
)

// store keeps the state of one pin.
type store interface {
	// load reads the state; a pin without one has an empty state.
	load(ctx context.Context) (*state, error)
	// role returns the stored bytes of a delegated role, nil if there are none.
	role(name string) []byte
	// seen returns the revocations that were seen, nil if there are none.
	seen() []byte
	// commit gives decide the state as it is now and writes what it answers,
	// while nobody else reads or writes.
	commit(ctx context.Context, decide func(now *state) (*change, error)) error
}

const (
	lockName  = "lock"
	lockRetry = 5 * time.Millisecond
	maxInfo   = 1 << 20 // bytes of source.json
	// The stored chain of roots, all together: the pin and as many as one refresh can be
	// told to follow, a root a week for a lifetime; or a hundred of the largest.
	maxStoredRoots     = 4097
	maxStoredRootBytes = 64 << 20
)

// dirStore is a state directory. Others may have written to it: what is read back is
// bounded by what can ever be received, and nothing is written through a link.
type dirStore struct {
	dir          string
	limits       Limits
	maxRoots     int
	maxRootBytes int64
	disk         durable.Disk
}

// newDirStore bounds files by the most that a client can be told to receive. Limits that
// were lowered since do not take its state away.
func newDirStore(dir string) *dirStore {
	return &dirStore{dir: dir, disk: durable.Disk{Pattern: tempPrefix}, limits: fetcher.Ceilings(), maxRoots: maxStoredRoots, maxRootBytes: maxStoredRootBytes}
}

var (
	_ store = (*dirStore)(nil)
	_ store = (*memoryStore)(nil)
)

func (s *dirStore) file(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}

// dirs are its directories, the outer one first.
func (s *dirStore) dirs() []string { return []string{s.dir, s.file("roots"), s.file("roles")} }

// check refuses links, and whatever else is no directory or file, in the place of
// directories and the lock: tufoci would write somewhere else, or wait.
func (s *dirStore) check() error {
	for _, dir := range s.dirs() {
		info, err := os.Lstat(dir)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%w: %s: not a directory", ErrState, dir)
		}
	}
	info, err := os.Lstat(s.file(lockName))
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s: %w", ErrState, s.file(lockName), ownfile.ErrOdd)
	}
	return nil
}

// readFile reads a file. What no crash leaves is an error: to take it for a file that
// is gone would give up what was seen.
func (s *dirStore) readFile(max int64, name ...string) ([]byte, error) {
	data, err := ownfile.Read(s.file(name...), max)
	if errors.Is(err, ownfile.ErrOdd) || errors.Is(err, ownfile.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrState, err)
	}
	return data, err
}

// load reads everything but the delegated roles, under the shared lock.
func (s *dirStore) load(ctx context.Context) (*state, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
		return &state{roots: map[int64][]byte{}}, nil
	}
	lock := ownfile.Lock(s.file(lockName))
	_, err := lock.TryRLockContext(ctx, lockRetry)
	switch {
	case err == nil:
		defer lock.Unlock()
	case !isReadOnly(err): // else nobody can write either
		return nil, fmt.Errorf("state is locked: %w", err)
	}
	return s.read()
}

func (s *dirStore) read() (*state, error) {
	st := &state{}
	var err error
	if st.roots, err = s.readRoots(); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		max  int64
		to   *[]byte
	}{
		{"timestamp.json", s.limits.Timestamp, &st.timestamp},
		{"snapshot.json", s.limits.Snapshot, &st.snapshot},
		{"targets.json", s.limits.Targets, &st.targets},
		{"bundle.json", ociremote.MaxManifest, &st.bundle},
		{seenFile, maxSeen, &st.seen},
	} {
		if *f.to, err = s.readFile(f.max, f.name); err != nil {
			return nil, err
		}
	}
	data, err := s.readFile(maxInfo, "source.json")
	if err != nil {
		return nil, err
	}
	if st.info, err = parseInfo(data); err != nil {
		return nil, err
	}
	if st.bundle != nil && "sha256:"+hexSum(st.bundle) != st.info.Digest.String() {
		st.bundle = nil
	}
	return st, nil
}

func (s *dirStore) readRoots() (map[int64][]byte, error) {
	roots := map[int64][]byte{}
	versions, err := s.rootVersions()
	if err != nil {
		return nil, err
	}
	for _, version := range versions {
		if roots[version], err = s.readFile(s.limits.Root, "roots", rootFileName(version)); err != nil {
			return nil, err
		}
	}
	return roots, nil
}

// rootVersions are those that have a file, unless that is too much to read. Other
// files are left alone.
func (s *dirStore) rootVersions() ([]int64, error) {
	var versions []int64
	size := int64(0)
	err := eachName(s.file("roots"), func(name string) error {
		number, ok := strings.CutSuffix(name, ".root.json")
		version, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || rootFileName(version) != name {
			return nil
		}
		info, err := os.Lstat(s.file("roots", name))
		if err != nil {
			return err
		}
		versions, size = append(versions, version), size+info.Size()
		if err := s.checkRoots(len(versions), size); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return versions, err
}

// checkRoots holds the stored roots, all together, to what is read back.
func (s *dirStore) checkRoots(number int, size int64) error {
	switch {
	case number > s.maxRoots:
		return &fetcher.LimitError{Title: s.file("roots"), Size: int64(number), Max: int64(s.maxRoots), Unit: "roots"}
	case size > s.maxRootBytes:
		return &fetcher.LimitError{Title: s.file("roots"), Size: size, Max: s.maxRootBytes, Unit: "bytes of roots"}
	}
	return nil
}

// room refuses new roots that would not be read back with those that are stored: that
// state would be of no use any more, not even without the network.
func (s *dirStore) room(stored, added map[int64][]byte) error {
	size := int64(0)
	for _, roots := range []map[int64][]byte{stored, added} {
		for _, data := range roots {
			size += int64(len(data))
		}
	}
	if err := s.checkRoots(len(stored)+len(added), size); err != nil {
		return fmt.Errorf("%w: pin a later root", err)
	}
	return nil
}

func rootFileName(version int64) string { return strconv.FormatInt(version, 10) + ".root.json" }

// role needs no lock: a file is replaced whole, and what it holds is verified
// against the snapshot.
func (s *dirStore) role(name string) []byte {
	data, err := s.readFile(s.limits.Targets, "roles", roleFileName(name))
	if err != nil {
		return nil
	}
	return data
}

// seen needs no lock either: it is only warned from.
func (s *dirStore) seen() []byte {
	data, err := s.readFile(maxSeen, seenFile)
	if err != nil {
		return nil
	}
	return data
}

func (s *dirStore) commit(ctx context.Context, decide func(*state) (*change, error)) error {
	if err := s.check(); err != nil {
		return err
	}
	for _, dir := range s.dirs() {
		if err := s.disk.Make(dir); err != nil {
			return err
		}
	}
	lock := ownfile.Lock(s.file(lockName))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return fmt.Errorf("state is locked: %w", err)
	}
	defer lock.Unlock()
	for _, dir := range s.dirs() {
		removeTemporary(dir)
	}
	now, err := s.read()
	if err != nil {
		return err
	}
	c, err := decide(now)
	if err != nil {
		return err
	}
	if err := s.room(now.roots, c.roots); err != nil {
		return err
	}
	return s.apply(c)
}

// apply writes a change in the order in which a crash at any point leaves a state
// that protects from rollback at least as well as before: roots; what they
// revoke; timestamp, snapshot, targets; and last the claim that all of it is the
// bundle of that digest. A file in between that does not fit is fetched again.
func (s *dirStore) apply(c *change) error {
	for _, version := range slices.Sorted(maps.Keys(c.roots)) {
		if err := s.disk.Write(s.file("roots", rootFileName(version)), c.roots[version], 0o600); err != nil {
			return err
		}
	}
	if c.forget != nil {
		for _, name := range []string{"timestamp.json", "snapshot.json"} {
			if err := s.disk.Remove(s.file(name)); err != nil {
				return err
			}
		}
		if err := s.writeInfo(c.forget); err != nil {
			return err
		}
	}
	steps := []struct {
		name string
		data []byte
	}{
		{"timestamp.json", c.timestamp},
		{"snapshot.json", c.snapshot},
		{"targets.json", c.targets},
	}
	for role, data := range c.roles {
		steps = append(steps, struct {
			name string
			data []byte
		}{filepath.Join("roles", roleFileName(role)), data})
	}
	steps = append(steps, struct {
		name string
		data []byte
	}{"bundle.json", c.bundle}, struct {
		name string
		data []byte
	}{seenFile, c.seen})
	for _, step := range steps {
		if step.data == nil {
			continue
		}
		if err := s.disk.Write(s.file(step.name), step.data, 0o600); err != nil {
			return err
		}
	}
	if c.info != nil {
		if err := s.writeInfo(c.info); err != nil {
			return err
		}
	}
	return s.prune(c.keepRole)
}

func (s *dirStore) writeInfo(in *info) error {
	data, err := marshalInfo(in)
	if err != nil {
		return err
	}
	return s.disk.Write(s.file("source.json"), data, 0o600)
}

// prune removes stored roles that the newest snapshot no longer lists. A directory
// is none.
func (s *dirStore) prune(keep func(string) bool) error {
	if keep == nil {
		return nil
	}
	return eachName(s.file("roles"), func(name string) error {
		file := s.file("roles", name)
		if keep(name) {
			return nil
		}
		if info, err := os.Lstat(file); err != nil || info.IsDir() {
			return err
		}
		return s.disk.Remove(file)
	})
}

// isReadOnly reports whether an error says that nothing can be written there.
func isReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}
