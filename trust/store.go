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
	"time"

	"github.com/gofrs/flock"
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
	lockRetry = 5 * time.Millisecond
	// maxStateFile bounds what is read back from a directory that others may
	// have written to. It is above every limit on what is received.
	maxStateFile = 1 << 30
)

// dirStore is a state directory.
type dirStore struct {
	dir    string
	writer writer
}

var (
	_ store = (*dirStore)(nil)
	_ store = (*memoryStore)(nil)
)

func (s *dirStore) file(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}

// load reads everything but the delegated roles, under the shared lock.
func (s *dirStore) load(ctx context.Context) (*state, error) {
	if _, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
		return &state{roots: map[int64][]byte{}}, nil
	}
	lock := flock.New(s.file("lock"))
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
	for name, to := range map[string]*[]byte{
		"timestamp.json": &st.timestamp, "snapshot.json": &st.snapshot,
		"targets.json": &st.targets, "bundle.json": &st.bundle, seenFile: &st.seen,
	} {
		if *to, err = readFile(s.file(name), maxStateFile); err != nil {
			return nil, err
		}
	}
	data, err := readFile(s.file("source.json"), 1<<20)
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
	entries, err := os.ReadDir(s.file("roots"))
	if errors.Is(err, fs.ErrNotExist) {
		return roots, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), ".root.json")
		version, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || rootFileName(version) != e.Name() {
			continue
		}
		if roots[version], err = readFile(s.file("roots", e.Name()), maxStateFile); err != nil {
			return nil, err
		}
	}
	return roots, nil
}

func rootFileName(version int64) string { return strconv.FormatInt(version, 10) + ".root.json" }

// role needs no lock: a file is replaced whole, and what it holds is verified
// against the snapshot.
func (s *dirStore) role(name string) []byte {
	data, err := readFile(s.file("roles", roleFileName(name)), maxStateFile)
	if err != nil {
		return nil
	}
	return data
}

// seen needs no lock either: it is only warned from.
func (s *dirStore) seen() []byte {
	data, err := readFile(s.file(seenFile), maxStateFile)
	if err != nil {
		return nil
	}
	return data
}

func (s *dirStore) commit(ctx context.Context, decide func(*state) (*change, error)) error {
	for _, dir := range []string{s.dir, s.file("roots"), s.file("roles")} {
		if err := s.writer.at("mkdir", dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	lock := flock.New(s.file("lock"))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return fmt.Errorf("state is locked: %w", err)
	}
	defer lock.Unlock()
	for _, dir := range []string{s.dir, s.file("roots"), s.file("roles")} {
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
	return s.apply(c)
}

// apply writes a change in the order in which a crash at any point leaves a state
// that protects from rollback at least as well as before: roots; what they
// revoke; timestamp, snapshot, targets; and last the claim that all of it is the
// bundle of that digest. A file in between that does not fit is fetched again.
func (s *dirStore) apply(c *change) error {
	for _, version := range slices.Sorted(maps.Keys(c.roots)) {
		if err := s.writer.write(s.file("roots", rootFileName(version)), c.roots[version]); err != nil {
			return err
		}
	}
	if c.forget != nil {
		for _, name := range []string{"timestamp.json", "snapshot.json"} {
			if err := s.writer.remove(s.file(name)); err != nil {
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
		if err := s.writer.write(s.file(step.name), step.data); err != nil {
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
	return s.writer.write(s.file("source.json"), data)
}

// prune removes stored roles that the newest snapshot no longer lists.
func (s *dirStore) prune(keep func(string) bool) error {
	if keep == nil {
		return nil
	}
	entries, err := os.ReadDir(s.file("roles"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !keep(e.Name()) {
			if err := s.writer.remove(s.file("roles", e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
