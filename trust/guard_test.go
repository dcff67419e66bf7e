package trust

import (
	"errors"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

type panickingDelegator struct{}

func (panickingDelegator) VerifyDelegate(string, any) error { panic("a fault of a library") }

// A panic in the library is malformed metadata, of the role that it was asked about.
func TestPanicIsMalformed(t *testing.T) {
	t.Parallel()
	err := verifyBy(panickingDelegator{}, tuf.ROOT, tuf.TARGETS, 3, nil)
	refused, ok := errors.AsType[*VerificationError](err)
	if !ok || refused.Kind != ErrMalformed || refused.Role != tuf.TARGETS {
		t.Errorf("%v", err)
	}
}
