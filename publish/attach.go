package publish

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Attachment is an image to which a bundle is attached.
type Attachment struct {
	// Image is where it lies; Repository, without a host, and Tag are what it is
	// signed as. Without a Tag its digest entry alone counts.
	Image           ociremote.ImageReference
	Repository, Tag string
}

// AttachOptions steer Attach. The zero value works.
type AttachOptions struct {
	// Layout of the bundle; default [ociremote.LayoutDefault].
	Layout ociremote.Layout
	// Concurrency is how many images are done at the same time; default 5.
	Concurrency int
	// DryRun says what would be done and writes nothing.
	DryRun bool
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what does not stop it but should be read; nil: nobody is.
	Warn func(string)
}

// AttachResult is what became of one image.
type AttachResult struct {
	Attachment
	// Subject is the digest of the image, Digest that of the attached bundle.
	Subject, Digest digest.Digest
	// Roles are the roles that it holds beside the top-level ones.
	Roles   []string
	Expires time.Time
	// Unchanged: what is attached already holds the same.
	Unchanged bool
	// Pruned are older attachments of this lineage that were deleted; Kept those
	// that the registry did not let go.
	Pruned, Kept []digest.Digest
	Err          error
}

// OpenWritable opens the repository of an image to push to.
type OpenWritable func(ctx context.Context, image ociremote.ImageReference) (ociremote.WritableRepository, error)

// Attach pushes, as a referrer of each image, a partial bundle with all that its
// verification needs: see [trust.View.FilesFor]. The image has to be there as it is
// signed: an Err is trust.ErrTargetNotFound for one that has no entry, ErrDiffers
// where the registry serves another one, ErrNoImage. What a superseded attachment of
// the same lineage holds for other names of the image is taken along.
func Attach(ctx context.Context, view *trust.View, images []Attachment, open OpenWritable, o AttachOptions) []AttachResult {
	panic("not built")
}
