package trust

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tufoci/tufoci/internal/stranger"
)

// What a refresh or a lookup can end with, for errors.Is. Most of them arrive
// inside a [VerificationError], which holds the evidence. The comment names the
// exit code of the command line. Errors of the source (no repository, transport,
// authentication, a lost blob) are those of packages fetcher and ociremote, in
// the chain.
var (
	// ErrExpired: metadata is past its expiry, beyond what is allowed (20).
	ErrExpired = errors.New("metadata expired")
	// ErrStaleCopy: the newest verified state names a role that no source at
	// hand has (20).
	ErrStaleCopy = errors.New("the copy at hand is older than what was seen")
	// ErrClock: the clock is more than 5 minutes behind the last success (20).
	ErrClock = errors.New("the clock is behind the last successful refresh")
	// ErrRollback: the source offers something older than what was seen (21).
	ErrRollback = errors.New("older than what was seen before")
	// ErrMinTimestamp: the timestamp is below the floor that was set (21).
	ErrMinTimestamp = errors.New("timestamp version below the minimum")
	// ErrThreshold: too few valid signatures (22).
	ErrThreshold = errors.New("not enough valid signatures")
	// ErrWrongRoot: the pin is no root, or a stored or offered root chain does
	// not start at it (23).
	ErrWrongRoot = errors.New("wrong root")
	// ErrNoTrust: no trust has this name (23).
	ErrNoTrust = errors.New("no such trust")
	// ErrMismatch: a file has another length, hash or version than the signed
	// metadata that names it (12).
	ErrMismatch = errors.New("file differs from what is signed")
	// ErrMalformed: metadata that breaks the format, a limit, or uses what is
	// refused here (25).
	ErrMalformed = errors.New("malformed metadata")
	// ErrState: the state holds what tufoci does not write, and no crash leaves (25); with
	// ErrWrongRoot, other roots (23).
	ErrState = errors.New("damaged state")
	// ErrStateFormat: the state, or trust.yaml, was written by a later version of
	// tufoci (25).
	ErrStateFormat = errors.New("written by a later version of tufoci")
	// ErrTargetNotFound: no role that may speak for the name lists it (1).
	ErrTargetNotFound = errors.New("target not found")
	// ErrImageTarget: the target stands for an image, whose bytes are in a
	// registry and not in the trust repository (2).
	ErrImageTarget = errors.New("target is an image, not a file")
	// ErrNoState: nothing usable is stored for this root yet (20).
	ErrNoState = errors.New("no verified state is stored for this root")
	// ErrNoHome: the trust is read next to images alone, so that there is nothing to
	// refresh it from (2).
	ErrNoHome = errors.New("the trust has no home")
	// ErrNoScope: no trust speaks for the image (23).
	ErrNoScope = errors.New("no trust speaks for this image")
	// ErrScopeTaken: another trust has the same scope (23).
	ErrScopeTaken = errors.New("another trust has this scope")
	// ErrInvalidScope: a scope or map is not of its form (2).
	ErrInvalidScope = errors.New("invalid scope or map")
	// ErrRevocations: the revocations cannot be read, so nothing may pass (25).
	ErrRevocations = errors.New("revocations cannot be read")
	// ErrExists: a trust of that name exists, with another root (23).
	ErrExists = errors.New("a trust with another root has this name")
	// ErrInvalidName: a trust name is made of a-z, 0-9 and "-" (2).
	ErrInvalidName = errors.New("invalid trust name")
	// ErrInvalidEntry: a trust asks for something that there is not (2).
	ErrInvalidEntry = errors.New("invalid trust")
	// ErrConfig: trust.yaml cannot be read (2).
	ErrConfig = errors.New("invalid trust configuration")
)

// VerificationError reports why something was refused, with the evidence. It
// is, in the sense of errors.Is, its Kind. Fields that do not apply are zero.
type VerificationError struct {
	Kind    error     // one of the errors of this package
	Role    string    // the role in question
	Version int64     // the version found
	Want    int64     // the version expected, the newest seen, or the minimum
	Expires time.Time // when it expired
	Now     time.Time // the time at which that was judged
	Digests [2]string // two different sha256 of what should be one file: stored, offered
	Got     int       // valid signatures
	Need    int       // threshold
	By      string    // role whose keys had to sign
	Source  string    // where it came from; empty for stored state
	Detail  string    // what a person should know besides
	Err     error     // cause, may be nil
}

// Error states the facts in one line.
func (e *VerificationError) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind.Error())
	if e.Role != "" {
		b.WriteString(": " + stranger.Escape(shorten(e.Role)))
		if e.Version != 0 {
			fmt.Fprintf(&b, " v%d", e.Version)
		}
	}
	switch {
	case e.Kind == ErrExpired && !e.Expires.IsZero():
		b.WriteString(" expired " + e.Expires.UTC().Format(time.RFC3339))
	case e.Kind == ErrRollback && e.Want != 0:
		fmt.Fprintf(&b, ", seen before: v%d", e.Want)
	case e.Kind == ErrMinTimestamp:
		fmt.Fprintf(&b, ", minimum v%d", e.Want)
	}
	if e.Detail != "" {
		b.WriteString(": " + stranger.Escape(e.Detail))
	}
	if e.Digests[0] != "" {
		fmt.Fprintf(&b, " (sha256 %s and %s)", e.Digests[0], e.Digests[1])
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Is makes the error its Kind.
func (e *VerificationError) Is(target error) bool { return target == e.Kind }

// Unwrap returns the cause.
func (e *VerificationError) Unwrap() error { return e.Err }
