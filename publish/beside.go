package publish

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// BesideCopy is the repository of images in which a copy of the bundle is kept.
type BesideCopy struct {
	// Name is HOST/REPOSITORY, for messages.
	Name       string
	Repository ociremote.WritableRepository
	// MountFrom is the repository of the trust repository on the same registry, from
	// which blobs are mounted; "" if it is on another one.
	MountFrom string
}

// BesideOptions steer Beside and CheckBeside. The zero value works.
type BesideOptions struct {
	// Channel is the tag; default [ociremote.DefaultChannel].
	Channel string
	// Concurrency is how many copies are written at the same time; default 5.
	Concurrency int
	// DryRun says what would be done and writes nothing.
	DryRun bool
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what does not stop it but should be read; nil: nobody is.
	Warn func(string)
}

// BesideResult is what became of one copy.
type BesideResult struct {
	Name string
	// Tag is the channel, or the lineage's own tag where the channel holds another.
	Tag    string
	Digest digest.Digest
	// From is the timestamp version that was there, 0 for none; To the one that is
	// there now.
	From, To int64
	// Unchanged: it was there already. Created: nothing of this lineage was there.
	Unchanged, Created bool
	// Err is why this copy was not written; the others are.
	Err error
}

// Beside keeps copies of the bundle of a view in the repositories of images, under
// the channel tag or, where that holds another root lineage, under
// [ociremote.LineageTag]. It is called once home has moved. Copies are written at
// the same time, their blobs mounted where possible; one that fails has an Err and
// keeps no other from being written. A copy never goes backwards, and nothing that
// is not ours is touched. The results are in the order of the copies.
func Beside(ctx context.Context, view *trust.View, copies []BesideCopy, o BesideOptions) []BesideResult {
	panic("not built")
}

// BesideState is how far one copy is.
type BesideState struct {
	Name, Tag string
	// Version and Expires are of the timestamp of the copy; zero if there is none.
	Version int64
	Expires time.Time
	// Lags: it is older than the view by more than half of the timestamp's life, or
	// does not exist, or does not verify.
	Lags bool
	Err  error
}

// CheckBeside reads the copies, at the same time, and writes nothing.
func CheckBeside(ctx context.Context, view *trust.View, copies []BesideCopy, o BesideOptions) []BesideState {
	panic("not built")
}
