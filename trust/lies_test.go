package trust_test

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

var (
	// liesStride of 1: every lie is told, by every kind of source; else a few are, by one
	// kind of source each, in turn. Each costs several refreshes.
	liesStride = tuftest.Scale(211, 29, 1)
	// oddStride is the same for odd values at all positions. Never all of them are tried:
	// TestMalformedMetadataIsRefused shows the same at every position.
	oddStride = tuftest.Scale(1597, 211, 19)
)

// Every lie of [tuftest.States], told by every kind of source to a client that has
// seen what the repository was before, and to one that has seen nothing. What is
// refused, and as what, stands in outcomes; nothing false is answered by either, the
// state takes what was verified and nothing else, and the next honest state is
// accepted.
func TestStates(t *testing.T) {
	t.Parallel()
	expected := outcomes()
	for k, kind := range tuftest.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			l := newListener(t, kind)
			for i, lie := range tuftest.States() {
				o, ok := expected[lie.Name]
				if !ok || !lie.In(kind) || (i+k)%liesStride != 0 {
					continue
				}
				t.Run(lie.Name, func(t *testing.T) {
					lie.Tell(t, l.place, l.repo)
					if o.bundled != nil && slices.Contains(tuftest.BundleKinds, kind) {
						o = *o.bundled
					}
					// What a client without a state makes of it is the same everywhere.
					l.hears(t, o, o.fresh != nil || (i+k)%len(tuftest.Kinds) == 0)
				})
			}
		})
	}
}

// Each lie has an expectation, and there is none for a lie that is not told.
func TestStatesAreExpected(t *testing.T) {
	t.Parallel()
	expected := outcomes()
	for _, lie := range tuftest.States() {
		if _, ok := expected[lie.Name]; !ok {
			t.Errorf("nothing is expected of %s", lie.Name)
		}
		delete(expected, lie.Name)
	}
	for name := range expected {
		t.Errorf("nobody tells %s, or it is told twice", name)
	}
}

// listener is a client with a state, and the place where lies are told to it.
type listener struct {
	repo   *tuftest.Repo
	place  *tuftest.Place
	source trust.Source
	state  string            // directory, only copies of which are used
	before map[string]string // what is in it
	honest map[string][]byte // the next honest files that need no new root
	// recovered: the honest files were accepted on top of what the state was before.
	recovered bool
}

func newListener(t *testing.T, kind tuftest.Kind) *listener {
	t.Helper()
	l := &listener{repo: tuftest.NewStatesRepo(t), place: tuftest.NewPlace(t, kind), state: t.TempDir()}
	l.place.Put(l.repo.Files(), tuftest.PackOptions{})
	var err error
	if l.source, err = fetcher.ParseSource(l.place.Source()); err != nil {
		t.Fatal(err)
	}
	view, err := l.client(t, l.state).Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range answers(t, view) {
		if answer.err != nil && name != oddFile && name != reservedFile || answer.err == nil && answer.says != tuftest.Now {
			t.Fatalf("%s: %q, %v", name, answer.says, answer.err)
		}
	}
	l.before = filesOfState(t, l.state)
	l.honest = goesOn(l.repo.Fork()).Files()
	return l
}

func (l *listener) client(t *testing.T, state string) *trust.Client {
	t.Helper()
	now := func() time.Time { return tuftest.Epoch.Add(time.Hour) }
	c, err := trust.New(l.repo.RootBytes(), trust.Options{Source: l.source, StateDir: state, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hears lets a lie that is told now come to its outcome, also with a client that has
// no state.
func (l *listener) hears(t *testing.T, o outcome, alsoFresh bool) {
	t.Helper()
	state := t.TempDir()
	if err := os.CopyFS(state, os.DirFS(l.state)); err != nil {
		t.Fatal(err)
	}
	// 1. A client that knows better.
	view, err := l.client(t, state).Refresh(t.Context())
	changed := changedFiles(l.before, filesOfState(t, state))
	if !slices.Equal(changed, o.kept) {
		t.Errorf("the state has changed in %v, want %v", changed, o.kept)
	}
	o.check(t, view, err, tuftest.Now, tuftest.Later)
	if err == nil && (view.Status().Fork != nil) != o.fork {
		t.Errorf("fork %+v", view.Status().Fork)
	}
	// 2. Without its source, it has the truth or nothing.
	if err != nil {
		l.remembers(t, state)
	}
	// 3. A client that knows nothing but the pin.
	if alsoFresh {
		fresh := o
		if o.fresh != nil {
			fresh = *o.fresh
		}
		view, err = l.client(t, "").Refresh(t.Context())
		fresh.check(t, view, err, tuftest.Earlier, tuftest.Now, tuftest.Later)
	}
	// 4. The publisher goes on. On top of the same state once is enough.
	if len(changed) > 0 || !l.recovered {
		l.recovers(t, state, o)
		l.recovered = l.recovered || len(changed) == 0
	}
}

// remembers expects that a state says nothing false without its source.
func (l *listener) remembers(t *testing.T, state string) {
	t.Helper()
	stored, err := l.client(t, state).Load(t.Context())
	if err != nil {
		return
	}
	for name, answer := range answers(t, stored) {
		if answer.err == nil && answer.says != tuftest.Now && answer.says != tuftest.Later {
			t.Errorf("stored %s: %q", name, answer.says)
		}
	}
}

// recovers expects that the next honest state is accepted.
func (l *listener) recovers(t *testing.T, state string, o outcome) {
	t.Helper()
	files := l.honest
	third := []byte(filesOfState(t, state)["roots/3.root.json"])
	switch next := l.repo.Next(); {
	case len(third) == 0 && !o.rotate:
	case len(third) == 0:
		files = goesOn(withNewKeys(l.repo.Fork())).Files()
	case string(third) == string(next.Roots()[2]):
		files = goesOn(next.Fork()).Files()
	default: // signed with the root keys: the publisher follows it with a better one
		fork := l.repo.Fork()
		fork.Adopt(third)
		files = goesOn(withNewKeys(fork)).Files()
	}
	l.place.Put(files, tuftest.PackOptions{})
	view, err := l.client(t, state).Refresh(t.Context())
	if err != nil {
		t.Fatalf("the honest state after it: %v", err)
	}
	for name, answer := range answers(t, view) {
		if answer.err != nil && name != oddFile && name != reservedFile || answer.err == nil && answer.says != tuftest.Later {
			t.Errorf("%s of the honest state after it: %q, %v", name, answer.says, answer.err)
		}
	}
}

// goesOn publishes a later state of a repository than any that a lie has shown.
func goesOn(repo *tuftest.Repo) *tuftest.Repo {
	repo.Say(tuftest.Later)
	for _, role := range repo.Roles() {
		if role != "root" {
			repo.SetVersion(role, repo.Version(role)+10)
		}
	}
	repo.Publish()
	return repo
}

// withNewKeys is how a publisher recovers from versions that were driven up.
func withNewKeys(repo *tuftest.Repo) *tuftest.Repo {
	repo.RotateKey("timestamp")
	repo.RotateKey("snapshot")
	return repo
}

const (
	// oddFile is what roles of an attacker list, and reservedFile what they may not.
	oddFile      = "odd/file"
	reservedFile = "notation/trustpolicy.json"
)

var listedNames = []string{tuftest.StatesFile, tuftest.StatesOther, tuftest.StatesTeam, tuftest.StatesImage}

// answer is what a view says of a name: the content of a file, or of what an image
// has the digest of.
type answer struct {
	says string
	err  error
}

func answers(t *testing.T, view *trust.View) map[string]answer {
	t.Helper()
	all := map[string]answer{}
	for _, name := range append([]string{oddFile, reservedFile}, listedNames...) {
		data, target, err := view.Get(t.Context(), name)
		if errors.Is(err, trust.ErrImageTarget) {
			err = nil
			data = []byte("of no known digest")
			for _, said := range []string{tuftest.Earlier, tuftest.Now, tuftest.Later} {
				if "sha256:"+target.Hashes["sha256"] == tuftest.Digest([]byte(said)) {
					data = []byte(said)
				}
			}
		}
		// The other file says it twice.
		all[name] = answer{strings.TrimSuffix(string(data), string(data[len(data)/2:])), err}
		if name != tuftest.StatesOther {
			all[name] = answer{string(data), err}
		}
	}
	return all
}

// check holds a view, or the refusal of one, to an outcome. All that is answered is
// one of what may be said.
func (o *outcome) check(t *testing.T, view *trust.View, err error, said ...string) {
	t.Helper()
	if err != nil {
		if len(o.at) > 0 || o.err == nil {
			t.Errorf("refresh: %v", err)
			return
		}
		o.refused(t, err)
		return
	}
	if o.err != nil && len(o.at) == 0 {
		t.Errorf("the refresh is not refused, want %v of %s", o.err, o.role)
	}
	for name, answer := range answers(t, view) {
		switch {
		case slices.Contains(o.at, name):
			o.refused(t, answer.err)
		case (name == oddFile || name == reservedFile) && (!o.odd || name != oddFile):
			if !errors.Is(answer.err, trust.ErrTargetNotFound) {
				t.Errorf("%s: %q, %v", name, answer.says, answer.err)
			}
		case answer.err != nil || !slices.Contains(said, answer.says):
			t.Errorf("%s: %q, %v", name, answer.says, answer.err)
		}
	}
	if !o.hostile {
		return
	}
	for _, name := range tuftest.HostileNames() {
		if data, _, err := view.Get(t.Context(), name); err == nil {
			t.Errorf("%q: %q", name, data)
		}
	}
}

func (o *outcome) refused(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, o.err) {
		t.Errorf("error %v, want %q", err, o.err)
		return
	}
	v, ok := errors.AsType[*trust.VerificationError](err)
	if o.role != anyRole && (o.role != "" && (!ok || v.Role != o.role) || o.role == "" && ok) {
		t.Errorf("evidence %+v, want role %q", v, o.role)
	}
	if ok && v.Source == "" && v.Kind != trust.ErrExpired && v.Kind != trust.ErrMismatch {
		t.Errorf("evidence without a source: %+v", v)
	}
}

// filesOfState is a state as it lies on disk, without what it says of its source.
func filesOfState(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := (&world{t: t, state: dir}).stateFiles()
	delete(files, "source.json")
	delete(files, "bundle.json")
	return files
}

// changedFiles names what differs, without the roles that lookups have stored.
func changedFiles(before, after map[string]string) []string {
	both := maps.Clone(before)
	maps.Copy(both, after)
	var names []string
	for name := range both {
		if before[name] != after[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Every odd value at every position of every file, signed where that is possible: what
// the pre-check refuses a refresh refuses as well, whatever else reads the file, and
// what it takes ends in the truth or in a refusal with evidence.
func TestStatesWithOddValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	honest := tuftest.NewStatesRepo(t)
	n := 0
	for _, name := range roleLabels {
		role, _ := label(name)
		tuftest.EveryPosition(t, honest.Data(role), func(path []string, _ any, with func(string) []byte) {
			for _, odd := range tuftest.OddValues() {
				if n++; n%oddStride != 0 {
					continue
				}
				w.Repo = honest.Fork()
				w.Forced(role, with(odd.Text))
				w.out()
				malformed := trust.Precheck(role, w.Data(role)) != nil
				view, err := w.refresh(func(o *trust.Options) { o.StateDir = "" })
				errs := []error{err}
				if err == nil {
					for name, answer := range answers(t, view) {
						errs = append(errs, answer.err)
						if answer.err == nil && answer.says != tuftest.Now {
							t.Errorf("%s of %s, %s: %s says %q", strings.Join(path, "."), role, odd.Name, name, answer.says)
						}
					}
				}
				isMalformed := func(err error) bool {
					v, ok := errors.AsType[*trust.VerificationError](err)
					return ok && v.Kind == trust.ErrMalformed && v.Role == role
				}
				if malformed && !slices.ContainsFunc(errs, isMalformed) {
					t.Errorf("%s of %s, %s: %v", strings.Join(path, "."), role, odd.Name, errs)
				}
				for _, err := range errs {
					if _, ok := errors.AsType[*trust.VerificationError](err); err != nil && !ok && !errors.Is(err, fetcher.ErrLimit) {
						t.Errorf("%s of %s, %s: %v", strings.Join(path, "."), role, odd.Name, err)
					}
				}
			}
		})
	}
}
