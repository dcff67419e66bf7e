package verify_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

func TestGravest(t *testing.T) {
	t.Parallel()
	other := errors.New("other")
	order := []error{
		&verify.Refusal{Kind: verify.ErrRevoked}, &verify.Refusal{Kind: verify.ErrEnvelope},
		&trust.VerificationError{Kind: trust.ErrThreshold}, &trust.VerificationError{Kind: trust.ErrRollback},
		&verify.Refusal{Kind: verify.ErrUntrusted}, &verify.Refusal{Kind: verify.ErrNoSignature}, other,
	}
	for i := range order {
		errs := []error{nil, fmt.Errorf("wrapped: %w", order[len(order)-1])}
		for j := len(order) - 1; j >= i; j-- {
			errs = append(errs, order[j])
		}
		if got := verify.Gravest(errs...); i < len(order)-1 && got != order[i] {
			t.Errorf("got %v, want %v", got, order[i])
		}
	}
	for _, equal := range [][]error{
		{&verify.Refusal{Kind: verify.ErrDiffers}, order[1]},
		{&verify.Refusal{Kind: verify.ErrNoStatement}, order[4]},
		{&verify.Refusal{Kind: verify.ErrLevel}, &verify.Refusal{Kind: verify.ErrUnmapped}},
		{trust.ErrMinTimestamp, order[3]},
		{other, trust.ErrExpired},
	} {
		if got := verify.Gravest(equal...); got != equal[0] {
			t.Errorf("of %v the first was to be taken, not %v", equal, got)
		}
	}
	if err := verify.Gravest(nil, nil); err != nil {
		t.Error(err)
	}
}
