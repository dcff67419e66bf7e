package verify_test

import (
	"strings"
	"testing"

	"github.com/tufoci/tufoci/verify"
)

// Names, roles and types of strangers stand in an error so that no terminal obeys them,
// and cut.
func TestRefusalEscapes(t *testing.T) {
	t.Parallel()
	const odd = "a\n\x1b[31mb\u202e"
	const want = `a\n\x1b[31mb\u202e`
	e := &verify.Refusal{
		Kind: verify.ErrDiffers, Name: odd, Role: odd, RoleVersion: 7, Signed: odd, Served: odd, Time: odd, Reason: odd, Detail: odd,
	}
	if got, text := e.Error(), verify.ErrDiffers.Error()+": "+want+" in "+want+" v7: signed "+want+", served "+want+" at "+want+": "+want+": "+want; got != text {
		t.Errorf("got %q\nwant %q", got, text)
	}
	long := strings.Repeat("x", 1<<20)
	e = &verify.Refusal{Kind: verify.ErrDiffers, Name: long, Role: long, Signed: long, Served: long, Time: long}
	if got := e.Error(); len(got) > 4096 {
		t.Errorf("%d bytes", len(got))
	}
}
