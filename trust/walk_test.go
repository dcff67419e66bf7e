package trust_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// mapFetcher serves go-tuf from a map of titles.
type mapFetcher map[string][]byte

func (m mapFetcher) DownloadFile(url string, _ int64, _ time.Duration) ([]byte, error) {
	data, ok := m["metadata/"+strings.TrimPrefix(url, "https://tuf.example/")]
	if !ok {
		return nil, &tuf.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: url}
	}
	return data, nil
}

// goTUF looks a name up with a fresh updater: the length of the entry, -1 if there
// is none, -2 if a role on the way cannot be read or verified.
func goTUF(t testing.TB, root []byte, files map[string][]byte, now time.Time, name string) int64 {
	t.Helper()
	cfg := &config.UpdaterConfig{
		MaxRootRotations: 256, MaxDelegations: trust.MaxVisits - 1, // it visits one more
		RootMaxLength: 1 << 20, TimestampMaxLength: 1 << 20, SnapshotMaxLength: 1 << 20, TargetsMaxLength: 1 << 20,
		Fetcher: mapFetcher(files), LocalTrustedRoot: root, LocalMetadataDir: t.TempDir(),
		RemoteMetadataURL: "https://tuf.example/", DisableLocalCache: true,
	}
	up, err := updater.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	up.UnsafeSetRefTime(now)
	if err := up.Refresh(); err != nil {
		t.Fatal(err)
	}
	info, err := up.GetTargetInfo(name)
	switch {
	case err == nil:
		return info.Length
	case err.Error() == fmt.Sprintf("target %s not found", name):
		return -1
	default:
		return -2
	}
}

func ours(t testing.TB, view *trust.View, name string) int64 {
	t.Helper()
	target, err := view.Lookup(t.Context(), name)
	switch {
	case err == nil:
		return target.Length
	case errors.Is(err, trust.ErrTargetNotFound):
		return -1
	default:
		return -2
	}
}

var hexHash = strings.Repeat("ab", 32)

// randomRepo makes a repository with a random graph of delegations: cycles,
// diamonds, terminating ones, overlapping patterns, hash bins, long chains, and
// some roles that cannot be verified by one or all delegators.
func randomRepo(t testing.TB, rng *rand.Rand) (r *tuftest.Repo, lookups []string) {
	parts := []string{"a", "b", "c", "*", "a*", "?", "[ab]", "\\a", "[", ""}
	letters := []string{"a", "b", "c", "d", "ab"}
	pattern := func() string {
		if rng.IntN(4) == 0 {
			return parts[rng.IntN(len(parts))] + "/" + parts[rng.IntN(len(parts))]
		}
		return parts[rng.IntN(len(parts))]
	}
	name := func() string {
		if rng.IntN(4) == 0 {
			return letters[rng.IntN(len(letters))] + "/" + letters[rng.IntN(len(letters))]
		}
		return letters[rng.IntN(len(letters))]
	}
	r = tuftest.NewRepo(t, tuftest.RepoOptions{})
	roles := []string{"targets"}
	size := 2 + rng.IntN(10)
	if rng.IntN(8) == 0 {
		size = 40
	}
	for i := range size {
		role := fmt.Sprintf("role%d", i)
		parent := roles[rng.IntN(len(roles))]
		if size == 40 && rng.IntN(3) > 0 {
			parent = roles[len(roles)-1]
		}
		r.Delegate(parent, role, []string{pattern(), pattern()}, rng.IntN(5) == 0)
		roles = append(roles, role)
	}
	pairs := map[[2]string]bool{}
	for range rng.IntN(2 * len(roles)) { // diamonds and cycles
		from, to := roles[rng.IntN(len(roles))], roles[1+rng.IntN(len(roles)-1)]
		if parents := delegationsOf(t, r, from, roles, pairs); !slices.Contains(parents, to) && from != to {
			pairs[[2]string{from, to}] = true
			r.Delegate(from, to, []string{pattern(), "*"}, rng.IntN(5) == 0)
		}
	}
	length := int64(1)
	for _, role := range roles {
		for range rng.IntN(4) {
			r.AddEntry(role, name(), length, hexHash, nil)
			length++
		}
	}
	if rng.IntN(3) == 0 {
		r.DelegateBins(roles[rng.IntN(len(roles))], "images", 4)
		for i := range 6 {
			r.AddEntry("images", fmt.Sprintf("images/app%d:v1", i), length, hexHash, nil)
			length++
			lookups = append(lookups, fmt.Sprintf("images/app%d:v1", i))
		}
	}
	if rng.IntN(2) == 0 {
		r.SetExpiry(roles[1+rng.IntN(len(roles)-1)], tuftest.Epoch.Add(time.Minute))
	}
	r.Publish()
	if rng.IntN(3) == 0 { // one delegator asks for more signatures than there are
		from := roles[rng.IntN(len(roles))]
		r.Forge(from, func(signed map[string]any) {
			if d, ok := signed["delegations"].(map[string]any); ok {
				if all, ok := d["roles"].([]any); ok && len(all) > 0 {
					all[rng.IntN(len(all))].(map[string]any)["threshold"] = 2
				}
			}
		})
	}
	for range 30 {
		lookups = append(lookups, name())
	}
	return r, lookups
}

// delegationsOf keeps one role from delegating twice to another, which is refused.
func delegationsOf(t testing.TB, r *tuftest.Repo, from string, roles []string, pairs map[[2]string]bool) []string {
	t.Helper()
	r.Publish()
	var to []string
	for _, role := range roles {
		if pairs[[2]string{from, role}] || strings.Contains(string(r.Data(from)), fmt.Sprintf(`"name":%q`, role)) {
			to = append(to, role)
		}
	}
	return to
}

// walkedGraphs is how many random graphs of delegations are walked as go-tuf does.
var walkedGraphs = tuftest.Scale(6, 24, 40)

func TestWalkLikeGoTUF(t *testing.T) {
	t.Parallel()
	found, missed, failed := 0, 0, 0
	for seed := range uint64(walkedGraphs) {
		rng := rand.New(rand.NewPCG(seed, 1))
		repo, lookups := randomRepo(t, rng)
		w := newWorld(t, tuftest.RepoOptions{})
		w.Repo = repo
		w.out()
		view := w.mustRefresh(func(o *trust.Options) { o.StateDir = "" })
		slices.Sort(lookups)
		for _, name := range slices.Compact(lookups) {
			got, want := ours(t, view, name), goTUF(t, w.RootBytes(), w.Files(), w.now, name)
			if got != want {
				t.Errorf("seed %d, %q: %d, go-tuf: %d", seed, name, got, want)
			}
			switch want {
			case -1:
				missed++
			case -2:
				failed++
			default:
				found++
			}
		}
		listed(t, view, lookups)
	}
	if found < 2*walkedGraphs || missed < 2*walkedGraphs || failed < walkedGraphs/2 {
		t.Errorf("the graphs say too little: %d found, %d not found, %d failed", found, missed, failed)
	}
}

// listed holds List to Lookup: the same names, with the same answers.
func listed(t testing.TB, view *trust.View, lookups []string) {
	t.Helper()
	targets, _ := view.List(t.Context())
	byName := map[string]trust.Target{}
	for _, target := range targets {
		if _, ok := byName[target.Path]; ok {
			t.Errorf("%q is listed twice", target.Path)
		}
		byName[target.Path] = target
		lookups = append(lookups, target.Path)
	}
	for _, name := range lookups {
		target, err := view.Lookup(t.Context(), name)
		entry, ok := byName[name]
		if ok != (err == nil) || ok && (entry.Role != target.Role || entry.Length != target.Length) {
			t.Errorf("%q: listed %v, lookup %v", name, ok, err)
		}
	}
}

// A role that was verified for one delegator has to be signed for another one too.
func TestEachDelegatorVerifies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "a", []string{"a/*"}, false)
	w.Delegate("targets", "b", []string{"b/*"}, false)
	w.Delegate("a", "shared", []string{"*/*"}, false)
	w.Delegate("b", "shared", []string{"*/*"}, false)
	w.AddTargetTo("shared", "a/x", []byte("x"))
	w.AddTargetTo("shared", "b/x", []byte("x"))
	w.publish()
	w.Forge("b", func(signed map[string]any) {
		signed["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)["threshold"] = 2
	})
	w.out()
	for _, edit := range []func(*trust.Options){func(*trust.Options) {}, func(o *trust.Options) { o.StateDir = "" }} {
		view := w.mustRefresh(edit)
		for range 2 {
			if err := lookup(t, view, "a/x"); err != nil {
				t.Errorf("by a: %v", err)
			}
			if e := refused(t, lookup(t, view, "b/x"), trust.ErrThreshold); e.Role != "shared" || e.By != "b" || e.Need != 2 {
				t.Errorf("evidence %+v", e)
			}
		}
		targets, err := view.List(t.Context())
		if len(targets) != 1 || targets[0].Path != "a/x" || err != nil {
			t.Errorf("listed %v, %v", targets, err)
		}
	}
}

func TestAtMost32Visits(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{trust.MaxVisits - 1, trust.MaxVisits} {
		w := newWorld(t, tuftest.RepoOptions{})
		parent := "targets"
		for i := range depth {
			role := fmt.Sprintf("r%02d", i)
			w.Delegate(parent, role, []string{"*"}, false)
			parent = role
		}
		w.AddTargetTo(parent, "file", []byte("x"))
		w.pack.NoInline = true
		w.publish()
		view := w.mustRefresh()
		w.at.reset()
		err := lookup(t, view, "file")
		if depth == trust.MaxVisits {
			e := refused(t, err, trust.ErrTargetNotFound)
			if !strings.Contains(e.Error(), "32 roles") {
				t.Errorf("error %v", e)
			}
		} else if err != nil {
			t.Error(err)
		}
		if n := w.at.requests(); n != trust.MaxVisits-1 {
			t.Errorf("%d requests, want %d", n, trust.MaxVisits-1)
		}
	}
}

func TestCycles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "a", []string{"*"}, false)
	w.Delegate("a", "b", []string{"*"}, false)
	w.Delegate("b", "a", []string{"*"}, false)
	w.Delegate("b", "b", []string{"*"}, false)
	w.AddTargetTo("b", "file", []byte("x"))
	w.publish()
	view := w.mustRefresh()
	if err := lookup(t, view, "file"); err != nil {
		t.Error(err)
	}
	refused(t, lookup(t, view, "other"), trust.ErrTargetNotFound)
	if targets, err := view.List(t.Context()); len(targets) != 1 || err != nil {
		t.Errorf("listed %v, %v", targets, err)
	}
}

func TestHashBins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.DelegateBins("targets", "images", 16)
	for i := range 40 {
		w.AddEntry("images", fmt.Sprintf("images/shop/app:%d", i), 100, hexHash, nil)
	}
	w.pack.NoInline = true
	w.publish()
	view := w.mustRefresh()
	w.at.reset()
	target, err := view.Lookup(t.Context(), "images/shop/app:7")
	if err != nil || !strings.HasPrefix(target.Role, "images-") {
		t.Fatalf("%+v, %v", target, err)
	}
	if n := w.at.requests(); n != 2 {
		t.Errorf("%d requests, want 2: images and one bin", n)
	}
	_, _, err = view.Get(t.Context(), "images/shop/app:7")
	refused(t, err, trust.ErrImageTarget)
	targets, err := view.List(t.Context())
	if len(targets) != 40 || err != nil {
		t.Errorf("%d targets, %v", len(targets), err)
	}
	if n := w.at.requests(); n > 17 {
		t.Errorf("%d requests for 17 roles", n)
	}
}

func TestKeyOfTheBinsSignsNoOtherRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.DelegateBins("targets", "images", 2)
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/x", []byte("x"))
	w.publish()
	w.SignAs("team", w.Keys("images-0")...)
	w.out()
	refused(t, lookup(t, w.mustRefresh(), "team/x"), trust.ErrThreshold)
}

func TestOddRoleNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	odd := []string{"a/b", "../c", "?", "#", "ä ö", "..", "registry.npmjs.org", strings.Repeat("x", 300)}
	for i, role := range odd {
		w.Delegate("targets", role, []string{fmt.Sprintf("d%d/*", i)}, false)
		w.AddTargetTo(role, fmt.Sprintf("d%d/file", i), []byte("x"))
	}
	w.pack.NoInline = true // the longest does not fit into a tar header
	w.publish()
	for range 2 {
		view := w.mustRefresh()
		for i, role := range odd {
			if target, err := view.Lookup(t.Context(), fmt.Sprintf("d%d/file", i)); err != nil || target.Role != role {
				t.Errorf("role %q: %v", role, err)
			}
		}
	}
	loaded, err := w.client().Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, role := range odd {
		if err := lookup(t, loaded, fmt.Sprintf("d%d/file", i)); err != nil {
			t.Errorf("stored role %q: %v", role, err)
		}
	}
}

func TestRoleMissingFromSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTarget("file", []byte("x"))
	w.publish()
	w.Forge("snapshot", func(signed map[string]any) { delete(signed["meta"].(map[string]any), "team.json") })
	w.out()
	view := w.mustRefresh()
	if e := refused(t, lookup(t, view, "team/x"), trust.ErrMismatch); e.Role != "team" {
		t.Errorf("evidence %+v", e)
	}
	targets, err := view.List(t.Context())
	if len(targets) != 1 || !errors.Is(err, trust.ErrMismatch) {
		t.Errorf("listed %v, %v", targets, err)
	}
}

func TestOneViewForManyGoroutines(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	for i := range 8 {
		w.Delegate("targets", fmt.Sprintf("role%d", i), []string{fmt.Sprintf("d%d/*", i)}, false)
		w.AddTargetTo(fmt.Sprintf("role%d", i), fmt.Sprintf("d%d/file", i), []byte{byte(i)})
	}
	w.pack.NoInline = true
	w.publish()
	view := w.mustRefresh()
	w.at.reset()
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			if _, _, err := view.Get(t.Context(), fmt.Sprintf("d%d/file", i%8)); err != nil {
				t.Error(err)
			}
			if i%16 == 0 {
				if _, err := view.List(t.Context()); err != nil {
					t.Error(err)
				}
			}
			view.Status()
		})
	}
	group.Wait()
	w.at.mu.Lock()
	defer w.at.mu.Unlock()
	times := map[string]int{}
	for _, d := range w.at.blobs {
		times[d.String()]++
	}
	if len(times) != 16 || slices.Max(slices.Collect(maps.Values(times))) != 1 {
		t.Errorf("requests by file: %v", times)
	}
}

func TestCancelledLookup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.pack.NoInline = true
	w.publish()
	view := w.mustRefresh()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := view.Lookup(ctx, "team/file"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := lookup(t, view, "team/file"); err != nil {
		t.Errorf("after a cancelled one: %v", err)
	}
}
