package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

// Of what nobody vouches for so much is shown, the top-level roles first, and what is
// left out is said; a role that is longer than may be read alone does not keep from the
// others.
func TestInspectWithoutPinIsBounded(t *testing.T) {
	t.Parallel()
	place, repo := tuftest.NewPlace(t, tuftest.InLayout), tuftest.NewRepo(t, tuftest.RepoOptions{})
	filler := func(length int) []byte {
		return fmt.Appendf(nil, `{"signatures":[],"signed":{"_type":"targets","spec_version":"1.0.31","version":1,"expires":"2030-01-01T00:00:00Z","targets":{},"x":%q}}`,
			strings.Repeat("x", length))
	}
	files := repo.Files()
	for _, role := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		files["metadata/1."+role+".json"] = filler(1_000_000)
	}
	files["metadata/2.a.json"] = filler(1 << 20)
	place.Put(files, tuftest.PackOptions{})
	inspect := func(args ...string) (int, inspectResult) {
		var out, stderr tuftest.Console
		home := t.TempDir()
		code := Run(t.Context(), append([]string{"inspect", place.Source(), "--format", "json"}, args...), World{
			Stdout: &out, Stderr: &stderr, Now: repo.Now, LookupEnv: func(name string) (string, bool) { return home, name == "HOME" },
		})
		var r inspectResult
		if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
		return code, r
	}
	code, r := inspect()
	var roles []string
	for _, role := range r.Roles {
		roles = append(roles, role.Role)
	}
	if want := []string{"root", "timestamp", "snapshot", "targets", "b", "c", "d", "e", "f"}; code != 0 || r.Verified || !slices.Equal(roles, want) {
		t.Errorf("exit %d, roles %v", code, roles)
	}
	if len(r.Warnings) != 2 || !strings.Contains(r.Warnings[1], `2 roles left out, "a" first`) {
		t.Errorf("warnings %q", r.Warnings)
	}
	if code, r := inspect("a"); code != exitMalformed || r.Error == nil || !strings.Contains(r.Error.What, "the limit is 1048576") {
		t.Errorf("a role that is too long: exit %d, %+v", code, r.Error)
	}
}
