package metadata

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// pastState is a state of the channel to go back to.
type pastState struct {
	head  *Head
	files map[string]File
}

func (w *world) past() pastState { return pastState{w.head(), maps.Clone(w.channel)} }

func (p pastState) read(title, sha256 string, _ int64) ([]byte, error) {
	f, ok := p.files[title]
	if !ok || f.SHA256 != sha256 {
		return nil, errors.New("asked for what the old state does not have: " + title)
	}
	return f.Data, nil
}

func (p pastState) options() RollbackOptions { return RollbackOptions{Read: p.read} }

// wantNotes wants one note for each text.
func wantNotes(t *testing.T, r *Rollback, want ...string) {
	t.Helper()
	for _, text := range want {
		if !slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, text) }) {
			t.Errorf("no note says %q: %q", text, r.Notes)
		}
	}
	if len(r.Notes) != len(want) {
		t.Errorf("notes: %q", r.Notes)
	}
}

// Keys, thresholds and roles stay as they are now; entries, paths and order come back.
func TestRollbackKeepsKeys(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.addKey(ws, "old")
	w.addKey(ws, "new")
	for _, name := range []string{"team", "gone"} {
		w.must(ws.AddDelegation(DelegationOptions{Name: name, Paths: []string{name + "/*"}, Keys: []string{"old"}}))
		_, err := ws.AddTarget(name+"/a", []byte("then"), TargetOptions{Role: name})
		w.must(err)
	}
	w.publish(ws)
	old := w.past()

	// The same repository, in which team got another key and other roles came and went.
	w, ws = w.without(ws, "gone")
	w.must(ws.SetRole([]string{"team"}, RoleEdit{AddKeys: []string{"new"}, RemoveKeys: []string{"old"}}))
	w.must(ws.AddDelegation(DelegationOptions{Name: "late", Paths: []string{"late/*"}, Keys: []string{"new"}}))
	for path, role := range map[string]string{"team/a": "team", "late/a": "late"} {
		_, err := ws.AddTarget(path, []byte("now"), TargetOptions{Role: role})
		w.must(err)
	}
	w.publish(ws)

	r, err := ws.Rollback(old.head, old.options())
	w.must(err)
	wantNotes(t, r, `"late" is new since`, `"gone" is gone since`, `"team" stays under its keys of now, 1 of new`)
	if len(r.Roles) != 1 || r.Roles[0].Role != "team" || len(ws.staged) != 1 {
		t.Errorf("changed: %+v", r.Roles)
	}
	w.publish(ws)
	c := w.find(ws)
	for path, want := range map[string]string{"team/a": "then", "late/a": "now"} {
		if _, data, err := c.get(path); err != nil || string(data) != want {
			t.Errorf("%s is %q, %v", path, data, err)
		}
	}
	info, err := ws.Role("team")
	w.must(err)
	if len(info.Keys) != 1 || info.Keys[0].Name != "new" {
		t.Errorf("keys of team: %+v", info.Keys)
	}
}

// without publishes the next state, in which a role is not delegated any more.
func (w *world) without(ws *Workspace, role string) (*world, *Workspace) {
	w.t.Helper()
	e, err := ws.newEdit()
	w.must(err)
	md, err := parseFile[tuf.TargetsType](ws.current("targets"))
	w.must(err)
	md.Signed.Delegations.Roles = slices.DeleteFunc(md.Signed.Delegations.Roles, func(d tuf.DelegatedRole) bool { return d.Name == role })
	w.must(stage(e, "targets", md))
	w.must(e.commit())
	w.publish(ws)
	return w, ws
}

func TestRollbackRefuses(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	_, err := ws.AddTarget("a", []byte("then"), TargetOptions{})
	w.must(err)
	w.publish(ws)
	old := w.past()
	_, err = ws.AddTarget("a", []byte("now"), TargetOptions{})
	w.must(err)
	w.publish(ws)
	w.must(ws.Close())

	for name, test := range map[string]struct {
		prepare func(*world, *Workspace) *Head
		change  func(*RollbackOptions)
		want    error
	}{
		"other changes are staged": {func(w *world, ws *Workspace) *Head {
			_, err := ws.AddTarget("b", []byte("b"), TargetOptions{})
			w.must(err)
			return old.head
		}, nil, ErrStaged},
		"other roots": {func(*world, *Workspace) *Head { other, _ := dev(t); return other.head() }, nil, ErrForeignHead},
		"other bytes": {nil, func(o *RollbackOptions) {
			o.Read = func(string, string, int64) ([]byte, error) { return []byte("THEN"), nil }
		}, ErrInvalid},
		"no bytes": {nil, func(o *RollbackOptions) {
			o.Read = func(string, string, int64) ([]byte, error) { return nil, errKilled }
		}, errKilled},
	} {
		victim := w.clone()
		ws := victim.open()
		head, o := old.head, old.options()
		if test.prepare != nil {
			head = test.prepare(victim, ws)
		}
		if test.change != nil {
			test.change(&o)
		}
		before := victim.files()
		if _, err := ws.Rollback(head, o); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if !maps.Equal(victim.files(), before) {
			t.Errorf("%s: the workspace changed", name)
		}
		w.must(ws.Close())
	}

	fresh := newWorld(t)
	_, err = fresh.init(fresh.devOptions()).Rollback(old.head, old.options())
	wantErr(t, err, ErrInvalid, "nothing was published")
}

// What Keep names stays, whether it is new since, gone or another.
func TestRollbackKeeps(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	for _, path := range []string{"keep/changed", "keep/gone", "a"} {
		_, err := ws.AddTarget(path, []byte("then"), TargetOptions{})
		w.must(err)
	}
	w.publish(ws)
	old := w.past()
	_, err := ws.RemoveTarget("", "keep/gone")
	w.must(err)
	for _, path := range []string{"keep/changed", "keep/new", "a", "b"} {
		_, err := ws.AddTarget(path, []byte("now"), TargetOptions{})
		w.must(err)
	}
	w.publish(ws)
	o := old.options()
	o.Keep = func(path string) bool { return strings.HasPrefix(path, "keep/") }
	r, err := ws.Rollback(old.head, o)
	w.must(err)
	wantNotes(t, r, `"keep/changed"`, `"keep/gone"`, `"keep/new"`)
	w.publish(ws)
	c := w.find(ws)
	for path, want := range map[string]string{"keep/changed": "now", "keep/new": "now", "a": "then", "keep/gone": "", "b": ""} {
		if _, data, err := c.get(path); string(data) != want || (err == nil) != (want != "") {
			t.Errorf("%s is %q, %v", path, data, err)
		}
	}
}

// Bins come back one by one, and stay where they are others.
func TestRollbackOfBins(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.must(ws.AddBins(BinsOptions{Bins: 2, Keys: []string{"dev"}, BinKeys: []string{"dev"}}))
	add := func(name string, length int) {
		t.Helper()
		_, err := ws.AddTargetEntries(strings.NewReader(entryLine(name, length)), TargetOptions{})
		w.must(err)
	}
	add("shop/api:1", 1)
	w.publish(ws)
	old := w.past()
	add("shop/api:1", 2)
	w.publish(ws)
	r, err := ws.Rollback(old.head, old.options())
	w.must(err)
	wantNotes(t, r)
	if len(r.Roles) != 1 {
		t.Errorf("changed: %+v", r.Roles)
	}
	w.publish(ws)
	if info, _, err := w.find(ws).get("images/shop/api:1"); err != nil || info.Length != 1 {
		t.Errorf("the entry is %+v, %v", info, err)
	}
}

// Killed at any step, a rollback leaves a workspace in which it can be repeated.
func TestRollbackKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.must(ws.AddDelegation(DelegationOptions{Name: "team", Paths: []string{"team/*"}, Keys: []string{"dev"}}))
	states := []pastState{}
	for _, content := range []string{"then", "now"} {
		for path, role := range map[string]string{"a": "", "team/a": "team"} {
			_, err := ws.AddTarget(path, []byte(content), TargetOptions{Role: role})
			w.must(err)
		}
		w.publish(ws)
		states = append(states, w.past())
	}
	w.must(ws.Close())
	old := states[0]
	probe := w.clone().open()
	steps := countSteps(probe.disk)
	_, err := probe.Rollback(old.head, old.options())
	w.must(err)
	for n := range kills(t, *steps) {
		victim := w.clone()
		ws := victim.open()
		killAt(ws.disk, n)
		if _, err := ws.Rollback(old.head, old.options()); !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", n, err)
		}
		w.must(ws.Close())
		ws = victim.open()
		noTemps(t, victim.dir)
		if _, err := ws.Status(); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		r, err := ws.Rollback(old.head, old.options())
		if err != nil || len(r.Roles) != 2 {
			t.Fatalf("step %d: again: %+v, %v", n, r, err)
		}
		victim.publish(ws)
		c := victim.find(ws)
		for _, path := range []string{"a", "team/a"} {
			if _, data, err := c.get(path); err != nil || string(data) != "then" {
				t.Fatalf("step %d: %s is %q, %v", n, path, data, err)
			}
		}
	}
}

func TestRollbackDryRun(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	old := w.past()
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.publish(ws)
	before := w.files()
	r, err := ws.Rollback(old.head, RollbackOptions{DryRun: true})
	w.must(err)
	if len(r.Roles) != 1 || len(r.Status.Removed) != 1 || !maps.Equal(w.files(), before) {
		t.Errorf("dry run: %+v", r)
	}
}
