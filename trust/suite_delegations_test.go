package trust_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// delegates is one delegation of a graph: "A>B" by any path, "A>B *.py" by that one,
// "A>>B" terminating. T is targets.
func (w *world) delegates(graph string) {
	w.t.Helper()
	for delegation := range strings.SplitSeq(graph, ", ") {
		edge, pattern, ok := strings.Cut(delegation, " ")
		patterns := []string{"*"}
		if ok {
			patterns = strings.Split(pattern, "|")
		}
		from, to, terminating := strings.Cut(edge, ">>")
		if !terminating {
			from, to, _ = strings.Cut(edge, ">")
		}
		if from == "T" {
			from = "targets"
		}
		w.Delegate(from, to, patterns, terminating)
	}
}

// A name is looked for in pre-order, depth first, in the order in which roles are
// delegated to; a terminating delegation ends it behind its role, a role is visited
// once, and only by a path that matches (TUF spec 5.6.7).
func TestSuiteTraversal(t *testing.T) {
	t.Parallel()
	for i, tt := range []struct{ name, graph, visited string }{
		{"one role", "T>A", "A"},
		{"two roles", "T>A, T>B", "A B"},
		{"two levels", "T>A, T>B, B>C", "A B C"},
		{"depth first", "T>A, T>B, A>C, A>D", "A C D B"},
		{"three levels", "T>A, T>B, A>C, C>D", "A C D B"},
		{"a terminating delegation ends it", "T>A, T>B, A>>C, A>D", "A C"},
		{"a terminating delegation leads further down", "T>A, T>B, A>>C, C>D", "A C D"},
		{"a path that does not match", "T>A *.py, T>B, A>C", "B"},
		{"a path that does not match further down", "T>A, T>B, A>C *.py, C>D", "A B"},
		{"a cycle", "T>A, T>B, B>C, C>D, D>B", "A B C D"},
		{"two delegators", "T>A, T>B, B>C, A>C", "A C B"},
		{"two delegators by different paths", "T>A, T>B, B>C, A>C *.py", "A B C"},
	} {
		// Requests tell the order, so each has to be asked for over http.
		for _, kind := range suiteKinds(i, tuftest.OverHTTP) {
			t.Run(fmt.Sprint(tt.name, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				w.delegates(tt.graph)
				w.publish()
				view := w.mustRefresh()
				asked := w.askedOf(func() { refused(t, lookup(t, view, "missing"), trust.ErrTargetNotFound) })
				if want := "1." + strings.ReplaceAll(tt.visited, " ", ".json 1.") + ".json"; kind == tuftest.OverHTTP && strings.Join(asked, " ") != want {
					t.Errorf("asked %v, want %s", asked, want)
				}
				want := map[string]string{}
				for role := range strings.FieldsSeq(tt.visited) {
					want["roles/"+role+".json"] = string(w.Data(role))
				}
				for name, data := range w.stateFiles() {
					if strings.HasPrefix(name, "roles/") && want[name] != data {
						t.Errorf("%s is stored and was not visited", name)
					}
					delete(want, name)
				}
				if len(want) > 0 {
					t.Errorf("visited and not stored: %v", sorted(want))
				}
			})
		}
	}
}

// A name is found in the roles that it is delegated to all the way, by patterns whose
// star stops at a slash.
func TestSuiteSearch(t *testing.T) {
	t.Parallel()
	graph := "T>A *.doc|*.md, T>B releases/*/*, B>C releases/x/*, B>D releases/y/*.zip, T>E a?c/[de], T>>F last/*"
	lists := map[string]string{
		"file": "targets", "README.md": "A", "releases/x/x_v1": "C", "releases/y/y_v1.zip": "D", "releases/z/z_v1.zip": "D",
		"a/README.md": "A", "abc/d": "E", "abc/f": "E", "last/file": "G",
	}
	for i, tt := range []struct{ name, answer, asked string }{
		{"file", "targets", ""},
		{"README.md", "A", "A"},
		{"releases/x/x_v1", "C", "B C"},
		{"releases/y/y_v1.zip", "D", "B D"},
		{"releases/z/z_v1.zip", "", "B"},
		{"a/README.md", "", ""},
		{"abc/d", "E", "E"},
		{"abc/f", "", ""},
		{"last/file", "", "F"},
	} {
		for _, kind := range suiteKinds(i, tuftest.OverHTTP) {
			t.Run(fmt.Sprint(tt.name, " in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				w.delegates(graph + ", T>G last/*")
				for name, role := range lists {
					w.AddTargetTo(role, name, []byte(name))
				}
				w.publish()
				view := w.mustRefresh()
				asked := w.askedOf(func() {
					target, err := view.Lookup(t.Context(), tt.name)
					if tt.answer == "" {
						refused(t, err, trust.ErrTargetNotFound)
					} else if err != nil || target.Role != tt.answer {
						t.Errorf("%+v, %v", target, err)
					}
				})
				var want []string
				for role := range strings.FieldsSeq(tt.asked) {
					want = append(want, "1."+role+".json")
				}
				if kind == tuftest.OverHTTP && fmt.Sprint(asked) != fmt.Sprint(want) {
					t.Errorf("asked %v, want %v", asked, want)
				}
				if tt.answer != "" {
					w.wantFile(tt.name, tt.name)
				}
			})
		}
	}
}

// Where two roles delegate to one, each has to stand behind it: that it was verified
// for one says nothing about the other.
func TestSuiteDiamond(t *testing.T) {
	t.Parallel()
	for i, first := range []string{"a/x", "b/x"} {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(first, " first in ", kind), func(t *testing.T) {
				t.Parallel()
				w := newWorldIn(t, kind, tuftest.RepoOptions{})
				w.delegates("T>A a/*, T>B b/*, A>C */*, B>C */*")
				w.AddTargetTo("C", "a/x", []byte("x"))
				w.AddTargetTo("C", "b/x", []byte("x"))
				w.Publish()
				w.Forge("B", func(signed map[string]any) {
					d := signed["delegations"].(map[string]any)
					key := tuftest.NewKey(t, tuftest.Ed25519)
					d["keys"] = map[string]any{key.ID: key.Public}
					d["roles"].([]any)[0].(map[string]any)["keyids"] = []any{key.ID}
				})
				w.out()
				view := w.mustRefresh()
				for _, name := range []string{first, "a/x", "b/x", first} {
					err := lookup(t, view, name)
					if name == "a/x" {
						if err != nil {
							t.Error(err)
						}
						continue
					}
					if e := refused(t, err, trust.ErrThreshold); e.Role != "C" || e.By != "B" {
						t.Errorf("evidence %+v", e)
					}
				}
				w.Touch("B")
				w.publish()
				w.mustAnswer("b/x")
			})
		}
	}
}

// A role that is delegated to and that the snapshot does not list is an error, not
// "not found": it might have answered.
func TestSuiteRoleIsNotInTheSnapshot(t *testing.T) {
	t.Parallel()
	holdRules(t, []rule{{
		name: "delegated role that the snapshot does not list", fresh: true, ask: "team/file",
		broken: func(w *world) {
			withTeam(w)
			w.Publish()
			w.Forge("snapshot", func(signed map[string]any) { delete(signed["meta"].(map[string]any), "team.json") })
		},
		kind: trust.ErrMismatch, want: trust.VerificationError{Role: "team"}, inside: true,
		accepted: []string{"timestamp", "snapshot", "targets"},
		heal:     func(w *world) { w.Touch("targets") },
	}})
}
