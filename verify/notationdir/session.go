package notationdir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tufoci/tufoci/internal/durable"
	"github.com/tufoci/tufoci/internal/ownfile"
)

const (
	lockWait  = 30 * time.Second
	lockRetry = 20 * time.Millisecond
)

// session is one sync: what was found on disk, and the plan.
type session struct {
	o    Options
	now  time.Time
	disk disk
	// state is as read, rawState its bytes.
	state    *state
	rawState []byte
	draft
}

func newSession(o Options) *session {
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &session{o: o, now: o.Now().UTC().Truncate(time.Second)}
	s.disk = disk{durable.Disk{Temp: s.config(stateDir), Pattern: stagingPrefix, Step: o.step}}
	return s
}

func (s *session) config(name ...string) string {
	return filepath.Join(append([]string{s.o.Config}, name...)...)
}

// storeDir is where a store TYPE/NAME is, or all stores of a TYPE.
func (s *session) storeDir(path string) string {
	return s.config("truststore", "x509", filepath.FromSlash(path))
}

func (s *session) crlDir() string { return filepath.Join(s.o.Cache, "crl") }

// work plans and, unless there is nothing to do, applies the plan. A refused plan
// and a dry run leave no trace, not even the lock: where there is no lock yet, the
// plan is made once without it and again under it.
func work(ctx context.Context, o Options, plan func(*session) error) (*Report, error) {
	switch {
	case o.Config == "" || o.Cache == "":
		return nil, errors.New("a sync needs the two directories of notation")
	case o.Policy != PolicyAuto && o.Policy != PolicyReplace && o.Policy != PolicyMerge && o.Policy != PolicyNone:
		return nil, fmt.Errorf("policy mode %q is not known", o.Policy)
	}
	s := newSession(o)
	if !s.hasLock() {
		err := s.plan(plan)
		// Beside a first sync that has begun meanwhile, this plan means nothing.
		if (err != nil || o.DryRun || !s.dirty()) && !s.hasLock() {
			return s.result(err)
		}
		if err := s.disk.Make(s.config(stateDir)); err != nil {
			return nil, err
		}
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.plan(plan); err != nil || o.DryRun || !s.dirty() {
		return s.result(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.result(s.apply())
}

// hasLock reports whether a sync has worked in the directory before.
func (s *session) hasLock() bool {
	_, err := os.Stat(s.config(stateDir, lockFile))
	return err == nil
}

func (s *session) result(err error) (*Report, error) {
	if err != nil {
		return nil, err
	}
	s.report.Unchanged = len(s.report.Changes) == 0
	return &s.report, nil
}

func (s *session) plan(plan func(*session) error) error {
	if err := s.readState(); err != nil {
		return err
	}
	s.draft = newDraft(s.state)
	return plan(s)
}

// lock keeps other syncs out. Readers need no lock.
func (s *session) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, ErrLocked)
	defer cancel()
	lock := ownfile.Lock(s.config(stateDir, lockFile))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s: %w", s.o.Config, err)
	}
	return func() { lock.Unlock() }, nil
}

// readState reads state.json. PolicyReplace starts anew where it is damaged.
func (s *session) readState() error {
	data, err := ownfile.Read(s.config(stateDir, stateFile), maxStateFile)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	s.rawState = data
	s.state, err = parseState(data)
	if _, later := errors.AsType[*laterStateError](err); err != nil && s.o.Policy == PolicyReplace && !later {
		s.state, err = newState(), nil
	}
	return err
}
