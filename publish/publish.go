package publish

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
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
	// Concurrency is how many blobs are sent at the same time; default 5.
	Concurrency int
	// MaxFiles is how many target files a bundle may have; default 512.
	MaxFiles int
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
}

// Publish makes the next state of the workspace's repository and moves the
// channel tag to it.
func Publish(ctx context.Context, ws *metadata.Workspace, repo ociremote.WritableRepository, o Options) (*Result, error) {
	panic("not implemented")
}
