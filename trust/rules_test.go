package trust_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Rules of the client that the attacks and the tables of the suite do not reach; the
// list of all is in docs/security.md.

// What was valid years ago is, at that time.
func TestTimeOfARefreshIsGiven(t *testing.T) {
	t.Parallel()
	past := time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, tuftest.RepoOptions{Now: past})
	w.now = past.Add(time.Hour)
	w.mustRefresh()
}

// A root with other keys for targets takes the file away that was parsed before, as it
// takes any other.
func TestParsedTargetsIsJudgedByTheNewRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	client := w.client()
	for range 2 {
		if _, err := client.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.publish()
	}
	w.Touch("root")
	w.Publish()
	w.Forge("root", func(signed map[string]any) {
		roleOf(signed, "targets")["keyids"] = roleOf(signed, "snapshot")["keyids"]
	})
	w.out()
	_, err := client.Refresh(t.Context())
	if e := refused(t, err, trust.ErrThreshold); e.Role != "targets" {
		t.Errorf("evidence %+v", e)
	}
}

// Max-stale is for timestamp and snapshot: root and targets that have expired are
// refused, and targets is not stored.
func TestExpiredTargetsAreNotStoredUnderMaxStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.SetExpiry("targets", w.now.Add(-time.Minute))
	w.publish()
	before := w.stateFiles()
	_, err := w.refresh(func(o *trust.Options) { o.MaxStale = time.Hour })
	if e := refused(t, err, trust.ErrExpired); e.Role != "targets" {
		t.Errorf("evidence %+v", e)
	}
	w.stored(before, []string{"root", "timestamp", "snapshot"}, nil)
}

// A length that signed metadata states is no reason to read more than the limit of
// the role, and no more than that length is read.
func TestStatedLengthsAreHeldToTheLimit(t *testing.T) {
	t.Parallel()
	stated := func(w *world) trust.Limits { return trust.Limits{} }
	tests := map[string]struct {
		limits func(w *world) trust.Limits
		longer string // role whose file is longer than is stated
		ask    string
	}{
		"snapshot":                                 {func(w *world) trust.Limits { return trust.Limits{Snapshot: int64(len(w.Data("snapshot")) - 1)} }, "", ""},
		"targets":                                  {func(w *world) trust.Limits { return trust.Limits{Targets: int64(len(w.Data("targets")) - 1)} }, "", ""},
		"a delegated role":                         {func(w *world) trust.Limits { return trust.Limits{Targets: int64(len(w.Data("large")) - 1)} }, "", "large/file"},
		"a snapshot longer than is stated":         {stated, "snapshot", ""},
		"targets longer than is stated":            {stated, "targets", ""},
		"a delegated role longer than is stated":   {stated, "large", "large/file"},
		"a target file that is longer than stated": {stated, "file", "file"},
	}
	for name, tt := range tests {
		w := newWorldIn(t, tuftest.InDir, tuftest.RepoOptions{})
		w.Delegate("targets", "large", []string{"large/*"}, false)
		w.AddEntry("large", "large/file", 1, hexHash, strings.Repeat("x", 2000))
		w.AddTarget("file", []byte("x"))
		w.edit = func(files map[string][]byte) {
			for title := range files {
				if tt.longer == "file" && strings.HasPrefix(title, "targets/") || tt.longer != "file" && tt.longer != "" && title == w.Title(tt.longer) {
					files[title] = append(bytes.Clone(files[title]), ' ')
				}
			}
		}
		w.publish()
		view, err := w.refresh(func(o *trust.Options) { o.Limits = tt.limits(w) })
		switch {
		case err == nil && tt.ask == "file":
			_, _, err = view.Get(t.Context(), "file")
		case err == nil && tt.ask != "":
			err = lookup(t, view, tt.ask)
		}
		if !errors.Is(err, fetcher.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// That keys were replaced once says nothing about what was seen since. Neither does a
// key that a new root lists under another name, or twice. (A timestamp whose key has
// another name does not verify any more, and is not what was seen.)
func TestWhatIsNoNewKeyForgetsNothing(t *testing.T) {
	t.Parallel()
	renamed := func(key *tuftest.Key) *tuftest.Key {
		same := *key
		same.ID = strings.Repeat("1", 64)
		return &same
	}
	for name, change := range map[string]func(w *world, role string){
		"an earlier rotation": func(*world, string) {},
		"another name":        func(w *world, role string) { w.SetKeys(role, []*tuftest.Key{renamed(w.Keys(role)[0])}, 1) },
		"listed twice":        func(w *world, role string) { w.SetKeys(role, append(w.Keys(role), renamed(w.Keys(role)[0])), 1) },
	} {
		for _, role := range []string{"timestamp", "snapshot"} {
			if name == "another name" && role == "timestamp" {
				continue
			}
			w := newWorld(t, tuftest.RepoOptions{})
			w.RotateKey(role)
			w.publish()
			w.mustRefresh()
			old := w.Fork()
			w.publish()
			w.mustRefresh()
			before := w.stateFiles()
			w.Repo = old
			change(w, role)
			w.SetVersion("timestamp", old.Version("timestamp"))
			w.publish()
			_, err := w.refresh()
			if !errors.Is(err, trust.ErrRollback) {
				t.Errorf("%s of %s: %v", name, role, err)
			}
			if w.stateFiles()["timestamp.json"] != before["timestamp.json"] {
				t.Errorf("%s of %s: the stored timestamp has changed", name, role)
			}
		}
	}
}

// Whoever can write to the state directory and holds no key can write a stored root
// in another form: it is read as strictly as a served one.
func TestStoredRootsAreReadStrictly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.RotateKey("root")
	w.publish()
	w.mustRefresh()
	w.writeState("roots/2.root.json", bytes.Replace(w.Roots()[1], []byte(`"signed":`), []byte(`"signed":{},"signed":`), 1))
	_, err := w.refresh()
	refused(t, err, trust.ErrWrongRoot)
}

// Nothing is written where expired metadata is allowed: not what was accepted, not
// that it was, not the roles that were read.
func TestAllowExpiredWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	withTeam(w)
	w.AddTarget("revocations.json", revoke(t, 1))
	w.publish()
	w.mustRefresh()
	before := w.stateFiles()
	allow := func(o *trust.Options) { o.AllowExpired = true }
	for range 2 {
		w.now = w.now.Add(time.Hour)
		view := w.mustRefresh(allow)
		if err := lookup(t, view, "team/file"); err != nil {
			t.Error(err)
		}
		if _, err := view.Revocations(t.Context()); err != nil {
			t.Error(err)
		}
		if !maps.Equal(before, w.stateFiles()) {
			t.Errorf("written: %v, before %v", sorted(w.stateFiles()), sorted(before))
		}
		w.publish()
	}
}

// The slack of five minutes is behind the latest success there was, not behind the
// last one, which could creep back.
func TestClockDoesNotCreepBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.now = w.now.Add(-4 * time.Minute)
	w.publish()
	w.mustRefresh()
	w.now = w.now.Add(-4 * time.Minute)
	w.publish()
	_, err := w.refresh()
	refused(t, err, trust.ErrClock)
}

// A refresh that another process has overtaken asks its source once more, and takes
// the state of the other for nothing but an older answer.
func TestOvertakenAsksAgain(t *testing.T) {
	t.Parallel()
	for _, forged := range []bool{false, true} {
		w := newWorld(t, tuftest.RepoOptions{})
		requests := 0
		w.at.before = func() {
			requests++
			next := w.Fork()
			if requests == 1 {
				next.Publish()
				next.Publish()
				_, err := w.clientOf(w.RootBytes(), func(o *trust.Options) { o.Source = dirSource(t, next.Files()) }).Refresh(t.Context())
				if err != nil {
					t.Error(err)
				}
			} else {
				next.SetVersion("timestamp", 7)
				next.SetVersion("snapshot", 7)
				next.Publish()
				if forged {
					next.SignAs("timestamp", tuftest.NewKey(t, tuftest.Ed25519))
				}
				w.put(next.Files())
			}
		}
		view, err := w.refresh()
		if forged {
			refused(t, err, trust.ErrThreshold)
			continue
		}
		if err != nil || view.Status().Timestamp.Version != 7 {
			t.Errorf("%v", err)
		}
	}
}

// A copy in the layout of docker/attest is none: nothing in it says which roots it has.
func TestCopyOfTheOlderLayout(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	_, err := h.from(copyOf(t, without(h.v5, "targets/"), func(o *tuftest.PackOptions) {
		o.NoInline = true
		o.Edit = func(m map[string]any) {
			delete(m, "artifactType")
			delete(m, "annotations")
			for _, layer := range m["layers"].([]any) {
				annotations := layer.(map[string]any)["annotations"].(map[string]any)
				title := fmt.Sprint(annotations["org.opencontainers.image.title"])
				layer.(map[string]any)["annotations"] = map[string]any{"tuf.io/filename": strings.TrimPrefix(title, "metadata/")}
			}
		}
	}))
	if !errors.Is(err, ociremote.ErrForeign) || !strings.Contains(err.Error(), "docker/attest") || !trust.IsAbsent(err) {
		t.Errorf("error %v", err)
	}
}

// A copy that lacks the newest root is older only if that is what it is refused for: a
// timestamp that has expired stays one.
func TestCopyWithoutTheNewestRootThatHasExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Touch("root")
	w.publish()
	w.mustRefresh()
	w.SetExpiry("timestamp", w.now)
	w.PublishTimestamp()
	_, err := w.from(copyOf(t, without(w.Files(), "/2.root.json")))
	if e := refused(t, err, trust.ErrExpired); e.Role != "timestamp" || e.Version != 3 {
		t.Errorf("evidence %+v", e)
	}
}

// Only a role of the name revocations may deny: another one that is delegated the same
// pattern answers nothing, whether there is such a role or not, and is warned of.
func TestOtherRoleMayNotDeny(t *testing.T) {
	t.Parallel()
	for _, beside := range []bool{false, true} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.Delegate("targets", "team", []string{"revocations/*"}, false)
		w.AddTargetTo("team", "revocations/x.json", []byte("evil"))
		if beside {
			w.Delegate("targets", "revocations", []string{"revocations/*"}, false)
		}
		w.publish()
		view := w.mustRefresh()
		refused(t, lookup(t, view, "revocations/x.json"), trust.ErrTargetNotFound)
		if warnings := fmt.Sprint(view.Status().Warnings); !strings.Contains(warnings, `"team" lists the reserved name`) {
			t.Errorf("warnings %s", warnings)
		}
	}
}

// The key of one delegated role does not make a client print all that it lists.
func TestVeryManyReservedNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	for _, role := range []string{"a", "b"} {
		w.Delegate("targets", role, []string{role + "/*"}, false)
		for i := range 80 {
			w.AddEntry(role, fmt.Sprintf("notation/x509/ca/%s/%02d%s.pem", role, i, strings.Repeat("0", 500)), 1, imageSum(i)[7:], nil)
		}
	}
	w.publish()
	view := w.mustRefresh()
	if _, err := view.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	warnings := view.Status().Warnings
	if len(warnings) != 101 || !strings.Contains(warnings[100], "more reserved names") || len(warnings[0]) > 400 {
		t.Errorf("%d warnings, the last %q", len(warnings), warnings[len(warnings)-1])
	}
}

// Each key that a delegator names costs a pass over the whole file, so that their number
// is bounded by its size.
func TestManyKeysOverALargeFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddEntry("team", "team/1", 1, imageSum(1)[7:], map[string]any{"pad": strings.Repeat("x", 1<<18)})
	w.Publish()
	most := 256<<20/len(w.Data("team")) + 1
	w.Forge("targets", func(signed map[string]any) {
		role := signed["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)
		role["keyids"] = slices.Repeat(role["keyids"].([]any), most)
	})
	w.out()
	err := lookup(t, w.mustRefresh(), "team/1")
	over, ok := errors.AsType[*fetcher.LimitError](err)
	if e := refused(t, err, trust.ErrMalformed); !ok || over.Max != 256<<20 || e.Role != "team" || e.By != "targets" {
		t.Errorf("%+v", e)
	}
}

// Nothing more is verified for a lookup that was given up.
func TestLookupThatWasGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.publish()
	view := w.mustRefresh()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	for _, want := range []error{nil, context.Canceled} {
		if _, err := view.Lookup(ctx, "team/file"); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		end()
	}
}

// A role is asked for once in a view, whatever comes of it: refused for what it is,
// refused by its delegator, or not given while a list is made.
func TestRoleIsAskedForOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(w *world)
		use   func(t *testing.T, view *trust.View)
	}{
		"refused": {
			func(w *world) {
				w.edit = func(files map[string][]byte) { files[w.Title("team")] = bytes.Repeat([]byte(" "), len(w.Data("team"))) }
			},
			func(t *testing.T, view *trust.View) {
				for range 2 {
					refused(t, lookup(t, view, "team/file"), trust.ErrMismatch)
				}
			},
		},
		"refused by a delegator": {
			func(w *world) { w.SignAs("team", tuftest.NewKey(t, tuftest.Ed25519)) },
			func(t *testing.T, view *trust.View) {
				for range 2 {
					refused(t, lookup(t, view, "team/file"), trust.ErrThreshold)
				}
			},
		},
		"not given": {
			func(w *world) {
				w.place.Intercept(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
					if strings.HasSuffix(r.URL.Path, "team.json") {
						http.Error(rw, "no", http.StatusForbidden)
						return
					}
					next.ServeHTTP(rw, r)
				})
			},
			func(t *testing.T, view *trust.View) {
				if targets, err := view.List(t.Context()); len(targets) > 0 || err == nil {
					t.Errorf("listed %v, %v", targets, err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldIn(t, tuftest.OverHTTP, tuftest.RepoOptions{})
			withTeam(w)
			w.Delegate("targets", "last", []string{"team/*"}, false)
			for i := range 5 {
				w.AddTargetTo("last", fmt.Sprint("team/", i), []byte("x"))
			}
			w.Publish()
			tt.spoil(w)
			w.out()
			view := w.mustRefresh()
			times := 0
			for _, file := range w.askedOf(func() { tt.use(t, view) }) {
				if file == "1.team.json" {
					times++
				}
			}
			if times != 1 {
				t.Errorf("asked %d times", times)
			}
		})
	}
}

// A stored file of targets that is signed, but is not the one that the stored snapshot
// names, as after a crash between the two, is not used.
func TestStoredTargetsOfAnotherSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	old := w.Data("targets")
	w.AddTarget("file", []byte("x"))
	w.publish()
	w.mustRefresh()
	w.writeState("targets.json", old)
	if _, err := w.client().Load(t.Context()); !errors.Is(err, trust.ErrNoState) {
		t.Errorf("error %v", err)
	}
	if err := lookup(t, w.mustRefresh(), "file"); err != nil {
		t.Error(err)
	}
}

// A file may lie under any one of the hashes that its entry lists; an entry without a
// name has none.
func TestWhereTargetFilesLie(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, tuftest.InDir, tuftest.RepoOptions{})
	w.AddTarget("file", []byte("hello"))
	w.AddEntry("targets", "", 5, hexHash, nil)
	w.Publish()
	long := sha512.Sum512([]byte("hello"))
	w.Forge("targets", func(signed map[string]any) {
		hashes := signed["targets"].(map[string]any)["file"].(map[string]any)["hashes"].(map[string]any)
		hashes["sha512"] = hex.EncodeToString(long[:])
	})
	w.edit = func(files map[string][]byte) {
		maps.DeleteFunc(files, func(title string, _ []byte) bool { return strings.HasPrefix(title, "targets/") })
		files["targets/"+hex.EncodeToString(long[:])+".file"] = []byte("hello")
	}
	w.out()
	w.wantFile("file", "hello")
	_, err := w.get("")
	refused(t, err, trust.ErrMalformed)
}

// A source can have roots without end; they are looked through so far.
func TestFindRootEnds(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, tuftest.InDir, tuftest.RepoOptions{})
	w.edit = func(files map[string][]byte) {
		for version := range int64(1100) {
			files[fmt.Sprintf("metadata/%d.root.json", version+1)] = []byte("x")
		}
		files["metadata/1090.root.json"] = w.RootBytes()
	}
	w.out()
	_, err := trust.FindRoot(t.Context(), w.source(), nil, tuftest.Digest(w.RootBytes()), trust.Limits{})
	refused(t, err, trust.ErrWrongRoot)
}

// That a source lacks the pinned root tells only what bad signatures come of: what went
// back went back.
func TestRollbackOfASourceWithoutThePin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	old := w.Files()
	delete(old, "metadata/1.root.json")
	w.publish()
	w.mustRefresh()
	w.put(old)
	_, err := w.refresh()
	refused(t, err, trust.ErrRollback)
}

// A part of a repository lacks no role that was asked for.
func TestFilesForARoleThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "middle", []string{"a/*"}, false)
	w.Delegate("middle", "deep", []string{"a/*"}, false)
	w.edit = func(files map[string][]byte) { delete(files, "metadata/1.deep.json") }
	w.publish()
	_, err := w.mustRefresh().FilesFor(t.Context(), nil, []string{"deep"})
	if e := refused(t, err, trust.ErrStaleCopy); e.Role != "deep" {
		t.Errorf("evidence %+v", e)
	}
}

// A trust that says nothing about it asks for everything, strictly.
func TestDefaultRequirement(t *testing.T) {
	t.Parallel()
	var e trust.Entry
	if got := fmt.Sprint(e.Required(), e.Level()); got != "[mapping signature]strict" {
		t.Errorf("a trust without a requirement asks for %s", got)
	}
	e.Require, e.MinLevel = []string{trust.RequireMapping}, "audit"
	if got := fmt.Sprint(e.Required(), e.Level()); got != "[mapping]audit" {
		t.Errorf("a trust with a requirement asks for %s", got)
	}
}

// The longest mirror decides in whatever order maps are given.
func TestCanonicalInAnyOrder(t *testing.T) {
	t.Parallel()
	all := mapsOf(t, "reg.local/a=one.io", "reg.local/a/b=two.io", "reg.local=three.io")
	for range all {
		all = append(all[1:], all[0])
		if got := trust.Canonical("reg.local/a/b/c", all); got != "two.io/c" {
			t.Errorf("%v: %s", all, got)
		}
	}
}

// With a fork the bundle of the source is not that of the view.
func TestBundleOfAFork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	if view := w.mustRefresh(); view.Bundle() == nil {
		t.Error("the view has no bundle")
	}
	w.ForgeAlone("timestamp", func(signed map[string]any) { signed["expires"] = "2030-02-01T00:00:00Z" })
	w.out()
	if view := w.mustRefresh(); view.Status().Fork == nil || view.Bundle() != nil {
		t.Errorf("fork %v, bundle %v", view.Status().Fork, view.Bundle())
	}
}

// Whatever happens while foreign bytes are processed is an error.
func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	err := trust.Guard("team", func() error { panic("x") })
	if e := refused(t, err, trust.ErrMalformed); e.Role != "team" {
		t.Errorf("evidence %+v", e)
	}
}

// The same bytes as another role have to be signed for that one too.
func TestSameBytesAsAnotherRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	for _, role := range []string{"a", "b"} {
		w.Delegate("targets", role, []string{role + "/*"}, false)
		w.AddTargetTo("a", role+"/file", []byte("x"))
	}
	w.Publish()
	w.Tamper("b", func([]byte) []byte { return w.Data("a") })
	w.out()
	view := w.mustRefresh()
	if err := lookup(t, view, "a/file"); err != nil {
		t.Error(err)
	}
	if e := refused(t, lookup(t, view, "b/file"), trust.ErrThreshold); e.Role != "b" {
		t.Errorf("evidence %+v", e)
	}
}

// moving is a repository that is replaced each time its snapshot is asked for, which is
// lost with it.
type moving struct {
	*counted
	mu    sync.Mutex
	w     *world
	times int // left
}

func (m *moving) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.times > 0 && desc.Digest.String() == tuftest.Digest(m.w.Data("snapshot")) {
		m.times--
		m.w.publish()
		return nil, errdef.ErrNotFound
	}
	return m.counted.Fetch(ctx, desc)
}

// A refresh that finds its bundle replaced starts again, once.
func TestReplacedUnderARefresh(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 100} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.pack.NoInline = true
		w.publish()
		m := &moving{counted: w.at, w: w, times: times}
		view, err := w.refresh(func(o *trust.Options) { o.Source = trust.RepositorySource(m, channel) })
		if times > 1 {
			if !errors.Is(err, fetcher.ErrMoved) || w.at.requests() > 20 {
				t.Errorf("%d requests, %v", w.at.requests(), err)
			}
			continue
		}
		if err != nil || versions(view) != w.published() {
			t.Errorf("%v, want %s", err, w.published())
		}
	}
}

// The limits of a refresh are those of all that it reads, also where it starts again.
func TestTotalOfARefreshThatStartsAgain(t *testing.T) {
	t.Parallel()
	for _, enough := range []bool{false, true} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.pack.NoInline = true
		w.publish()
		manifest := len(tuftest.Pack(t, w.Files(), w.pack).Manifest)
		// Of each bundle: the manifest, timestamp and snapshot; of the last one targets too.
		each := manifest + len(w.Data("timestamp")) + len(w.Data("snapshot"))
		total := 2*each + len(w.Data("targets"))
		if enough {
			total += 2 * each
		}
		m := &moving{counted: w.at, w: w, times: 1}
		_, err := w.refresh(func(o *trust.Options) {
			o.Source, o.Limits.Total = trust.RepositorySource(m, channel), int64(total)
		})
		over, ok := errors.AsType[*fetcher.LimitError](err)
		if enough && err != nil || !enough && (!ok || over.Limit != "total") {
			t.Errorf("%d bytes: %v", total, err)
		}
	}
}
