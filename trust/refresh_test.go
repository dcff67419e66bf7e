package trust_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

func TestRefreshFromNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("dir/file.txt", []byte("hello"))
	for range 14 {
		w.RotateKey("root")
		w.publish()
	}
	w.at.reset()
	view := w.mustRefresh()
	if n := w.at.requests(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	s := view.Status()
	if s.Root.Version != 15 || s.Timestamp.Version != 15 || s.Snapshot.Version != 15 || s.Targets.Version != 2 {
		t.Errorf("versions %d %d %d %d", s.Root.Version, s.Timestamp.Version, s.Snapshot.Version, s.Targets.Version)
	}
	if !s.Verified || s.Stale || s.Unchanged || s.Fork != nil || s.AsOf != nil || s.Source != "memory" {
		t.Errorf("status %+v", s)
	}
	data, target, err := view.Get(t.Context(), "dir/file.txt")
	if err != nil || string(data) != "hello" {
		t.Fatalf("got %q, %v", data, err)
	}
	if target.Role != "targets" || target.Length != 5 || len(target.Hashes["sha256"]) != 64 {
		t.Errorf("target %+v", target)
	}
	if n := w.at.requests(); n != 1 {
		t.Errorf("%d requests with an inlined target, want 1", n)
	}
	for name, want := range w.Files() {
		switch stored := w.stateFiles(); name {
		case "metadata/timestamp.json":
			if stored["timestamp.json"] != string(want) {
				t.Error("timestamp is not stored as received")
			}
		case "metadata/7.root.json":
			if stored["roots/7.root.json"] != string(want) {
				t.Error("root 7 is not stored as received")
			}
		}
	}
}

func TestRefreshUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.at.reset()
	view := w.mustRefresh()
	if !view.Status().Unchanged {
		t.Error("the second refresh does not say that nothing changed")
	}
	if n := w.at.requests(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestRefreshChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	client := w.client()
	for version := int64(1); version < 6; version++ {
		w.at.reset()
		view, err := client.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := view.Status().Timestamp.Version; got != version {
			t.Errorf("timestamp v%d, want v%d", got, version)
		}
		if n := w.at.requests(); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		switch version % 3 {
		case 0:
			w.PublishTimestamp()
			w.out()
		case 1:
			w.AddTarget(fmt.Sprint("file", version), []byte("x"))
			w.publish()
		default:
			w.RotateKey("snapshot")
			w.publish()
		}
	}
}

func TestRefreshRotatesEveryKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{Keys: 2, Threshold: 2})
	w.mustRefresh()
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		w.RotateKey(role)
		w.Touch("targets")
		w.publish()
		if got := w.mustRefresh().Status().Root.Version; got != w.Version("root") {
			t.Errorf("after rotating %s: root v%d", role, got)
		}
	}
}

// A client that has parsed targets before does not do so again; that the root still
// stands behind it is asked each time.
func TestTargetsThatDidNotChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{Keys: 2})
	w.AddTarget("file", []byte("x"))
	w.publish()
	client := w.client()
	for range 3 {
		w.publish()
		view, err := client.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := lookup(t, view, "file"); err != nil {
			t.Error(err)
		}
		// From now on it has to do with what it has.
		w.edit = func(files map[string][]byte) { delete(files, w.Title("targets")) }
	}
	w.edit = nil
	w.SetExpiry("timestamp", tuftest.Epoch.AddDate(1, 0, 0))
	w.SetExpiry("snapshot", tuftest.Epoch.AddDate(1, 0, 0))
	w.SetExpiry("root", tuftest.Epoch.AddDate(1, 0, 0))
	w.publish()
	w.Unsign("targets", 1)
	w.Forge("root", func(signed map[string]any) {
		signed["roles"].(map[string]any)["targets"].(map[string]any)["threshold"] = 2
	})
	w.out()
	if _, err := w.refresh(func(o *trust.Options) { o.StateDir = "" }); !errors.Is(err, trust.ErrThreshold) {
		t.Errorf("from nothing: %v", err)
	}
	_, err := client.Refresh(t.Context())
	if e := refused(t, err, trust.ErrThreshold); e.Role != "targets" {
		t.Errorf("evidence %+v", e)
	}
	now := w.now
	w.now = tuftest.Epoch.AddDate(0, 2, 0)
	_, err = client.Refresh(t.Context())
	if err == nil || w.now == now {
		t.Errorf("expired targets: %v", err)
	}
}

func TestNonConsistentSnapshots(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{NonConsistent: true})
	w.AddTarget("a/b", []byte("one"))
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/c", []byte("two"))
	w.publish()
	view := w.mustRefresh()
	for name, want := range map[string]string{"a/b": "one", "team/c": "two"} {
		if data, _, err := view.Get(t.Context(), name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestLoadNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("file", []byte("hello"))
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("of the team"))
	w.Delegate("targets", "other", []string{"other/*"}, false)
	w.AddTargetTo("other", "other/file", []byte("never read"))
	w.pack.NoInline = true
	w.publish()
	if _, err := w.client().Load(t.Context()); !errors.Is(err, trust.ErrNoState) {
		t.Errorf("load from nothing: %v", err)
	}
	view := w.mustRefresh()
	for _, name := range []string{"file", "team/file"} {
		if _, _, err := view.Get(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	w.at.reset()
	view, err := w.client().Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := view.Status(); s.Source != "state" || s.Timestamp.Version != 2 || !s.Verified {
		t.Errorf("status %+v", s)
	}
	if data, _, err := view.Get(t.Context(), "team/file"); err != nil || string(data) != "of the team" {
		t.Errorf("got %q, %v", data, err)
	}
	e := refused(t, lookup(t, view, "other/file"), trust.ErrStaleCopy)
	if e.Role != "other" || e.Version != 1 {
		t.Errorf("evidence %+v", e)
	}
	if n := w.at.requests(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func lookup(t testing.TB, view *trust.View, name string) error {
	t.Helper()
	_, err := view.Lookup(t.Context(), name)
	return err
}

func TestMoreRootsThanOneRefreshFollows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	for range 7 {
		w.RotateKey("root")
		w.publish()
	}
	for _, want := range []int{4, 7} {
		client := w.client()
		client.SetMaxRootRotations(3)
		_, err := client.Refresh(t.Context())
		refused(t, err, trust.ErrMalformed)
		files := w.stateFiles()
		if _, ok := files[fmt.Sprintf("roots/%d.root.json", want)]; !ok {
			t.Errorf("root %d was verified and is not stored: %v", want, sorted(files))
		}
		if _, ok := files["timestamp.json"]; ok {
			t.Error("a timestamp is stored under a root that is not the newest")
		}
	}
	client := w.client()
	client.SetMaxRootRotations(3)
	view, err := client.Refresh(t.Context())
	if err != nil || view.Status().Root.Version != 8 {
		t.Errorf("third refresh: %v", err)
	}
}

func TestAsOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.now = tuftest.Epoch.AddDate(10, 0, 0)
	_, err := w.refresh()
	refused(t, err, trust.ErrExpired)
	before := w.stateFiles()
	at := tuftest.Epoch.Add(time.Hour)
	view := w.mustRefresh(func(o *trust.Options) { o.AsOf = at })
	s := view.Status()
	if s.Verified || s.AsOf == nil || !s.AsOf.Equal(at) {
		t.Errorf("status %+v", s)
	}
	w.sameState(before)
}

func TestAllowExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.now = tuftest.Epoch.AddDate(10, 0, 0)
	view := w.mustRefresh(func(o *trust.Options) { o.AllowExpired = true })
	if s := view.Status(); s.Verified || s.Stale || len(s.Warnings) != 4 {
		t.Errorf("status %+v", s)
	}
	if files := w.stateFiles(); len(files) != 0 {
		t.Errorf("stored: %v", sorted(files))
	}
}

func TestFindRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	for range 3 {
		w.RotateKey("root")
		w.publish()
	}
	for name, src := range map[string]trust.Source{"bundle": w.source(), "directory": dirSource(t, w.Files())} {
		t.Run(name, func(t *testing.T) {
			for i, root := range w.Roots() {
				sum := tuftest.Digest(root)
				if i%2 == 0 {
					sum = sum[len("sha256:"):]
				}
				got, err := trust.FindRoot(t.Context(), src, nil, sum, trust.Limits{})
				if err != nil || !bytes.Equal(got, root) {
					t.Errorf("root %d: %v", i+1, err)
				}
			}
			for _, sum := range []string{tuftest.Digest([]byte("other")), tuftest.Digest(w.Data("timestamp")), "", "sha256:12"} {
				_, err := trust.FindRoot(t.Context(), src, nil, sum, trust.Limits{})
				refused(t, err, trust.ErrWrongRoot)
			}
		})
	}
}
