package trust_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

func TestPlantedStateRoot(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	other := tuftest.NewRepo(t, tuftest.RepoOptions{})
	for range 3 {
		other.RotateKey("root")
		other.Publish()
	}
	tests := map[string]func(w *world){
		"another pin":                func(w *world) { w.writeState("roots/2.root.json", other.Roots()[1]) },
		"another successor":          func(w *world) { w.writeState("roots/3.root.json", other.Roots()[2]) },
		"another one at the end":     func(w *world) { w.writeState("roots/4.root.json", other.Roots()[3]) },
		"one below the pin":          func(w *world) { w.writeState("roots/1.root.json", other.Roots()[0]) },
		"the real one below the pin": func(w *world) { w.writeState("roots/1.root.json", w.Roots()[0]) },
		"an empty one":               func(w *world) { w.writeState("roots/3.root.json", nil) },
		"half of one":                func(w *world) { w.writeState("roots/3.root.json", w.Roots()[2][:99]) },
		"a gap":                      func(w *world) { w.writeState("roots/5.root.json", w.Roots()[2]) },
		"a missing one":              func(w *world) { os.Rename(w.stateFile("roots/3.root.json"), w.stateFile("roots/4.root.json")) },
		"one that is read in two ways": func(w *world) {
			w.writeState("roots/3.root.json", append([]byte(`{"x":1,"x":1,`), w.Roots()[2][1:]...))
		},
		"its own successor twice": func(w *world) { w.writeState("roots/4.root.json", w.Roots()[2]) },
	}
	for name, plant := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{})
			w.Touch("root")
			w.publish()
			w.Touch("root")
			w.publish()
			pinned := func() *trust.Client { return w.clientOf(w.Roots()[1]) }
			if _, err := pinned().Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			// stateFile speaks of the directory of root 1; this pin is root 2.
			w.state = filepath.Join(w.state, "x")
			if err := os.MkdirAll(w.state, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(filepath.Dir(w.state), pinned().RootSHA256()), filepath.Join(w.state, w.client().RootSHA256())); err != nil {
				t.Fatal(err)
			}
			plant(w)
			if err := os.Rename(filepath.Join(w.state, w.client().RootSHA256()), filepath.Join(w.state, pinned().RootSHA256())); err != nil {
				t.Fatal(err)
			}
			before := w.stateFiles()
			w.at.reset()
			_, err := pinned().Refresh(t.Context())
			refused(t, err, trust.ErrWrongRoot)
			_, err = pinned().Load(t.Context())
			refused(t, err, trust.ErrWrongRoot)
			if w.at.requests() != 0 {
				t.Error("the source was asked")
			}
			if after := w.stateFiles(); !maps.Equal(before, after) {
				t.Error("the state has changed")
			}
		})
	}
}

func TestDamagedStateHeals(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json", "roles/team.json", "source.json", "bundle.json"} {
		for damage, edit := range map[string]func([]byte) []byte{
			"emptied": func([]byte) []byte { return nil },
			"half":    func(data []byte) []byte { return data[:len(data)/2] },
			"zeros":   func(data []byte) []byte { return make([]byte, len(data)) },
			"junk":    func([]byte) []byte { return []byte("{}") },
			"null":    func([]byte) []byte { return []byte("null") },
			"gone":    nil,
		} {
			t.Run(name+" "+damage, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, tuftest.RepoOptions{})
				w.Delegate("targets", "team", []string{"team/*"}, false)
				w.AddTargetTo("team", "team/file", []byte("x"))
				w.publish()
				if err := lookup(t, w.mustRefresh(), "team/file"); err != nil {
					t.Fatal(err)
				}
				whole := w.stateFiles()
				file := w.stateFile(name)
				if edit == nil {
					os.Remove(file)
				} else {
					w.writeState(name, edit([]byte(whole[name])))
				}
				if err := lookup(t, w.mustRefresh(), "team/file"); err != nil {
					t.Fatal(err)
				}
				for name, data := range w.stateFiles() {
					if name != "source.json" && data != whole[name] {
						t.Errorf("%s has not healed", name)
					}
				}
			})
		}
	}
}

// A file that is stored as valid JSON, of the right version, but with other content,
// is not believed either.
func TestTamperedStateIsNotBelieved(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	all := []string{"targets.json", "roles/team.json", "snapshot.json", "timestamp.json"}
	for _, bare := range []bool{false, true} {
		for _, tampered := range append([][]string{all}, all[:1], all[1:2], all[2:3], all[3:]) {
			w := newWorld(t, tuftest.RepoOptions{BareMeta: bare})
			w.AddTarget("file", []byte("x"))
			w.Delegate("targets", "team", []string{"team/*"}, false)
			w.AddTargetTo("team", "team/file", []byte("x"))
			w.publish()
			if err := lookup(t, w.mustRefresh(), "team/file"); err != nil {
				t.Fatal(err)
			}
			for _, name := range tampered {
				data := strings.Replace(w.stateFiles()[name], "2030-01-31", "2039-01-31", 1)
				w.writeState(name, []byte(data))
			}
			if err := lookup(t, w.mustRefresh(), "team/file"); err != nil {
				t.Fatal(err)
			}
			for name, data := range w.stateFiles() {
				if strings.Contains(data, "2039-01-31") {
					t.Errorf("bare %v, tampered %v: %s is still what was planted", bare, tampered, name)
				}
			}
		}
	}
}

func TestStateOfALaterFormat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.writeState("source.json", []byte(`{"format": 2, "anything": {}}`))
	if _, err := w.refresh(); !errors.Is(err, trust.ErrStateFormat) {
		t.Errorf("error %v", err)
	}
}

// Whichever write a process dies at, the next refresh succeeds, and at no time
// does the state forget what it has seen.
func TestKilledBetweenWrites(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	type step struct{ name, file string }
	run := func(t *testing.T, n int) (steps []step, done bool) {
		w := newWorld(t, tuftest.RepoOptions{})
		w.AddTarget("file", []byte("one"))
		w.Delegate("targets", "team", []string{"team/*"}, false)
		w.AddTargetTo("team", "team/file", []byte("x"))
		w.publish()
		if err := lookup(t, w.mustRefresh(), "team/file"); err != nil {
			t.Fatal(err)
		}
		old := w.Files()
		w.RotateKey("root")
		w.AddTarget("file", []byte("two"))
		w.AddTargetTo("team", "team/more", []byte("y"))
		w.publish()
		client := w.client()
		client.OnWriteStep(func(name, file string) error {
			steps = append(steps, step{name, filepath.Base(file)})
			if len(steps) > n {
				return errCrash
			}
			return nil
		})
		view, err := client.Refresh(t.Context())
		if err == nil {
			lookup(t, view, "team/more")
		} else if !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		seen := w.stateFiles()

		// Whatever was left behind, what was seen keeps an older copy out.
		if seen["timestamp.json"] == string(w.Data("timestamp")) {
			w.put(old)
			_, err := w.refresh()
			refused(t, err, trust.ErrRollback)
		}
		w.out()
		view = w.mustRefresh()
		if s := view.Status(); s.Timestamp.Version != 3 || s.Root.Version != 2 {
			t.Errorf("step %d: timestamp v%d, root v%d", n, s.Timestamp.Version, s.Root.Version)
		}
		if err := lookup(t, view, "team/more"); err != nil {
			t.Errorf("step %d: %v", n, err)
		}
		for name := range w.stateFiles() {
			if strings.Contains(name, ".tmp-") {
				t.Errorf("step %d: %s was left behind", n, name)
			}
		}
		return steps, len(steps) <= n
	}
	for n := 0; ; n++ {
		if steps, done := run(t, n); done {
			if n < 20 {
				t.Errorf("only %d steps: %v", n, steps)
			}
			break
		}
	}
}

func TestReadOnlyState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.publish()
	w.mustRefresh()
	before := w.stateFiles()
	w.publish()
	client := w.client()
	client.OnWriteStep(func(string, string) error { return trust.ErrReadOnly })
	view, err := client.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := view.Status()
	if s.Timestamp.Version != 3 || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "in memory") {
		t.Errorf("status %+v", s)
	}
	if err := lookup(t, view, "team/file"); err != nil {
		t.Error(err)
	}
	w.sameState(before)
	// For the life of the client the memory protects from rollback.
	old := w.Fork()
	w.publish()
	if _, err := client.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Repo = old
	w.out()
	_, err = client.Refresh(t.Context())
	refused(t, err, trust.ErrRollback)
}

// What was stored protects also when the first thing that cannot be written is that
// nothing is new.
func TestReadOnlyStateUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	old := w.Fork()
	w.publish()
	w.mustRefresh()
	w.now = w.now.Add(time.Hour)
	client := w.client()
	client.OnWriteStep(func(string, string) error { return trust.ErrReadOnly })
	if view, err := client.Refresh(t.Context()); err != nil || !view.Status().Unchanged {
		t.Fatalf("error %v", err)
	}
	w.put(old.Files())
	_, err := client.Refresh(t.Context())
	refused(t, err, trust.ErrRollback)
}

// A disk that is full is not taken for one that cannot be written: whoever fills it
// would switch the protection from rollback off.
func TestFullStateIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	before := w.stateFiles()
	w.publish()
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		client := w.client()
		client.OnWriteStep(func(string, string) error { return full })
		if _, err := client.Refresh(t.Context()); !errors.Is(err, full) {
			t.Errorf("error %v, want %v", err, full)
		}
		if view, err := client.Load(t.Context()); err != nil || view.Status().Timestamp.Version != 1 || len(view.Status().Warnings) > 0 {
			t.Errorf("what was seen before: error %v", err)
		}
		w.sameState(before)
		before = w.stateFiles()
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("permissions do not bind root")
	}
	w := newWorld(t, tuftest.RepoOptions{})
	if err := os.Chmod(w.state, 0o500); err != nil {
		t.Fatal(err)
	}
	if s := w.mustRefresh().Status(); len(s.Warnings) != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestErrorsOfTheSourceChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	before := w.stateFiles()
	for _, fail := range []error{
		&ociremote.AuthError{Host: "registry.example", Status: 401},
		&ociremote.AuthError{Host: "registry.example", Status: 403},
		&ociremote.TransportError{Host: "registry.example", Status: 429, Err: errors.New("slow down")},
		&ociremote.TransportError{Host: "registry.example", Status: 500, Err: errors.New("broken")},
	} {
		w.at.fail = fail
		if _, err := w.refresh(); !errors.Is(err, fail) {
			t.Errorf("error %v, want %v", err, fail)
		}
	}
	w.at.fail = ociremote.ErrNotFound
	if _, err := w.refresh(); !errors.Is(err, fetcher.ErrNoRepository) {
		t.Errorf("missing tag: %v", err)
	}
	w.at.fail = nil
	w.sameState(before)
}

func TestRootGapIsNotTheEndOfTheChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.RotateKey("root")
	w.publish()
	w.RotateKey("root")
	w.publish()
	w.edit = func(files map[string][]byte) { delete(files, "metadata/2.root.json") }
	w.out()
	if _, err := w.refresh(); !errors.Is(err, fetcher.ErrRootGap) {
		t.Errorf("error %v", err)
	}
}

func TestCopyWithoutItsSnapshot(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"snapshot", "targets"} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.edit = func(files map[string][]byte) { delete(files, w.Title(role)) }
		w.out()
		_, err := w.refresh()
		if e := refused(t, err, trust.ErrStaleCopy); e.Role != role || e.Version != 1 {
			t.Errorf("evidence %+v", e)
		}
		// The timestamp verified and counts; the next copy heals.
		w.edit = nil
		w.out()
		w.mustRefresh()
	}
}

func TestOlderCopyServesWhatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("file", []byte("same in both"))
	w.Delegate("targets", "same", []string{"same/*"}, false)
	w.AddTargetTo("same", "same/file", []byte("x"))
	w.Delegate("targets", "newer", []string{"newer/*"}, false)
	w.AddTargetTo("newer", "newer/file", []byte("x"))
	w.pack.NoInline = true
	w.publish()
	old := w.Files()
	w.AddTargetTo("newer", "newer/more", []byte("y"))
	w.publish()
	w.mustRefresh()
	w.put(old)
	_, err := w.refresh()
	refused(t, err, trust.ErrRollback)

	view, err := w.client().LoadFrom(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "same/file"} {
		if _, _, err := view.Get(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := refused(t, lookup(t, view, "newer/file"), trust.ErrStaleCopy)
	if want := "this copy is older (v2) than what was seen (v3); newer v2 is needed"; e.Detail != want {
		t.Errorf("detail %q, want %q", e.Detail, want)
	}
	if errors.Is(e, trust.ErrRollback) {
		t.Error("an older copy is no attack")
	}
}

func TestSuccessIsWrittenDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	first := w.stateFiles()["source.json"]
	w.now = w.now.Add(time.Hour)
	w.mustRefresh()
	second := w.stateFiles()["source.json"]
	if first == second || !strings.Contains(second, w.now.Format(time.RFC3339)) {
		t.Errorf("source.json: %s", second)
	}
}

func TestRolesNoLongerListedArePruned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.publish()
	if err := lookup(t, w.mustRefresh(), "team/file"); err != nil {
		t.Fatal(err)
	}
	w.writeState("roles/gone.json", []byte("x"))
	w.publish()
	w.mustRefresh()
	files := w.stateFiles()
	if _, ok := files["roles/gone.json"]; ok {
		t.Error("a role that no snapshot lists is kept")
	}
	if _, ok := files["roles/team.json"]; !ok {
		t.Error("a role that the snapshot lists was removed")
	}
}

// A snapshot may list what is no role file; the state is kept all the same.
func TestSnapshotListsOddFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Forge("snapshot", func(signed map[string]any) {
		for _, name := range []string{"", "a", ".json", "team"} {
			signed["meta"].(map[string]any)[name] = map[string]any{"version": 1}
		}
	})
	w.out()
	w.mustRefresh()
	if _, err := w.client().Load(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRoleFileNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, role := range []string{
		"a", "a/b", "../a", "..", "?", "#", "a b", strings.Repeat("x", 500), strings.Repeat("x", 501), "%sha256-a", "registry.npmjs.org",
	} {
		name := trust.RoleFileName(role)
		if name != filepath.Base(name) || len(name) > 255 || name == ".." {
			t.Errorf("%q is stored as %q", role, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q share %q", role, other, name)
		}
		seen[name] = fmt.Sprint(role)
	}
}
