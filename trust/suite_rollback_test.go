package trust_test

import (
	"fmt"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// What was seen only goes forward (TUF spec 5.4.3, 5.5.5).
func TestSuiteRollback(t *testing.T) {
	t.Parallel()
	// The client has seen v3 of the top-level roles and v2 of team.
	seen := func(w *world) {
		w.Delegate("targets", "team", []string{"team/*"}, false)
		w.AddTargetTo("team", "team/file", []byte("x"))
		w.Publish()
		w.Touch("targets", "team")
	}
	var rules []rule
	for _, bare := range []bool{false, true} {
		o := tuftest.RepoOptions{BareMeta: bare}
		with := map[bool]string{false: "hashes", true: "versions alone"}[bare]
		rules = append(
			rules,
			rule{
				name: "timestamp of an older version, " + with, repo: o, seen: seen,
				broken: func(w *world) {
					w.SetVersion("timestamp", 2)
					w.PublishTimestamp()
				},
				kind: trust.ErrRollback, want: trust.VerificationError{Role: "timestamp", Version: 2, Want: 3},
				heal: func(w *world) { w.SetVersion("timestamp", 4) },
			},
			rule{
				name: "snapshot of an older version, named by a new timestamp, " + with, repo: o, seen: seen,
				broken: func(w *world) {
					w.SetVersion("snapshot", 2)
					w.Publish()
				},
				kind: trust.ErrRollback, want: trust.VerificationError{Role: "snapshot", Version: 2, Want: 3},
			},
			rule{
				name: "targets of an older version, named by a new snapshot, " + with, repo: o, seen: seen,
				broken: func(w *world) {
					w.SetVersion("targets", 1)
					w.Publish()
				},
				kind: trust.ErrRollback, want: trust.VerificationError{Role: "targets", Version: 1, Want: 3},
				accepted: []string{"timestamp"},
			},
			rule{
				name: "delegated role of an older version, named by a new snapshot, " + with, repo: o, seen: seen, ask: "team/file",
				broken: func(w *world) {
					w.SetVersion("team", 1)
					w.Publish()
				},
				kind: trust.ErrRollback, want: trust.VerificationError{Role: "team", Version: 1, Want: 2},
				accepted: []string{"timestamp"},
			},
			rule{
				name: "role that a new snapshot no longer lists, " + with, repo: o, seen: seen, ask: "team/file",
				broken: func(w *world) {
					w.Publish()
					w.Forge("snapshot", func(signed map[string]any) { delete(signed["meta"].(map[string]any), "team.json") })
				},
				kind: trust.ErrRollback, want: trust.VerificationError{Role: "team", Want: 2},
				accepted: []string{"timestamp"},
			},
		)
	}
	holdRules(t, rules)
}

// A snapshot is the one that the timestamp names: an older one under the name that
// it has is not even asked for.
func TestSuiteSnapshotIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
	old := w.Data("snapshot")
	w.publish()
	w.mustRefresh()
	before := w.stateFiles()
	w.edit = func(files map[string][]byte) { files[w.Title("snapshot")] = old }
	w.out()
	asked := w.askedOf(func() { w.mustAnswer("") })
	if fmt.Sprint(asked) != "[2.root.json timestamp.json]" {
		t.Errorf("asked %v", asked)
	}
	w.stored(before, nil, nil)
}

// A publisher recovers from versions that were driven up by replacing the keys of
// timestamp or snapshot (TUF spec 5.3.11).
func TestSuiteFastForwardRecovery(t *testing.T) {
	t.Parallel()
	for i, role := range []string{"timestamp", "snapshot", "targets"} {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(role, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				honest := w.Fork()
				w.SetVersion(role, 99999)
				w.publish()
				w.mustAnswer("")
				before := w.stateFiles()

				timestamp, snapshot := w.Version("timestamp"), w.Version("snapshot")
				w.Repo = honest
				if role != "timestamp" {
					w.SetVersion("timestamp", timestamp+1)
				}
				if role == "targets" {
					w.SetVersion("snapshot", snapshot+1)
				}
				w.publish()
				_, err := w.refresh()
				if e := refused(t, err, trust.ErrRollback); e.Role != role || e.Want != 99999 {
					t.Errorf("before the rotation: %+v", e)
				}
				if role != "targets" {
					w.stored(before, nil, nil)
				}

				w.RotateKey(map[string]string{"timestamp": "timestamp", "snapshot": "snapshot", "targets": "snapshot"}[role])
				w.publish()
				before = w.stateFiles()
				w.mustAnswer("")
				w.stored(before, []string{"root", "timestamp", "snapshot", "targets"}, nil)
			})
		}
	}
}
