package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// guard runs what calls go-tuf, in the goroutine of the caller. A panic is an
// error like any other damage: the bytes come from a stranger.
func guard(role string, call func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = &VerificationError{Kind: ErrMalformed, Role: role, Detail: "the file cannot be processed"}
		}
	}()
	return call()
}

// parse checks and parses a metadata file. It verifies nothing.
func parse[T tuf.Roles](role string, data []byte) (*tuf.Metadata[T], error) {
	if err := Precheck(role, data); err != nil {
		return nil, err
	}
	meta := &tuf.Metadata[T]{}
	err := guard(role, func() error {
		_, err := meta.FromBytes(data)
		return err
	})
	if err != nil {
		return nil, translate(role, 0, err)
	}
	return meta, nil
}

// delegator is metadata whose keys sign other roles.
type delegator interface {
	VerifyDelegate(role string, delegated any) error
}

// verifyBy verifies the signatures of a role by its delegator's keys and
// threshold.
func verifyBy(by delegator, byName, role string, version int64, delegated any) error {
	err := guard(role, func() error { return by.VerifyDelegate(role, delegated) })
	if err == nil {
		return nil
	}
	err = translate(role, version, err)
	if v, ok := errors.AsType[*VerificationError](err); ok {
		v.By = byName
	}
	return err
}

// translate is the only place that knows the error types of go-tuf. Errors that
// are not go-tuf's stay what they are.
func translate(role string, version int64, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*VerificationError](err); ok {
		return err
	}
	e := &VerificationError{Role: role, Version: version, Detail: err.Error()}
	switch {
	case isType[*tuf.ErrUnsignedMetadata](err):
		e.Kind = ErrThreshold
		e.Got, e.Need = counts(err)
		e.Detail = fmt.Sprintf("signed by %d of %d needed keys", e.Got, e.Need)
	case isType[*tuf.ErrExpiredMetadata](err):
		e.Kind, e.Detail = ErrExpired, ""
	case isType[*tuf.ErrLengthOrHashMismatch](err):
		e.Kind = ErrMismatch
	case isType[*tuf.ErrBadVersionNumber](err), isType[*tuf.ErrEqualVersionNumber](err):
		e.Kind = ErrMismatch
	case isType[*tuf.ErrRepository](err), isType[*tuf.ErrValue](err), isType[*tuf.ErrType](err), isType[*tuf.ErrRuntime](err),
		isType[*json.SyntaxError](err), isType[*json.UnmarshalTypeError](err):
		e.Kind = ErrMalformed
	default:
		// Plain errors of a parser, without a type. Errors of the source never
		// come here: the caller keeps them.
		e.Kind = ErrMalformed
	}
	return e
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// counts reads "got 1, want 2" out of go-tuf's message, which has no fields.
func counts(err error) (got, need int) {
	_, tail, ok := strings.Cut(err.Error(), "got ")
	if !ok {
		return 0, 0
	}
	if _, err := fmt.Sscanf(tail, "%d, want %d", &got, &need); err != nil {
		return 0, 0
	}
	return got, need
}
