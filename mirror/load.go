package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// LoadOptions of [Load]. Archive, Root and Destination are needed.
type LoadOptions struct {
	// Archive that was opened, File its name, beside which its receipt may be.
	Archive ociremote.Repository
	File    string
	// Sum hashes the file, to compare it with the receipt; nil: it is not compared.
	Sum func(context.Context) (digest.Digest, error)
	// Root is the pinned root file.
	Root []byte
	// Entry says what metadata and images need: MaxStale, MinTimestamp, Scopes, Require
	// and MinLevel count. Without a Name it is that of no trust: images then need what
	// [RootEntry] says, with its Require.
	Entry trust.Entry
	// Seen is what the trust of the destination has seen.
	Seen        trust.Seen
	Destination Destination
	// AllowRevoked and AllowUnmapped: see [Options].
	AllowRevoked, AllowUnmapped bool
	// DryRun verifies, and writes nothing.
	DryRun      bool
	Concurrency int
	// Now is the clock; default time.Now.
	Now      func() time.Time
	Progress Progress
	Sending  publish.Progress
	Warn     func(string)
}

// LoadResult is what [Load] did, or with DryRun would do.
type LoadResult struct {
	// View of the archive, verified from the root.
	View *trust.View
	// From is the timestamp version that the destination had, 0 for none; To the one
	// that it has now.
	From, To int64
	Copy     *Result
	// Referrers is how many manifests refer to the images.
	Referrers int
	// Receipt is nil if there is none that can be read. Matches: it is of this archive.
	Receipt  *Receipt
	Matches  bool
	Validity *Validity
}

// Load takes a delivery into a trust repository and repositories of images. All of it
// is verified again before the first byte is written, from the root and by nothing
// else: metadata, each image by its entry and its signature, whatever the index of the
// archive calls it, and every byte that would be sent. What nothing accounts for is
// [ErrCargo].
//
// The destination never goes backwards: where it holds, or its trust has seen, a newer
// timestamp, it is a trust.ErrRollback. It is written in the order of [Copy]. The
// receipt is compared and believed nothing: one that is of another archive is a
// warning. Other errors are those of Copy.
func Load(ctx context.Context, o LoadOptions) (*LoadResult, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	r := &LoadResult{}
	if err := r.compareReceipt(ctx, &o); err != nil {
		return nil, err
	}
	copying := Options{
		Source: Source{Entry: o.Entry}, Destination: o.Destination, AllowRevoked: o.AllowRevoked, AllowUnmapped: o.AllowUnmapped,
		Concurrency: o.Concurrency, Now: o.Now, Progress: o.Progress, Sending: o.Sending, Warn: o.Warn,
	}
	// Whatever is wrong, with the archive or with what is there, nothing is written.
	in, err := inspect(ctx, o.Archive, o.Root, o.Seen, copying)
	if err != nil {
		return nil, err
	}
	r.View, r.Validity, r.Copy, r.To = in.view, in.validity, in.plan, in.view.Status().Timestamp.Version
	r.From = in.plan.Metadata.Plan.HeadVersion
	for _, image := range in.images {
		r.Referrers += image.referrers
	}
	if o.DryRun {
		return r, nil
	}
	r.Copy, err = Copy(ctx, in.options(copying))
	return r, err
}

// compareReceipt reads the receipt, if there is one. That it is of another archive, or
// cannot be read, is worth a warning: somebody has mixed things up, or swapped one. What
// the archive holds is verified all the same.
func (r *LoadResult) compareReceipt(ctx context.Context, o *LoadOptions) error {
	if o.Sum == nil {
		return nil
	}
	receipt, err := ReadReceipt(o.File)
	switch {
	case errors.Is(err, ErrReceipt):
		o.Warn(fmt.Sprintf("the receipt of %s cannot be read, and nothing is compared with it: %v", o.File, err))
		return nil
	case receipt == nil:
		return err
	}
	r.Receipt = receipt
	sum, err := o.Sum(ctx)
	if err != nil {
		return err
	}
	if r.Matches = sum == receipt.Archive.SHA256; !r.Matches {
		o.Warn(fmt.Sprintf("the receipt is of another archive: it says %s, %s has %s; what the archive holds is verified all the same",
			receipt.Archive.SHA256, o.File, sum))
	}
	return nil
}
