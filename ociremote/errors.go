package ociremote

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Errors that callers branch on, beside the typed ones below.
var (
	// ErrInvalidReference: the text is no reference.
	ErrInvalidReference = errors.New("invalid reference")
	// ErrNotFound: the tag, the manifest, the registry repository, the layout
	// directory or the archive does not exist.
	ErrNotFound = errors.New("not found")
	// ErrBlobNotFound: a blob that a manifest names does not exist.
	ErrBlobNotFound = errors.New("blob not found")
	// ErrNotModified: the manifest is still the one that the caller knows.
	ErrNotModified = errors.New("not modified")
	// ErrMalformed is what every [MalformedError] is, for [errors.Is].
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: something is larger than its limit. Errors that are
	// ErrTooLarge because the other side sent too much are ErrMalformed too.
	ErrTooLarge = errors.New("too large")
	// ErrLimit is what every [LimitError] is, for [errors.Is].
	ErrLimit = errors.New("over a limit")
	// ErrNewerFormat: the bundle has a later format version than this code
	// reads.
	ErrNewerFormat = errors.New("bundle of a newer format")
	// ErrRedirect: a registry or server sends on to where nobody follows it.
	ErrRedirect = errors.New("redirect refused")
	// ErrForeign: a manifest, but no bundle: an image, an index, or an artifact
	// of another kind.
	ErrForeign = errors.New("not a TUF bundle")
)

// MalformedError says how a bundle, a manifest or a blob breaks the rules.
type MalformedError struct {
	// What was read, such as "bundle" or "inline layer".
	What string
	// Err says which rule it breaks.
	Err error
}

func (e *MalformedError) Error() string { return fmt.Sprintf("malformed %s: %v", e.What, e.Err) }

// Unwrap gives the rule that was broken.
func (e *MalformedError) Unwrap() error { return e.Err }

// Is reports true for [ErrMalformed].
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

// LimitError says that something is larger than its limit, or that there is more of
// it. It is [ErrLimit] and [ErrTooLarge].
type LimitError struct {
	Title string // of the file, or what else was limited
	Size  int64  // as far as known; more may follow
	Max   int64
	Unit  string // of both: "bytes" (also when empty), "files", "values"
	// Limit is the name of the limit where a trust can set it, see
	// fetcher.AllLimits; "" for what is fixed, or for a length that metadata states.
	Limit string
}

// Error implements error.
func (e *LimitError) Error() string {
	what := "the limit is"
	if e.Limit != "" {
		what = "the limit " + e.Limit + " is"
	}
	return fmt.Sprintf("%s: %d %s, %s %d", e.Title, e.Size, cmp.Or(e.Unit, "bytes"), what, e.Max)
}

// Is reports whether target is one of the sentinels for sizes.
func (e *LimitError) Is(target error) bool { return target == ErrLimit || target == ErrTooLarge }

// AuthError says that the registry or its token server refused the credentials,
// or wants some and there are none.
type AuthError struct {
	// Host that refused, with its port if it has one.
	Host string
	// Status is the HTTP status, 0 if no request could be made.
	Status int
	// Err is what the registry said.
	Err error
}

func (e *AuthError) Error() string {
	msg := fmt.Sprintf("%s refused access", e.Host)
	if e.Status != 0 {
		msg = fmt.Sprintf("%s refused access: %d %s", e.Host, e.Status, http.StatusText(e.Status))
	}
	if e.Err != nil {
		msg += ": " + told(e.Err)
	}
	return msg
}

// Unwrap gives what the registry said.
func (e *AuthError) Unwrap() error { return e.Err }

// TransportError says that the registry could not be reached, or that it answered
// with what is none of the other errors. Without a Status, and with one of 408,
// 429 and 5xx, it is worth a later try.
type TransportError struct {
	// Host that was asked, with its port if it has one; a path for a layout.
	Host string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Err is what happened.
	Err error
}

func (e *TransportError) Error() string {
	if e.Status == 0 {
		return e.Host + ": " + told(e.Err)
	}
	msg := fmt.Sprintf("%s answered %d %s", e.Host, e.Status, http.StatusText(e.Status))
	if e.Err != nil {
		msg += ": " + told(e.Err)
	}
	return msg
}

// maxTold is how much of an error of the network is told, in bytes: it may repeat what
// the other side sent.
const maxTold = 1 << 10

func told(err error) string {
	text := fmt.Sprint(err)
	if len(text) <= maxTold {
		return text
	}
	return strings.ToValidUTF8(text[:maxTold], "") + "…"
}

// Unwrap gives what happened.
func (e *TransportError) Unwrap() error { return e.Err }
