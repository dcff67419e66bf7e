package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// Lists of referrers do not end, or lead nowhere: for who looks for signatures, and for
// who looks for copies of the trust. Either is refused after few requests, for what the
// list is; what stands on its first page counts; and the honest list is taken afterwards.
func TestListsWithoutEnd(t *testing.T) {
	t.Parallel()
	w, _ := good(t, withReferrers)
	w.entry.Limits = trust.Limits{StallWindow: 50 * time.Millisecond}
	w.publish()
	w.verify(":1.0")
	// What the two come to, where nothing is found. nil: the image is accepted.
	nothing := [2]error{verify.ErrNoSignature, verify.ErrNoCopy}
	stalls := errors.New("it is too slow")
	malformed := [2]error{ociremote.ErrMalformed, ociremote.ErrMalformed}
	expected := map[string][2]error{
		"referrers-on-a-page-at-another-host":          malformed,
		"referrers-in-a-list-without-end":              malformed,
		"referrers-in-a-tag-without-end":               malformed,
		"referrers-with-pages-without-end-behind-them": {nil, verify.ErrNoCopy},
		"referrers-in-a-list-that-stops":               {stalls, nil},
	}
	// 8 pages, at most 50 manifests that are said to be signatures, and what is asked
	// besides.
	most := map[string]int{"referrers-on-pages-of-what-is-not-there": 60}
	for i, lie := range tuftest.Lists(signatureType) {
		if i%tuftest.Scale(5, 1, 1) != 0 {
			continue
		}
		want, ok := expected[lie.Name]
		if !ok {
			want = nothing
		}
		limit := max(most[lie.Name], 15)
		for j, from := range []func(*verify.Options){func(*verify.Options) {}, w.at(noHome)} {
			if j == 1 && want[0] == stalls {
				continue // TestCopyThatStalls of trust
			}
			lie.Tell(w.registry)
			w.registry.Reset()
			r := w.verify(":1.0", from)
			if !errors.Is(r.Err, want[j]) && (want[j] != stalls || !trust.IsUnreachable(r.Err)) {
				t.Errorf("%s: %v, want %v", lie.Name, r.Err, want[j])
			}
			if n := len(w.requests()); n > limit {
				t.Errorf("%s: %d requests", lie.Name, n)
			}
		}
		w.registry.Intercept(nil)
		if r := w.verify(":1.0"); r.Err != nil {
			t.Errorf("%s: afterwards: %v", lie.Name, r.Err)
		}
	}
}
