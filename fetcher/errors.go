package fetcher

import "errors"

// Errors that callers branch on. What a registry answered is in the chain as
// the error of package ociremote.
var (
	// ErrInvalidSource: the text is no source.
	ErrInvalidSource = errors.New("invalid source")
	// ErrNoRepository: there is no TUF repository here: the tag, the registry
	// repository, the directory or timestamp.json is missing.
	ErrNoRepository = errors.New("no TUF repository here")
	// ErrFileNotFound: the source was read and does not hold this file.
	ErrFileNotFound = errors.New("no such file in the TUF repository")
	// ErrLostBlob: a bundle lists a file whose blob the registry no longer has,
	// also after the tag was resolved once more. Worth a later try.
	ErrLostBlob = errors.New("the registry has lost a file that its bundle lists")
	// ErrMoved: the bundle was replaced while it was read, and what was read
	// already does not belong to the new one. A new refresh is needed.
	ErrMoved = errors.New("the TUF repository was replaced while it was read")
	// ErrTooSlow: the source sends less than [Limits].MinThroughput.
	ErrTooSlow = errors.New("the source sends too slowly")
	// ErrTimeout: the source took longer than [Limits].Operation.
	ErrTimeout = errors.New("the source took too long")
	// ErrInvalidName: a title or URL that names no file of a TUF repository.
	ErrInvalidName = errors.New("invalid file name")
)
