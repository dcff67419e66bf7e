package metadata

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
)

var errKilled = errors.New("killed")

// killAt lets n steps happen and none after that: not even those that would clean up.
func killAt(d *disk, n int) *int {
	steps := 0
	d.Step = func(string, string) error {
		if steps++; steps > n {
			return errKilled
		}
		return nil
	}
	return &steps
}

// failAt lets one step fail, and those after it happen.
func failAt(d *disk, n int) *int {
	steps := 0
	d.Step = func(string, string) error {
		if steps++; steps == n+1 {
			return errKilled
		}
		return nil
	}
	return &steps
}

// countSteps counts the steps of a change that is let through.
func countSteps(d *disk) *int { return killAt(d, 1<<30) }

// stride is how far apart the steps are at which a change is killed: each costs a few publishes.
var stride = tuftest.Scale(16, 8, 1)

// kills are the steps, of so many, at which a change is killed.
func kills(t *testing.T, steps int) iter.Seq[int] {
	t.Helper()
	if steps == 0 {
		t.Fatal("nothing was written")
	}
	return func(yield func(int) bool) {
		for n := 0; n < steps && yield(n); n += stride {
		}
	}
}

// Killed at any step, a change leaves a workspace that opens, that shows the old state or the new one, and in which the
// same change can be made.
func TestEditKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	edits := map[string]func(*Workspace) error{
		"target": func(ws *Workspace) error {
			_, err := ws.AddTarget("charts/a", []byte("a"), TargetOptions{})
			return err
		},
		"delegation": func(ws *Workspace) error {
			err := ws.AddDelegation(DelegationOptions{Name: "team", Paths: []string{"charts/*"}, Keys: []string{"rel"}, Expires: 90 * day})
			if errors.Is(err, ErrRoleExists) {
				return nil // it was there after all
			}
			return err
		},
		"keys": func(ws *Workspace) error {
			return ws.SetRole([]string{"targets"}, RoleEdit{AddKeys: []string{"rel2"}, Expires: 90 * day})
		},
		"rotation": func(ws *Workspace) error {
			_, err := ws.RotateKey("rel", "env:rel3")
			if errors.Is(err, ErrInvalid) && err.Error() == `invalid: key "rel" signs no role` {
				return nil // it was replaced after all
			}
			return err
		},
		"bins": func(ws *Workspace) error {
			err := ws.AddBins(BinsOptions{Bins: 4, Keys: []string{"rel"}, BinKeys: []string{"online"}})
			if errors.Is(err, ErrRoleExists) {
				return nil
			}
			return err
		},
		"proposal": func(ws *Workspace) error {
			p := &RoleProposal{Proposal: Proposal{Role: "targets", Data: []byte("{}")}, Version: ws.base.version("targets") + 1}
			return ws.RecordProposal(p, "tuf.in.targets.2", "sha256:00", true, start)
		},
		"removal": func(ws *Workspace) error {
			if _, err := ws.RemoveTarget("", "there"); err != nil && !errors.Is(err, ErrNoTarget) {
				return err
			}
			return nil
		},
		"reset": func(ws *Workspace) error {
			if err := ws.Reset("there"); err != nil && !errors.Is(err, ErrNoTarget) {
				return err
			}
			return nil
		},
		"reset all": func(ws *Workspace) error { return ws.ResetAll() },
		"new key": func(ws *Workspace) error {
			if err := ws.UpdateConfig(func(c *Config) error { c.Images = "registry.example"; return nil }); err != nil {
				return err
			}
			if _, err := ws.AddKeyURI("again", "env:rel3", ""); err != nil && !errors.Is(err, ErrKeyExists) {
				return err
			}
			return nil
		},
		"sign": func(ws *Workspace) error {
			if _, err := ws.Sign(t.Context(), nil, nil); err != nil && !errors.Is(err, ErrInvalid) {
				return err
			}
			return nil
		},
	}
	for name, change := range edits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ws := standard(t)
			w.addKey(ws, "rel2")
			w.uri("rel3")
			add("there", "there")(w, ws)
			w.must(ws.Close())
			probe := w.clone().open()
			steps := countSteps(probe.disk)
			w.must(change(probe))
			for n := range kills(t, *steps) {
				victim := w.clone()
				ws := victim.open()
				killAt(ws.disk, n)
				if err := change(ws); !errors.Is(err, errKilled) {
					t.Fatalf("step %d: %v", n, err)
				}
				w.must(ws.Close())
				ws = victim.open()
				noTemps(t, victim.dir)
				if _, err := ws.Status(); err != nil {
					t.Fatalf("step %d: %v", n, err)
				}
				w.must(change(ws))
				if len(ws.staged) > 0 {
					victim.sign(ws)
				}
				victim.publish(ws)
			}
		})
	}
}

// Killed at any step of assembling or recording, a publish can be repeated, whether the release became the head or not.
func TestPublishKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	w, ws := dev(t)
	w.must(ws.AddBins(BinsOptions{Bins: 2, Keys: []string{"dev"}, BinKeys: []string{"dev"}}))
	w.must(ws.SetRole([]string{"root"}, RoleEdit{Expires: 300 * day}))
	_, err := ws.AddTarget("a", []byte("a"), TargetOptions{})
	w.must(err)
	w.must(ws.Close())

	probe := w.clone()
	ws = probe.open()
	assembling := countSteps(ws.disk)
	r, err := probe.assemble(ws)
	w.must(err)
	probe.push(r)
	recording := countSteps(ws.disk)
	w.must(ws.Published(r, probe.head().Digest, "tuf", w.now))

	for n := range kills(t, *assembling) {
		victim := w.clone()
		ws := victim.open()
		killAt(ws.disk, n)
		if _, err := victim.assemble(ws); !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", n, err)
		}
		w.must(ws.Close())
		finish(t, victim, n)
	}
	for n := range kills(t, *recording) {
		victim := w.clone()
		ws := victim.open()
		r, err := victim.assemble(ws)
		w.must(err)
		victim.push(r)
		killAt(ws.disk, n)
		if err := ws.Published(r, victim.head().Digest, "tuf", w.now); !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", n, err)
		}
		w.must(ws.Close())
		finish(t, victim, n)
	}
}

// Killed at any step, a rebase leaves what was staged, on the old base or on the new one, and nothing of it is lost:
// neither what moved, nor what was overwritten and is made again.
func TestRebaseKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	w, ws := standard(t)
	w.addKey(ws, "rel2")
	start := *w
	o := RebaseOptions{Ancestor: ws.base.info.Digest}
	add("lost", "lost")(w, ws)
	w.sign(ws)
	w.publish(ws)
	add("mine", "mine")(w, ws)
	newRole("team", "rel2")(w, ws)
	w.must(ws.Close())

	other := newWorld(t) // who publishes from the same start, without what is lost
	*other = start
	other.dir = w.clone().dir
	rival := other.open()
	w.must(rival.ResetAll())
	other.digest += 10
	other.publish(rival)
	add("theirs", "theirs")(other, rival)
	other.sign(rival)
	other.publish(rival)
	w.channel, w.pushed, w.digest = other.channel, other.pushed, other.digest

	probe := w.clone().open()
	steps := countSteps(probe.disk)
	_, err := probe.Rebase(w.head(), o)
	w.must(err)
	for n := range kills(t, *steps) {
		victim := w.clone()
		ws := victim.open()
		killAt(ws.disk, n)
		if _, err := ws.Rebase(w.head(), o); !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", n, err)
		}
		w.must(ws.Close())
		reader, err := Open(victim.dir, OpenOptions{Now: w.clock, Env: w.env, ReadOnly: true})
		w.must(err)
		read, err := reader.Diff()
		w.must(err)
		w.must(reader.Close())
		ws = victim.open()
		noTemps(t, victim.dir)
		if written, err := ws.Diff(); err != nil || len(written) != len(read) || len(read) == 0 {
			t.Fatalf("step %d: %v staged, read only %v (%v)", n, written, read, err)
		}
		if ws.base.info.Digest != w.head().Digest {
			_, err := ws.Rebase(w.head(), o)
			w.must(err)
		}
		victim.sign(ws)
		victim.publish(ws)
		checkFacts(t, ws, ws.base.role("targets"), []string{"target mine", "target theirs", "target lost", "key team"})
		w.must(ws.Close())
	}
}

// finish publishes what a killed process left, and then has nothing to do.
func finish(t *testing.T, w *world, n int) {
	t.Helper()
	ws := w.open()
	noTemps(t, w.dir)
	if _, err := ws.Status(); err != nil {
		t.Fatalf("step %d: %v", n, err)
	}
	w.publish(ws)
	if r := w.publish(ws); !r.Unchanged {
		t.Fatalf("step %d: a further publish changes %v", n, r.Changed)
	}
	if len(ws.staged) > 0 || ws.base.version("root") != 2 || ws.base.version("targets") != 2 {
		t.Fatalf("step %d: staged %v, root v%d", n, ws.staged, ws.base.version("root"))
	}
	if _, data, err := w.find(ws).get("a"); err != nil || string(data) != "a" {
		t.Fatalf("step %d: %q, %v", n, data, err)
	}
}

func noTemps(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), tempPrefix) {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBoundedRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readBounded(path, 5); err != nil {
		t.Error(err)
	}
	_, err := readBounded(path, 4)
	wantErr(t, err, ErrDamaged, "more than 4")
	_, err = readBounded(filepath.Dir(path), 4096)
	wantErr(t, err, ErrDamaged, "not a regular file")
}
