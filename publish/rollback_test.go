package publish_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

func rollback(t testing.TB, g *tuftest.Registry, a *author, o publish.RollbackOptions) (*publish.RolledBack, error) {
	t.Helper()
	o.Now = a.clock
	return publish.Rollback(t.Context(), a.ws, remote(t, g, repository), o)
}

// Content of long ago is published under new versions, with files that only the old
// bundle has, and its expiry does not count.
func TestRollback(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g, a := published(t)
	large := strings.Repeat("large", 1<<15) // more than workspaces keep
	a.stage("", "large.txt", large)
	a.stage("team", "team/x", "then")
	a.publish(g) // v2
	a.now = a.now.Add(8 * day)
	a.stage("team", "team/x", "now")
	if _, err := a.ws.RemoveTarget("", "large.txt"); err != nil {
		t.Fatal(err)
	}
	a.stage("", "revocations.json", `{"version":1,"images":[],"certificates":[]}`)
	a.publish(g) // v3
	if got := content(t, g, a, "large.txt"); got != "" {
		t.Fatal("it is still there")
	}

	before := a.files()
	dry, err := rollback(t, g, a, publish.RollbackOptions{To: 2, DryRun: true})
	if err != nil || len(dry.Roles) != 2 || !maps.Equal(a.files(), before) {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	r, err := rollback(t, g, a, publish.RollbackOptions{To: 2})
	if err != nil || r.Tag != "tuf.v2" || r.Versions.Timestamp != 2 || fmt.Sprint(r.Roles) != fmt.Sprint(dry.Roles) {
		t.Fatalf("rolled back %+v, %v", r, err)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "revocations.json") {
		t.Errorf("notes: %q", r.Notes)
	}
	result := a.publish(g)
	if result.Versions.Targets != 4 {
		t.Errorf("published %+v", result.Versions)
	}
	if content(t, g, a, "large.txt") != large || content(t, g, a, "team/x") != "then" || content(t, g, a, "revocations.json") == "" {
		t.Error("consumers see something else")
	}
	// Once more, and there is nothing to do.
	if r, err = rollback(t, g, a, publish.RollbackOptions{To: 2}); err != nil || len(r.Roles) != 0 {
		t.Errorf("again: %+v, %v", r, err)
	}
}

// What does not verify is not staged, nor what stands under the tag of another version.
func TestRollbackVerifies(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	a.stage("", "hello.txt", "hello again")
	a.publish(g)
	for name, test := range map[string]struct {
		change func()
		to     int64
		want   error
	}{
		"never was": {func() {}, 7, publish.ErrNoVersion},
		"misnamed":  {func() { retag(t, g, "tuf.v9", g.Digest(repository, "tuf.v1")) }, 9, trust.ErrMismatch},
		"foreign": {func() {
			g.PutBlob(repository, []byte("{}"))
			g.PutManifest(repository, "tuf.v10", foreign)
		}, 10, publish.ErrForeignTag},
		"of another repository": {func() {
			files := tuftest.Pack(t, tuftest.NewRepo(t, tuftest.RepoOptions{}).Files(), tuftest.PackOptions{})
			store(t, remote(t, g, repository), "tuf.v11", files)
		}, 11, trust.ErrWrongRoot},
	} {
		test.change()
		before := a.files()
		_, err := rollback(t, g, a, publish.RollbackOptions{To: test.to})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if !maps.Equal(a.files(), before) {
			t.Errorf("%s: the workspace changed", name)
		}
	}
	a.stage("", "more.txt", "more")
	_, err := rollback(t, g, a, publish.RollbackOptions{To: 1})
	wantErr(t, err, metadata.ErrStaged)
}
