package ociremote_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/ociremote"
)

// The pages of a list are bounded by their number and by their bytes together: a
// registry decides how large each is.
func TestReferrersAreBounded(t *testing.T) {
	t.Parallel()
	host, hits := fakeRegistry(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscan(r.URL.Query().Get("n"), &n)
		w.Header().Set("Link", fmt.Sprintf(`<?n=%d>; rel="next"`, n+1))
		indexAnswer(w, listOf(entryOf(numbered(n+1), ""))+strings.Repeat(" ", 3<<20))
	})
	list, err := ociremote.Referrers(t.Context(), open(t, newClient(t, ociremote.Options{}), host), numbered(0), ociremote.ReferrersOptions{})
	if err != nil || !list.Truncated || len(list.Descriptors) != 2 || len(*hits) != 2 {
		t.Errorf("%+v, %v after %d requests", list, err, len(*hits))
	}
}
