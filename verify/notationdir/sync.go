package notationdir

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// PolicyMode says what may be done to a policy file.
type PolicyMode string

// The modes.
const (
	// PolicyAuto writes it if it is absent, or was written for the same trust and
	// not changed since.
	PolicyAuto PolicyMode = ""
	// PolicyReplace writes it over whatever is there. The statements of other
	// trusts go, and their stores with them after the time of grace.
	PolicyReplace PolicyMode = "replace"
	// PolicyMerge adds the statements of this trust to those of other trusts in
	// the directory.
	PolicyMerge PolicyMode = "merge"
	// PolicyNone writes stores and CRLs only, under their own names: somebody
	// else's policy names them. A store changes in place then, certificate by
	// certificate, so that readers can meet it between two of them.
	PolicyNone PolicyMode = "none"
)

// Options of [Sync].
type Options struct {
	// Config is the directory of NOTATION_CONFIG, Cache that of NOTATION_CACHE.
	Config, Cache string
	Policy        PolicyMode
	// DryRun changes nothing.
	DryRun bool
	// Grace is how long certificates that no policy names any more stay for
	// readers that have read the old policy; 0 is an hour.
	Grace time.Duration
	Now   func() time.Time

	// step is called before each step that changes the disk; nil but for tests.
	step func(step, file string) error
}

// DefaultGrace is the time of [Options.Grace]: far more than one verification takes.
const DefaultGrace = time.Hour

// Input is one trust with what it delivers, as verify.Load returns it.
type Input struct {
	Trust  string
	Scopes []trust.Scope
	Maps   []trust.Map
	// MinLevel is the weakest level of a statement that is taken over, as of the
	// trust; "" is strict. Weaker ones are left out, so that nothing verifies where
	// they would apply.
	MinLevel string
	Status   trust.Status
	Set      *material.Set
	// Repositories are the canonical repositories, HOST/REPOSITORY, that a
	// statement for "*" is written for; those outside the scopes are passed over.
	Repositories []string
	// Decides reports whether the trust has the say about a name, HOST/REPOSITORY,
	// that its scopes hold: a more particular trust may have it. Nil: about all.
	Decides func(name string) bool
}

// Change is one thing that was done, or with DryRun would be.
type Change struct {
	Action string // "add", "remove", "replace"
	Path   string // below Config or Cache
	Detail string
}

// Report says what a sync did.
type Report struct {
	Changes []Change
	// Drift are files of ours that somebody else has changed or removed.
	Drift []string
	// Unchanged: nothing had to be done.
	Unchanged bool
	// Diff of the policy, as unified text; "" if it is the same.
	Diff string
	// Warnings: what stock notation does not take over, such as revoked images.
	Warnings []string
	// Due is when the next store is to be removed that no policy names any more;
	// zero for none. A sync from then on removes it.
	Due time.Time
}

// Sync writes one trust. Nothing is written if anything is refused.
//
// The order is: certificates, in stores that no older policy names; CRLs; the
// policy, first under the name that both versions of notation read; last the
// removal of what no policy has named for the time of grace. Killed anywhere, it
// leaves the old generation or the new one to readers, and the next sync completes
// it.
//
// A trust that has nothing for a statement ("*" without image targets) gets none; one
// that has no statement at all gets one under which nothing verifies, for no
// repository: so the policy stays one that notation takes, and nothing else in it
// changes its meaning. No statement is ever written for "*".
func Sync(ctx context.Context, in Input, o Options) (*Report, error) {
	if err := in.check(o.Policy); err != nil {
		return nil, err
	}
	return work(ctx, o, func(s *session) error { return s.planSync(in) })
}

func (in Input) check(mode PolicyMode) error {
	switch {
	case in.Trust == "" || in.Set == nil:
		return errors.New("a sync needs the name of a trust and its material")
	case mode == PolicyNone:
		return nil
	case len(in.Scopes) == 0:
		return fmt.Errorf("%w: trust %q has no scope", trust.ErrNoScope, in.Trust)
	case in.Set.Policy == nil:
		return fmt.Errorf("%w: trust %q delivers none for notation", verify.ErrNoPolicy, in.Trust)
	}
	return nil
}

// Close installs a policy under which nothing of the trust verifies, for one that
// is staler than allowed: one strict statement, over the repositories that the trust
// had statements for, that names stores which do not exist. Statements of other
// trusts and all CRLs stay. With [PolicyNone] the stores of the trust go instead. The
// next good [Sync] restores all.
func Close(ctx context.Context, trustName, reason string, o Options) (*Report, error) {
	if trustName == "" || reason == "" {
		return nil, errors.New("closing needs the name of a trust and a reason")
	}
	return work(ctx, o, func(s *session) error { return s.planClose(trustName, reason) })
}

// Installed is what the last sync of a trust has written.
type Installed struct {
	Timestamp trust.RoleStatus
	// Closed is the reason that Close was given; "" if it was not called since.
	Closed string
}

// Last tells what the last sync of a trust has written; nil if there was none.
func Last(trustName string, o Options) (*Installed, error) {
	s := newSession(o)
	if err := s.readState(); err != nil {
		return nil, err
	}
	r := s.state.Trusts[trustName]
	if r == nil {
		return nil, nil
	}
	return &Installed{Timestamp: r.Timestamp, Closed: r.Closed}, nil
}
