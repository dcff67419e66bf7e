package trust_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// A role may have any name. It is quoted where it is asked for and where it is
// stored, which is never outside the state, and found again there.
func TestSuiteQuotedRoleNames(t *testing.T) {
	t.Parallel()
	for i, role := range []string{"?", "#", "/role", "../role", "a/b", "..", "%2e", "a b+c&d;e", "ä\u2028"} {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprintf("%q in %s", role, kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				w.Delegate("targets", role, []string{"*"}, false)
				w.AddTargetTo(role, "file", []byte("x"))
				w.publish()
				before := w.stateFiles()
				w.mustAnswer("file")
				w.stored(before, []string{"root", "timestamp", "snapshot", "targets", role}, nil)
				if found, err := filepath.Glob(filepath.Join(filepath.Dir(w.state), "*", "*role*")); err != nil || len(found) > 0 {
					t.Errorf("outside of the state: %v, %v", found, err)
				}
				loaded, err := w.client().Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := lookup(t, loaded, "file"); err != nil {
					t.Errorf("from the state: %v", err)
				}
			})
		}
	}
}

// Over http the whole name is one segment of the path.
func TestSuiteQuotedRequests(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
	roles := []string{"?", "#", "/role", "../role"}
	for _, role := range roles {
		w.Delegate("targets", role, []string{"*"}, false)
	}
	w.publish()
	var asked []string
	w.place.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		asked = append(asked, r.RequestURI)
		next.ServeHTTP(rw, r)
	})
	view := w.mustRefresh()
	if err := lookup(t, view, "file"); err == nil {
		t.Error("found")
	}
	for _, role := range roles {
		if want := "/metadata/1." + url.PathEscape(role) + ".json"; !slices.Contains(asked, want) {
			t.Errorf("%s was not asked for: %v", want, asked)
		}
	}
	if _, err := os.Stat(filepath.Join(w.state, w.client().RootSHA256(), "role.json")); err == nil {
		t.Error("a role is stored beside the roles")
	}
}
