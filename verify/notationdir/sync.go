package notationdir

import (
	"context"
	"time"

	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// Policy says what may be done to a policy file.
type PolicyMode string

// The modes.
const (
	// PolicyAuto writes it if it is absent, or was written for the same trust and
	// not changed since.
	PolicyAuto PolicyMode = ""
	// PolicyReplace writes it over whatever is there.
	PolicyReplace PolicyMode = "replace"
	// PolicyMerge adds the statements of this trust to those of other trusts in
	// the directory.
	PolicyMerge PolicyMode = "merge"
	// PolicyNone writes stores and CRLs only, under their own names.
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
}

// Input is one trust with what it delivers.
type Input struct {
	Trust    string
	Scopes   []trust.Scope
	Maps     []trust.Map
	Status   trust.Status
	Material *verify.Material
	// Repositories are the canonical repositories, HOST/REPOSITORY, that a
	// statement for "*" is written for.
	Repositories []string
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
}

// Sync writes one trust. Nothing is written if anything is refused.
func Sync(ctx context.Context, in Input, o Options) (*Report, error) { panic("not built") }

// Close installs a policy under which nothing verifies, for a trust that is
// staler than allowed; CRLs stay.
func Close(ctx context.Context, trustName, reason string, o Options) (*Report, error) {
	panic("not built")
}
