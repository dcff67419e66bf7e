package publish

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
)

var (
	// ErrForeignTag says that the tag holds something that is no trust
	// repository, or one of another root lineage. It is left as it is.
	ErrForeignTag = errors.New("the tag does not belong to this trust repository")
	// ErrConflict says that somebody else published a role that is also
	// staged here. Nothing was published; the workspace is unchanged. The
	// error is a [metadata.ConflictError].
	ErrConflict = metadata.ErrConflict
	// ErrMoving says that the head moved each time that a plan was made.
	ErrMoving = errors.New("other publishers keep moving the channel tag")
	// ErrFork is what a [ForkError] is.
	ErrFork = errors.New("the published repository was overwritten by another publisher")
	// ErrHeadMissing says that the workspace has published, but the channel
	// tag no longer exists in the registry.
	ErrHeadMissing = errors.New("the channel tag is gone")
	// ErrPartial says that the source of a mirror or of a workspace is a bundle
	// that holds only what one image needs.
	ErrPartial = errors.New("a partial bundle holds only what one image needs: it is no source")
	// ErrAdopt says that a verified repository cannot become that of a workspace.
	ErrAdopt = errors.New("the repository cannot be adopted")
	// ErrUnverified says that the source of a mirror was read without holding
	// it to its expiry.
	ErrUnverified = errors.New("the source is not verified")
	// ErrNotSigned says that no role that may speak for an image lists it.
	ErrNotSigned = errors.New("the image is not signed")
	// ErrDiffers is what a [DiffersError] is.
	ErrDiffers = errors.New("the registry serves another image than the one that is signed")
	// ErrTooManyClaims says that more history tags above the head exist than
	// publishers that died can explain.
	ErrTooManyClaims = errors.New("too many unfinished claims")
	// ErrNoVersion says that no history tag has a timestamp version: it never was,
	// or is not kept any more.
	ErrNoVersion = errors.New("the history does not have it")
	// ErrNoRoot says that a root version was asked for that the repository does
	// not have.
	ErrNoRoot = errors.New("the repository has no such root")
	// ErrNoDelete says that a registry, or what is written to in its place, does
	// not remove tags.
	ErrNoDelete = errors.New("tags cannot be removed here")
	// ErrTooManyTags says that a registry lists more tags than anybody reads.
	ErrTooManyTags = errors.New("too many tags")
)

// ForkError reports that two bundles exist where there can be one: the same
// timestamp version with different bytes, or a head that was not built on what
// this workspace published. It is [ErrFork].
type ForkError struct {
	// Tag is the channel tag; "" for what is attached to an image.
	Tag string
	// Ours is the manifest that this workspace published, or was publishing;
	// for a mirror, the source.
	Ours digest.Digest
	// Theirs is the manifest that the tag names now.
	Theirs digest.Digest
	// OursVersion and TheirsVersion are their timestamp versions.
	OursVersion, TheirsVersion int64
}

func (e *ForkError) Error() string {
	if e.Tag == "" {
		return fmt.Sprintf("timestamp v%d exists with two contents: in %s, and here as in %s", e.TheirsVersion, e.Theirs, e.Ours)
	}
	return fmt.Sprintf("tag %q was overwritten: it names %s (timestamp v%d), which was not built on %s (timestamp v%d)",
		e.Tag, e.Theirs, e.TheirsVersion, e.Ours, e.OursVersion)
}

// Is makes a ForkError an [ErrFork].
func (e *ForkError) Is(target error) bool { return target == ErrFork }

// ForeignTagError says what stands where a trust repository was to be
// written. It is [ErrForeignTag].
type ForeignTagError struct {
	Tag string
	// Err says why it is not ours.
	Err error
}

func (e *ForeignTagError) Error() string {
	return fmt.Sprintf("tag %q does not belong to this trust repository: %v", e.Tag, e.Err)
}

// Is makes a ForeignTagError an [ErrForeignTag].
func (e *ForeignTagError) Is(target error) bool { return target == ErrForeignTag }

// Unwrap returns why the tag is not ours.
func (e *ForeignTagError) Unwrap() error { return e.Err }

// DiffersError says what an image is signed as, and what is served. It is
// [ErrDiffers].
type DiffersError struct {
	// Name is REPOSITORY:TAG or REPOSITORY@DIGEST, Role the one that lists it.
	Name, Role     string
	Signed, Served digest.Digest
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s is signed as %s (role %s) but the registry serves %s", e.Name, e.Signed, e.Role, e.Served)
}

// Is makes a DiffersError an [ErrDiffers].
func (e *DiffersError) Is(target error) bool { return target == ErrDiffers }
