package upkeep

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tufoci/tufoci/metadata"
)

// Options of [New]. Only Every is needed.
type Options struct {
	// Every is the longest time from one run to the next.
	Every time.Duration
	// Jitter is the share, 0 to 1, by which each wait is made shorter at random,
	// so that many loops that began together do not ask together for ever. Never
	// longer: a run is not to be late. Default 0: none.
	Jitter float64
	// Retry is the wait after a failure, doubled with each further one up to an
	// hour or Every; default 1 minute, at most Every. No wait is shorter, jitter
	// aside.
	Retry time.Duration
	// MaxAge is how old the last success may be before the loop is not healthy;
	// default three times Every, at least 15 minutes.
	MaxAge time.Duration
	// Grace is how long a run may go on once ctx has ended; default 20 seconds,
	// so that whoever sent the signal does not lose patience first.
	Grace time.Duration
	// Fatal tells which failures of the first run end the loop: what is wrong
	// with how it was set up does not get better. Nil: none.
	Fatal func(error) bool
	// OnRun is told about each run, before the wait; nil: nobody is.
	OnRun func(Report)
	// Repository names what is refreshed, in metrics.
	Repository string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Wait returns nil once the clock shows until, and the error of ctx if that
	// ends first; default is to sleep.
	Wait func(ctx context.Context, until time.Time) error
	// Random returns a number from 0 to below 1, for the jitter; default
	// rand.Float64.
	Random func() float64
}

const (
	defaultRetry = time.Minute
	defaultGrace = 20 * time.Second
	minMaxAge    = 15 * time.Minute
)

// Run refreshes once. With an error there may be an outcome too: then the
// repository is as it should be, and what comes after it, such as copies, is
// not. It need not be safe for concurrent use.
type Run func(ctx context.Context) (*Outcome, error)

// Outcome is how a run left the repository.
type Outcome struct {
	// Roles are the roles as they are now, see [metadata.LivesAtHand]. If the keys
	// at hand cannot renew timestamp and snapshot, the run has failed: they are the
	// wrong ones, or have been rotated. Its error is a [metadata.NoKeysError].
	Roles []metadata.RoleLife
	// Waiting are roles that are due and were left to others.
	Waiting []metadata.WaitingRole
	// Copies are those next to images.
	Copies []Copy
	// Proposals is how many signed roles of teams were folded in.
	Proposals int
	// Keys is how many private keys are at hand.
	Keys int
}

// Copy is a copy of the bundle next to images.
type Copy struct {
	// Name is HOST/REPOSITORY.
	Name string
	// Version and Expires are of the timestamp that is there, zero if that is not
	// known.
	Version int64
	Expires time.Time
	// Err is why it was not written.
	Err error
}

// Report tells about one run.
type Report struct {
	Began, Ended time.Time
	// Late is how much later than planned it began: the machine slept, or was busy.
	Late time.Duration
	// Outcome is nil if the repository was not refreshed.
	Outcome *Outcome
	Err     error
	// Failures is how many runs in a row have failed, this one too.
	Failures int
	// Next is when the next run is planned.
	Next time.Time
}

// Loop runs a refresh again and again. [Loop.Run] is called once; the other
// methods are safe for concurrent use.
type Loop struct {
	run Run
	o   Options

	mu    sync.Mutex
	state state
}

// state is what is known from the runs so far.
type state struct {
	began    time.Time // of the loop
	runs     int
	failures int
	streak   int       // failures in a row
	success  time.Time // the last one's end
	err      error     // of the last run
	outcome  *Outcome  // of the last success
	copies   map[string]copyState
	folded   int
	next     time.Time
}

// copyState is a copy as it was last seen well.
type copyState struct {
	Copy
	since time.Time // when it was seen well, or looked for first
}

// New makes a loop; [Loop.Run] starts it.
func New(run Run, o Options) *Loop {
	if o.Retry <= 0 {
		o.Retry = defaultRetry
	}
	o.Retry = min(o.Retry, o.Every)
	o.Jitter = min(max(o.Jitter, 0), 1)
	if o.MaxAge <= 0 {
		o.MaxAge = max(3*o.Every, minMaxAge)
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = sleeper{o.Now}.wait
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &Loop{run: run, o: o, state: state{began: o.Now(), copies: map[string]copyState{}}}
}

// Run runs now, and again at each due time, until ctx ends; its error is
// returned then. A run that is under way when ctx ends is let end, for as long as
// Grace. A failure of the first run that is Fatal ends the loop as well; no other
// does.
func (l *Loop) Run(ctx context.Context) error {
	due := l.o.Now()
	for first := true; ; first = false {
		report := l.once(ctx, due)
		if first && report.Err != nil && l.o.Fatal != nil && l.o.Fatal(report.Err) {
			return report.Err
		}
		if l.o.OnRun != nil {
			l.o.OnRun(report)
		}
		due = report.Next
		if err := l.o.Wait(ctx, due); err != nil {
			return err
		}
	}
}

// once runs once and plans the next run.
func (l *Loop) once(ctx context.Context, due time.Time) Report {
	r := Report{Began: l.o.Now()}
	r.Late = max(0, r.Began.Sub(due))
	bounded, release := l.graced(ctx)
	r.Outcome, r.Err = l.run(bounded)
	release()
	if r.Outcome != nil {
		if err := r.Outcome.lacking(); err != nil {
			r.Outcome, r.Err = nil, err
		}
	}
	r.Ended = l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.record(r)
	r.Failures = l.state.streak
	r.Next = r.Ended.Add(l.o.pause(&l.state, r.Ended))
	l.state.next = r.Next
	return r
}

// lacking says that the keys at hand do not sign timestamp or snapshot, long before
// these are due. Nil: they do.
func (o *Outcome) lacking() error {
	var roles []metadata.WaitingRole
	for _, r := range o.Roles {
		if (r.Role == "timestamp" || r.Role == "snapshot") && !r.AtHand() {
			roles = append(roles, metadata.WaitingRole{Role: r.Role, Version: r.Version, Expires: r.Expires, Rules: r.Rules})
		}
	}
	if roles == nil {
		return nil
	}
	return &metadata.NoKeysError{Roles: roles}
}

// graced is a context that outlives ctx by Grace.
func (l *Loop) graced(ctx context.Context) (context.Context, func()) {
	bounded, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = l.o.Wait(bounded, l.o.Now().Add(l.o.Grace)) // or until the run has ended
		cancel()
	})
	return bounded, func() {
		stop()
		cancel()
	}
}

// record takes a run in.
func (s *state) record(r Report) {
	s.runs++
	s.err = r.Err
	if s.streak++; r.Err == nil {
		s.streak = 0
	} else {
		s.failures++
	}
	if r.Outcome == nil {
		return
	}
	s.success, s.outcome = r.Ended, r.Outcome
	s.folded += r.Outcome.Proposals
	copies := map[string]copyState{}
	for _, c := range r.Outcome.Copies {
		now := copyState{c, r.Ended}
		if c.Err != nil {
			now = copyState{Copy{Name: c.Name}, r.Ended}
			if before, ok := s.copies[c.Name]; ok {
				now = before
			}
			now.Err = c.Err
		}
		copies[c.Name] = now
	}
	s.copies = copies
}
