package metadata

import (
	"errors"
	"testing"
)

// freeze freezes root under an id.
func freeze(ws *Workspace, id string) error {
	return ws.Freeze(Freeze{ID: checksum([]byte(id)), Message: "why", File: "root.tufc"}, "root")
}

// What is frozen takes signatures and nothing else, in this process and the next, until it is let go; others can be
// published meanwhile.
func TestFrozen(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	w.must(freeze(ws, "1"))
	w.must(freeze(ws, "1"))
	w.must(ws.Close())
	ws = w.open()
	before := w.files()
	for name, change := range map[string]func() error{
		"keys":   func() error { return ws.SetRole([]string{"root"}, RoleEdit{AddKeys: []string{"rel"}}) },
		"period": func() error { return ws.SetRole([]string{"root"}, RoleEdit{Expires: 90 * day}) },
		"rotate key": func() error {
			_, err := ws.RotateKey("root-b", "rel", "root")
			return err
		},
		"rotate online": func() error {
			_, err := ws.RotateOnline("rel", false)
			return err
		},
		"reset":     func() error { return ws.Reset("root") },
		"reset all": ws.ResetAll,
		"another":   func() error { return freeze(ws, "2") },
		"for another reason": func() error {
			return ws.Freeze(Freeze{ID: checksum([]byte("1")), Message: "another"}, "root")
		},
	} {
		e := (*FrozenError)(nil)
		if err := change(); !errors.As(err, &e) || !errors.Is(err, ErrFrozen) || e.Role != "root" || e.Freeze.File != "root.tufc" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !equalFiles(before, w.files()) {
		t.Error("a refusal has changed the workspace")
	}
	wantErr(t, ws.Unfreeze(checksum([]byte("2"))), ErrNotFrozen)
	wantErr(t, ws.Freeze(Freeze{ID: "../../etc"}, "root"), ErrInvalid)

	_, err := ws.AddTarget("notes", []byte("hello"), TargetOptions{})
	w.must(err)
	w.sign(ws, "targets")
	r := w.publish(ws)
	if r.RootVersion != 1 || r.TargetsVersion != 2 || len(r.Warnings) == 0 || r.Warnings[0].Rule != "frozen" {
		t.Errorf("root v%d, targets v%d, %v", r.RootVersion, r.TargetsVersion, r.Warnings)
	}
	w.sign(ws, "root") // signatures change nothing
	if st, err := ws.Status(); err != nil || len(st.Frozen) != 1 || st.Frozen[0].Roles[0].Version != 2 {
		t.Errorf("%+v, %v", st.Frozen, err)
	}
	w.must(ws.Unfreeze(checksum([]byte("1"))))
	if r := w.publish(ws); r.RootVersion != 2 {
		t.Errorf("root v%d", r.RootVersion)
	}
}

// A role that somebody else has moved is a conflict, frozen or not; one that was published is frozen no more.
func TestFrozenRoleMoves(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	w.must(freeze(ws, "1"))
	w.sign(ws, "root")
	w.must(ws.Close())
	other := w.clone()
	theirs := other.open()
	w.must(theirs.Unfreeze(checksum([]byte("1"))))
	w.must(theirs.SetRole([]string{"root"}, RoleEdit{Expires: 90 * day}))
	other.sign(theirs, "root")
	other.publish(theirs)

	channel := w.channel
	w.channel, w.digest, w.pushed = other.channel, other.digest, other.pushed
	ws = w.open()
	_, err := w.assemble(ws)
	wantErr(t, err, ErrConflict)

	w.channel = channel
	w.must(ws.Unfreeze(checksum([]byte("1"))))
	r, err := w.assemble(ws)
	w.must(err)
	w.must(freeze(ws, "1"))
	w.push(r)
	w.must(ws.Published(r, w.head().Digest, "tuf", w.now))
	if len(ws.Frozen()) > 0 {
		t.Error("what is published is frozen")
	}
	w.must(ws.Close())
	if len(w.open().Frozen()) > 0 {
		t.Error("what is published is frozen when the workspace is opened again")
	}
}

// A rebase leaves what people are signing as it is, or is refused: also one that is only tried.
func TestRebaseOfFrozenRole(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	w.must(freeze(ws, "1"))
	root := ws.staged["root"].sum
	w.other(add("theirs", "theirs"))
	add("mine", "mine")(w, ws)
	if _, err := w.rebase(ws, RebaseOptions{}); err != nil {
		t.Fatal(err)
	}
	if ws.staged["root"].sum != root || len(ws.Frozen()) != 1 {
		t.Errorf("root has changed, or is frozen no more: %v", ws.Frozen())
	}

	w.must(ws.Unfreeze(checksum([]byte("1"))))
	w.other(func(w *world, ws *Workspace) {
		w.must(ws.Reset("root"))
		role("root", RoleEdit{Expires: 90 * day})(w, ws)
	})
	w.must(freeze(ws, "1"))
	before := w.files()
	for _, o := range []RebaseOptions{{DryRun: true}, {}} {
		_, err := w.rebase(ws, o)
		wantErr(t, err, ErrFrozen)
	}
	if !equalFiles(before, w.files()) {
		t.Error("a refusal has changed the workspace")
	}
	w.must(ws.Unfreeze(checksum([]byte("1"))))
	_, err := w.rebase(ws, RebaseOptions{})
	w.must(err)
}

// Killed at any step, what lets people sign elsewhere leaves a workspace that opens, with all signatures that it had, in
// which the same can be done again.
func TestSigningElsewhereKilledAtAnyStep(t *testing.T) {
	t.Parallel()
	w, ws := handover(t)
	payload, err := ws.Payload("root")
	w.must(err)
	_, err = ws.Sign(t.Context(), []string{"root"}, []string{"root-x"})
	w.must(err)
	c, err := ws.Changeset("root")
	w.must(err)
	_, err = c.Sign(t.Context(), w.key("root-b"), w.key("root-c"))
	w.must(err)
	sig, err := w.key("root-b").Sign(t.Context(), payload)
	w.must(err)
	w.must(ws.Close())
	frozen := w.clone()
	ws = frozen.open()
	w.must(freeze(ws, "1"))
	w.must(ws.Close())

	over := func(ws *Workspace) error {
		if err := ws.Unfreeze(checksum([]byte("1"))); !errors.Is(err, ErrNotFrozen) {
			return err
		}
		return nil
	}
	for name, tt := range map[string]struct {
		from   *world
		change func(*Workspace) error
	}{
		"start": {w, func(ws *Workspace) error { return freeze(ws, "1") }},
		"abort": {frozen, over},
		"apply": {frozen, func(ws *Workspace) error {
			if _, err := ws.AddSignatures(c); err != nil {
				return err
			}
			return over(ws)
		}},
		"add-signature": {frozen, func(ws *Workspace) error {
			_, err := ws.AddSignature("root", "root-b", sig)
			return err
		}},
	} {
		probe := tt.from.clone()
		ws := probe.open()
		steps := countSteps(ws.disk)
		w.must(tt.change(ws))
		for n := range kills(t, *steps) {
			victim := tt.from.clone()
			ws := victim.open()
			killAt(ws.disk, n)
			if err := tt.change(ws); !errors.Is(err, errKilled) {
				t.Fatalf("%s, step %d: %v", name, n, err)
			}
			w.must(ws.Close())
			ws = victim.open()
			noTemps(t, victim.dir)
			signed, err := ws.Signatures()
			if err != nil || signed[0].Rules[1].Have < 1 {
				t.Fatalf("%s, step %d: %+v, %v", name, n, signed, err)
			}
			w.must(tt.change(ws))
			w.must(over(ws))
			_, err = ws.AddSignatures(c)
			w.must(err)
			if r, err := victim.assemble(ws); err != nil || r.RootVersion != 2 {
				t.Fatalf("%s, step %d: %v", name, n, err)
			}
			w.must(ws.Close())
		}
	}
}
