package verify

import (
	"errors"

	"github.com/tufoci/tufoci/trust"
)

// gravity lists what can be wrong with an image, the gravest first: revoked, not
// what is signed, forged metadata, older than what was seen, not trusted, not
// vouched for.
var gravity = [][]error{
	{ErrRevoked},
	{ErrDiffers, ErrEnvelope, trust.ErrMismatch},
	{trust.ErrThreshold},
	{trust.ErrRollback, trust.ErrMinTimestamp},
	{ErrUntrusted, ErrNoStatement},
	{ErrNotVouched},
}

// Gravest returns the error that decides when there are several: by their exit
// codes in the order 24, 12, 22, 21, 13, 10, then the others; of equal ones the
// first. Nil if all are nil.
func Gravest(errs ...error) error {
	var gravest error
	lowest := len(gravity) + 1
	for _, err := range errs {
		if err == nil {
			continue
		}
		if r := rank(err); r < lowest {
			gravest, lowest = err, r
		}
	}
	return gravest
}

// rank is the place of an error in gravity.
func rank(err error) int {
	for i, kinds := range gravity {
		for _, kind := range kinds {
			if errors.Is(err, kind) {
				return i
			}
		}
	}
	return len(gravity)
}
