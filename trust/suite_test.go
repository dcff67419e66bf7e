package trust_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// The tests of the files suite_*_test.go hold the client to each rule that the
// public conformance suite tests, in every kind of source; docs/conformance.md has
// the list.

// rule is one rule of the workflow of TUF, and a source that breaks it.
type rule struct {
	name string
	repo tuftest.RepoOptions
	// seen changes what the client has seen, nil for nothing. fresh: it has seen nothing.
	seen  func(w *world)
	fresh bool
	// broken publishes what breaks the rule; all that it changes is put out.
	broken func(w *world)
	// ask is a name that is looked up after the refresh, "" for none.
	ask string

	// kind and what of want is not zero is the refusal.
	kind error
	want trust.VerificationError
	// inside: it is refused for what is signed, wherever that came from.
	inside bool
	// accepted are the roles that had verified before, which are stored as served;
	// forgotten are those that a new root revoked before. The others are as they were.
	accepted, forgotten []string
	// heal, if not nil, makes what is right again; it is then published. Otherwise
	// that goes on from what was seen, at versions above what was put out, or from the
	// new root if that was accepted.
	heal func(w *world)
}

// suiteKinds are the kinds of source that an entry of a table is tried in: all, or
// else one in turn, if not always others. Under the race detector that is done for some
// entries.
func suiteKinds(entry int, always ...tuftest.Kind) []tuftest.Kind {
	if entry%suiteStride != 0 {
		return nil
	}
	if len(always) == 0 {
		always = tuftest.Kinds[entry%len(tuftest.Kinds):][:1]
	}
	return tuftest.Scale(always, always, tuftest.Kinds)
}

var suiteStride = tuftest.Scale(17, 1, 1)

// holdRules tries each rule: what breaks it is refused with the evidence, the state
// has what verified and no more, and the next honest refresh recovers.
func holdRules(t *testing.T, rules []rule) {
	t.Helper()
	for i, r := range rules {
		for _, kind := range suiteKinds(i) {
			t.Run(fmt.Sprint(r.name, " in ", kind), func(t *testing.T) {
				t.Parallel()
				r.hold(t, kind)
			})
		}
	}
}

func (r rule) hold(t *testing.T, kind tuftest.Kind) {
	t.Helper()
	w := newWorldIn(t, kind, r.repo)
	if r.seen != nil {
		r.seen(w)
		w.publish()
	}
	if !r.fresh {
		w.mustAnswer(r.ask)
	}
	before, honest := w.stateFiles(), w.Fork()
	r.broken(w)
	w.out()
	view, err := w.refresh()
	if err == nil && r.ask != "" {
		err = lookup(t, view, r.ask)
	}
	e := refused(t, err, r.kind)
	r.evident(t, e)
	if r.kind != trust.ErrExpired && !r.inside && e.Source != w.source().String() {
		t.Errorf("from %q, want %q", e.Source, w.source())
	}
	w.stored(before, r.accepted, r.forgotten)

	w.edit = nil
	switch {
	case r.heal != nil:
		r.heal(w)
	case slices.Contains(r.accepted, "root"):
		w.Touch(slices.DeleteFunc(w.Roles(), func(role string) bool { return role == "root" })...)
	default:
		w.goOnFrom(honest)
	}
	w.publish()
	w.mustAnswer(r.ask)
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		if w.stateFiles()[role+".json"] != string(w.Data(role)) {
			t.Errorf("after the honest refresh the stored %s is another one", role)
		}
	}
}

// evident compares the evidence of a refusal.
func (r rule) evident(t *testing.T, e *trust.VerificationError) {
	t.Helper()
	want := r.want
	if e.Role != want.Role || want.Version != 0 && e.Version != want.Version || e.Want != want.Want ||
		e.Got != want.Got || e.Need != want.Need || want.By != "" && e.By != want.By || e.Error() == "" {
		t.Errorf("evidence %+v, want %+v", *e, want)
	}
}

// goOnFrom makes an earlier state of the repository the published one again, at
// versions above all that was out.
func (w *world) goOnFrom(honest *tuftest.Repo) {
	for _, role := range honest.Roles() {
		if role != "root" {
			honest.SetVersion(role, max(w.Version(role), honest.Version(role))+1)
		}
	}
	w.Repo = honest
}

// mustAnswer refreshes, and looks a name up if there is one.
func (w *world) mustAnswer(name string) *trust.View {
	w.t.Helper()
	view := w.mustRefresh()
	if got := versions(view); got != w.published() {
		w.t.Errorf("refreshed to %s, want %s", got, w.published())
	}
	if name != "" {
		if err := lookup(w.t, view, name); err != nil {
			w.t.Error(err)
		}
	}
	return view
}

// versions are those of the top-level roles of a view.
func versions(view *trust.View) string {
	s := view.Status()
	return fmt.Sprint("root ", s.Root.Version, " timestamp ", s.Timestamp.Version, " snapshot ", s.Snapshot.Version, " targets ", s.Targets.Version)
}

// published are the versions that are out.
func (w *world) published() string {
	return fmt.Sprint("root ", w.Version("root"), " timestamp ", w.Version("timestamp"), " snapshot ", w.Version("snapshot"), " targets ", w.Version("targets"))
}

// stored compares the state on disk with what was there before: roles that were
// accepted are there as they are published, those that were forgotten, and not
// accepted again, are gone, the others are unchanged.
func (w *world) stored(before map[string]string, accepted, forgotten []string) {
	w.t.Helper()
	want := maps.Clone(before)
	for _, role := range forgotten {
		delete(want, role+".json")
	}
	for _, role := range accepted {
		switch {
		case role == "root":
			for i, root := range w.Roots() {
				want[fmt.Sprintf("roots/%d.root.json", i+1)] = string(root)
			}
		case isTop(role):
			want[role+".json"] = string(w.Data(role))
		default:
			want["roles/"+trust.RoleFileName(role)] = string(w.Data(role))
		}
	}
	got := w.stateFiles()
	// The pin is kept with whatever is stored first.
	if pin := string(w.RootBytes()); got["roots/1.root.json"] == pin {
		want["roots/1.root.json"] = pin
	}
	for _, files := range []map[string]string{got, want} {
		delete(files, "source.json")
		delete(files, "bundle.json")
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != want[name] {
			w.t.Errorf("stored: %s is not what the rule says", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		w.t.Errorf("not stored: %v", slices.Sorted(maps.Keys(want)))
	}
}

func isTop(role string) bool {
	return slices.Contains([]string{"root", "timestamp", "snapshot", "targets"}, role)
}

// askedOf are the files that fn asks of a place over http, below its root and in
// order; of a registry the requests.
func (w *world) askedOf(fn func()) []string {
	w.t.Helper()
	before := len(w.place.Asked())
	fn()
	var files []string
	for _, name := range w.place.Asked()[before:] {
		files = append(files, strings.TrimPrefix(strings.TrimPrefix(name, "/"), "metadata/"))
	}
	return files
}
