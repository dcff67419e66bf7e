package fetcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
)

// Errors that callers branch on. What a registry answered is in the chain as an
// error of package ociremote, but never as its ErrNotFound: that a tag or a blob
// is missing must not travel on as "no such file".
var (
	// ErrInvalidSource: the text is no source, or its options do not fit it.
	ErrInvalidSource = errors.New("invalid source")
	// ErrInvalidName: a title or URL that names no file of a TUF repository.
	ErrInvalidName = errors.New("invalid file name")
	// ErrNoRepository: there is no TUF repository here: the tag, the registry
	// repository, the directory or timestamp.json is missing.
	ErrNoRepository = errors.New("no TUF repository here")
	// ErrFileNotFound: the source was read and does not hold this file.
	ErrFileNotFound = errors.New("no such file in the TUF repository")
	// ErrRootGap: a bundle lacks a root version but holds a later one. Answering
	// "not found" would tell the client that its old root is the newest.
	ErrRootGap = errors.New("the bundle lacks a root that a later one follows")
	// ErrLostBlob: a bundle lists a file that the registry no longer has, also
	// after the tag was resolved once more. A later try may succeed.
	ErrLostBlob = errors.New("the registry has lost a file that its bundle lists")
	// ErrMoved: the bundle was replaced while it was read. See [MovedError].
	ErrMoved = errors.New("the TUF repository was replaced while it was read")
	// ErrTooSlow: the source sends less than [Limits].MinThroughput.
	ErrTooSlow = errors.New("the source sends too slowly")
	// ErrTimeout: the source took longer than [Limits].Operation.
	ErrTimeout = errors.New("the source took too long")
	// ErrLimit: the limits themselves, or a length that is asked for, make no
	// sense. Also what every [LimitError] is.
	ErrLimit = ociremote.ErrLimit
)

// LimitError says that a file is longer than allowed, or was asked for with a
// length that no file may have, or that there is more of something. It is ErrLimit
// and ociremote.ErrTooLarge.
type LimitError = ociremote.LimitError

// MovedError says that a blob was lost because the bundle was replaced while it
// was read, and that files which were handed out already do not belong to the
// new bundle. It is ErrMoved. The refresh has to start again, which View allows
// without another resolution: it reads the new bundle and fails with ErrLostBlob
// if that too has lost a blob.
type MovedError struct {
	Title    string // the file that was asked for
	From, To digest.Digest
	View     *View
}

// Error implements error.
func (e *MovedError) Error() string {
	return fmt.Sprintf("%v: %s is lost in bundle %s, the tag is now at %s; refresh again", ErrMoved, e.Title, e.From, e.To)
}

// Is reports whether target is ErrMoved.
func (e *MovedError) Is(target error) bool { return target == ErrMoved }

// explain puts the reason why ctx ended in front of an error that only says that
// it ended.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	if errors.Is(cause, ErrTimeout) || errors.Is(cause, ErrTooSlow) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
