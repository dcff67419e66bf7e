package publish

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Options steer [Publish]. The zero value takes all from the workspace.
type Options struct {
	// Channel is the tag that moves; default is that of the workspace.
	Channel string
	// Layout of the bundle; default is that of the workspace.
	Layout ociremote.Layout
	// DryRun makes the plan and writes nothing, neither to the registry nor
	// to the workspace.
	DryRun bool
	// Rebase makes changes again, where others have published the roles that are
	// staged or have overwritten what was published from here, and goes on. Without
	// it that is an ErrConflict or an ErrFork.
	Rebase bool
	// Rebased is told what was made again, and on which head, before anything is
	// signed for it; nil: nobody is.
	Rebased func(*metadata.Rebased)
	// Wait is how long to wait for other publishers, whose claim stands above the
	// head or who keep moving it; then the publish goes on as without. Default: not
	// at all.
	Wait time.Duration
	// Sleep waits, or returns the error of a context that ends; default: in real time.
	Sleep func(ctx context.Context, d time.Duration) error
	// Concurrency is how many blobs are sent at the same time; default 5.
	Concurrency int
	// MaxFiles is how many target files a bundle may have; default 512.
	MaxFiles int
	// Keep is how many of the newest history tags stay; older ones go a few at a
	// time, see [Prune]. 0: all stay.
	Keep int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Checks are asked before anything is packed; the first error ends the
	// publish.
	Checks []Check
	// Progress is told what is being sent; nil: nobody is.
	Progress Progress
	// Warn is given what does not stop a publish but should be read; nil:
	// nobody is.
	Warn func(string)
}

// Check refuses a release by an error.
type Check func(ctx context.Context, r *metadata.Release) error

// Result is what a publish did, or with DryRun would do.
type Result struct {
	// Plan is empty but for the head and the tags when nothing changed.
	Plan Plan
	// Digest is the manifest that Tag names now.
	Digest digest.Digest
	Tag    string
	// HistoryTag names the same manifest, for ever.
	HistoryTag string
	Versions   Versions
	// Expires are those of the top-level roles.
	Expires map[string]time.Time
	// Unchanged: the head is what would be published, nothing was sent.
	Unchanged bool
	// RootSHA256 is the hex checksum of root version 1, to be handed to
	// consumers out of band.
	RootSHA256 string
	// FirstPublish: the channel tag did not exist before.
	FirstPublish bool
	// Waiting are roles that are due and were left as they are, of [Refresh].
	Waiting []metadata.WaitingRole
	// Lives are the roles as they are now, of [Refresh]: when each ends, and whether
	// the keys at hand can renew it.
	Lives []metadata.RoleLife
	// Proposals are those that were found, of [Refresh] with Proposals.
	Proposals []ProposalState
	// Pruned are the history tags that were removed, because they are old.
	Pruned []string
	// View is what clients see of the repository now, for copies next to images; with
	// DryRun what they would see.
	View *trust.View
}

const (
	defaultMaxFiles = 512
	// maxReplans is how often a plan is made anew because the head moved.
	maxReplans = 3
)

// Publish makes the next state of the workspace's repository and moves the
// channel tag to it.
//
// The head is read and verified from the first root of the workspace. What
// others have published since is taken over; if they published a role that is
// staged here, the error is a [metadata.ErrConflict], unless Options.Rebase makes
// the changes again. When nothing has changed nothing is sent. A head that moves
// while the plan is carried out makes a new plan, three times.
//
// Errors: [ErrForeignTag], [ErrFork], [ErrHeadMissing], [ErrMoving],
// [ErrTooManyClaims]; of package metadata ErrConflict, ErrNeedSignatures and
// ErrLint; of package trust whatever keeps the head or the new state from
// verifying; of package ociremote those of the registry. After any of them
// readers see the old state or the new one, and Publish can be called again.
func Publish(ctx context.Context, ws *metadata.Workspace, repo ociremote.WritableRepository, o Options) (*Result, error) {
	p, err := fromWorkspace(ws, repo, o)
	if err != nil {
		return nil, err
	}
	return p.run(ctx)
}

// fromWorkspace prepares a run that publishes, or proposes, what is staged in a workspace.
func fromWorkspace(ws *metadata.Workspace, repo ociremote.WritableRepository, o Options) (*publication, error) {
	if o.Channel == "" {
		o.Channel = ws.Config().Channel
	}
	if o.Layout == "" {
		o.Layout = ociremote.Layout(ws.Config().Layout)
	}
	root1, err := ws.Root1()
	if err != nil {
		return nil, err
	}
	base, err := ws.Base()
	if err != nil {
		return nil, err
	}
	pin, err := newAnchor(root1)
	if err != nil {
		return nil, err
	}
	return newPublication(workspaceMaker{ws}, pin, base, repo, o)
}

// workspaceMaker makes what is staged in a workspace the next state.
type workspaceMaker struct{ ws *metadata.Workspace }

func (m workspaceMaker) assemble(ctx context.Context, head *metadata.Head, o metadata.AssembleOptions) (*metadata.Release, error) {
	return m.ws.Assemble(ctx, head, o)
}

func (m workspaceMaker) record(r *metadata.Release, d digest.Digest, channel string, at time.Time) error {
	return m.ws.Published(r, d.String(), channel, at)
}

func (workspaceMaker) stranger(channel string, _ digest.Digest) error {
	return &ForeignTagError{Tag: channel, Err: errors.New("a repository with another first root")}
}

// overwritten: changes of this workspace may be lost.
func (workspaceMaker) overwritten(fork *ForkError) error { return fork }
