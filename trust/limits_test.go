package trust_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// Each limit that a repository can reach lets pass what needs just as much, and
// refuses one less with an error that names it.
func TestEachLimit(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	w.AddTarget("file", make([]byte, 3000))
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	for range 3 {
		w.RotateKey("root")
		w.publish()
	}
	bare := newWorld(t, tuftest.RepoOptions{BareMeta: true})
	bare.AddTarget("file", []byte("x"))
	bare.publish()
	size := func(w *world, role string) int64 { return int64(len(w.Data(role))) }
	manifest := int64(len(tuftest.Pack(t, w.Files(), w.pack).Manifest))
	var roots, largest int64
	for _, root := range w.Roots()[1:] {
		roots, largest = roots+int64(len(root)), max(largest, int64(len(root)))
	}
	get := func(ctx context.Context, view *trust.View) error {
		_, _, err := view.Get(ctx, "file")
		return err
	}
	team := func(ctx context.Context, view *trust.View) error {
		_, err := view.Lookup(ctx, "team/file")
		return err
	}
	list := func(ctx context.Context, view *trust.View) error {
		_, err := view.List(ctx)
		return err
	}
	nothing := func(context.Context, *trust.View) error { return nil }
	for name, test := range map[string]struct {
		w    *world
		most int64 // what is needed
		use  func(context.Context, *trust.View) error
	}{
		"root":       {w, largest, nothing},
		"timestamp":  {w, size(w, "timestamp"), nothing},
		"snapshot":   {w, size(w, "snapshot"), nothing},
		"targets":    {w, max(size(w, "targets"), size(w, "team")), team},
		"targetFile": {w, 3000, get},
		"manifest":   {w, manifest, nothing},
		"files":      {w, int64(len(w.Files())), nothing},
		"total":      {w, manifest + roots + size(w, "timestamp") + size(w, "snapshot") + size(w, "targets"), nothing},
		"values":     {w, max(values(t, w.Data("targets")), values(t, w.Roots()[3])), nothing},
		"roots":      {w, 3, nothing},
		"visits":     {w, 2, team},
		"roles":      {w, 2, list},
		"unhashed":   {bare, max(size(bare, "snapshot"), size(bare, "targets")), nothing},
	} {
		for _, limit := range []int64{test.most, test.most - 1} {
			var limits trust.Limits
			if err := limits.Set(name, fmt.Sprint(limit)); err != nil {
				t.Fatal(err)
			}
			view, err := test.w.refresh(func(o *trust.Options) { o.StateDir, o.CacheDir, o.Limits = "", "", limits })
			if err == nil {
				err = test.use(t.Context(), view)
			}
			if limit == test.most {
				if err != nil {
					t.Errorf("%s %d: %v", name, limit, err)
				}
				continue
			}
			over, ok := errors.AsType[*fetcher.LimitError](err)
			if !ok || over.Limit != name || over.Max != limit || over.Size < test.most || !errors.Is(err, fetcher.ErrLimit) {
				t.Errorf("%s %d: %v, want a LimitError of that name", name, limit, err)
			}
			if text := fmt.Sprintf("the limit %s is %d", name, limit); !strings.Contains(fmt.Sprint(err), text) {
				t.Errorf("%v: want %q", err, text)
			}
		}
	}
}

// A delegated role is held to the limit values like a top-level one.
func TestValuesOfDelegatedRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	for n := range 30 {
		w.AddTargetTo("team", fmt.Sprintf("team/%d", n), []byte("x"))
	}
	w.publish()
	most := values(t, w.Data("team"))
	for limit, fits := range map[int64]bool{most: true, most - 1: false} {
		err := lookup(t, w.mustRefresh(func(o *trust.Options) { o.StateDir, o.Limits.Values = "", limit }), "team/1")
		over, ok := errors.AsType[*fetcher.LimitError](err)
		if fits && err != nil || !fits && (!ok || over.Limit != "values") {
			t.Errorf("limit %d of %d: %v", limit, most, err)
		}
	}
}

// A target file is held to its limit wherever it is: a cached one is no smaller.
func TestTargetFileLimitOfCached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.AddTarget("file", make([]byte, 3000))
	w.publish()
	if _, _, err := w.mustRefresh().Get(t.Context(), "file"); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.mustRefresh(func(o *trust.Options) { o.Limits.TargetFile = 2999 }).Get(t.Context(), "file")
	if over, ok := errors.AsType[*fetcher.LimitError](err); !ok || over.Limit != "targetFile" {
		t.Errorf("%v", err)
	}
}

// values counts the JSON values of a text.
func values(t *testing.T, data []byte) int64 {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var count func(v any) int64
	count = func(v any) int64 {
		n := int64(1)
		switch v := v.(type) {
		case map[string]any:
			for _, member := range v {
				n += count(member)
			}
		case []any:
			for _, element := range v {
				n += count(element)
			}
		}
		return n
	}
	return count(v)
}

// A role file of which nothing states both hash and length is held to the limit
// unhashed; one of which both are stated is not, and neither is one of less than its
// own limit.
func TestUnhashedLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.publish()
	small := func(o *trust.Options) { o.StateDir, o.Limits.Unhashed = "", 100 }
	if err := lookup(t, w.mustRefresh(small), "team/file"); err != nil {
		t.Errorf("with both: %v", err)
	}
	for role, in := range map[string]string{"snapshot": "timestamp", "targets": "snapshot", "team": "snapshot"} {
		for _, without := range []string{"hashes", "length"} {
			other := newWorld(t, tuftest.RepoOptions{})
			other.Delegate("targets", "team", []string{"team/*"}, false)
			other.AddTargetTo("team", "team/file", []byte("x"))
			other.publish()
			other.Forge(in, func(signed map[string]any) {
				delete(signed["meta"].(map[string]any)[role+".json"].(map[string]any), without)
			})
			other.out()
			view, err := other.refresh(small)
			if err == nil {
				err = lookup(t, view, "team/file")
			}
			if over, ok := errors.AsType[*fetcher.LimitError](err); !ok || over.Limit != "unhashed" {
				t.Errorf("%s without %s: %v", role, without, err)
			}
			if err := lookup(t, other.mustRefresh(func(o *trust.Options) { o.StateDir = "" }), "team/file"); err != nil {
				t.Errorf("%s without %s, by default: %v", role, without, err)
			}
		}
	}
}

// What is stored is no affair of limits: a client is not locked out of what it has
// verified by a limit that was lowered since.
func TestLimitsDoNotHoldForWhatIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/file", []byte("x"))
	w.publish()
	if err := lookup(t, w.mustRefresh(), "team/file"); err != nil {
		t.Fatal(err)
	}
	tight := func(o *trust.Options) {
		o.Limits = trust.Limits{Root: 1, Timestamp: 1, Snapshot: 1, Targets: 1, Values: 1, Unhashed: 1}
	}
	view, err := w.client(tight).Load(t.Context())
	if err != nil || lookup(t, view, "team/file") != nil {
		t.Errorf("load: %v", err)
	}
	before := w.stateFiles()
	w.publish()
	if _, err := w.refresh(tight); !errors.Is(err, fetcher.ErrLimit) {
		t.Errorf("something new: %v", err)
	}
	w.sameState(before)
	w.mustRefresh()
}

// Nor by one that was raised, and is the default again.
func TestLimitThatIsTheDefaultAgain(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for _, role := range []string{"root", "timestamp"} {
		w := newWorld(t, tuftest.RepoOptions{})
		limits := fetcher.DefaultLimits()
		limit := map[string]*int64{"root": &limits.Root, "timestamp": &limits.Timestamp}[role]
		pad := strings.Repeat("x", int(*limit))
		*limit += 4 << 10
		if role == "root" {
			w.RotateKey("root")
			w.Publish()
		}
		w.Forge(role, func(signed map[string]any) { signed["x-pad"] = pad })
		w.out()
		w.mustRefresh(func(o *trust.Options) { o.Limits = limits })
		if _, err := w.client().Load(t.Context()); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// More new roots than one refresh follows are said aloud, and what to do about it,
// which depends on whether anything is kept.
func TestPendingRootsAreSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	for range 2 {
		w.RotateKey("root")
		w.publish()
	}
	one := func(o *trust.Options) { o.Limits.Roots = 1 }
	_, err := w.refresh(one)
	e := refused(t, err, trust.ErrMalformed)
	if e.Role != "root" || e.Version != 2 || !strings.Contains(err.Error(), "refresh again") {
		t.Errorf("%v", err)
	}
	w.mustRefresh(one)
	_, err = w.refresh(one, func(o *trust.Options) { o.StateDir = "" })
	refused(t, err, trust.ErrMalformed)
	if !strings.Contains(err.Error(), "nothing is kept") {
		t.Errorf("without a state: %v", err)
	}
}

// A lookup that the limit visits has ended says nothing of the name.
func TestEndedLookupIsNoAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"*/*"}, false)
	w.publish()
	err := lookup(t, w.mustRefresh(), "team/none")
	if !errors.Is(err, trust.ErrTargetNotFound) || !trust.IsUnlisted(err) {
		t.Errorf("all visited: %v", err)
	}
	err = lookup(t, w.mustRefresh(func(o *trust.Options) { o.Limits.Visits = 1 }), "team/none")
	if !errors.Is(err, trust.ErrTargetNotFound) || trust.IsUnlisted(err) {
		t.Errorf("one visited: %v", err)
	}
}

func TestLimitsOfOptions(t *testing.T) {
	t.Parallel()
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	for _, limits := range []trust.Limits{{Visits: -1}, {Root: 1 << 40}} {
		if _, err := trust.New(root, trust.Options{Limits: limits}); !errors.Is(err, fetcher.ErrLimit) {
			t.Errorf("%+v: %v", limits, err)
		}
	}
	client, err := trust.New(root, trust.Options{Limits: trust.Limits{Visits: 7}})
	if err != nil || client.Limits().Visits != 7 || client.Limits().Roots != fetcher.DefaultLimits().Roots {
		t.Errorf("%+v, %v", client.Limits(), err)
	}
}

// Limits of a trust are kept by name, and read strictly.
func TestConfigLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes()
	entry := trust.Entry{Name: "acme", Source: "registry.acme.io/trust/tuf:tuf", Limits: trust.Limits{Visits: 64, Manifest: 1 << 20, Roots: 1024}}
	if err := openConfig(t, dir).Add(entry, root); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "trust.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	with := func(limit string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Replace(text, "visits: \"64\"", limit, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(text, "manifest: 1MiB") || !strings.Contains(text, "visits: \"64\"") || strings.Contains(text, "roots:") {
		t.Errorf("written:\n%s", text)
	}
	got, err := openConfig(t, dir).Get("acme")
	if want := (trust.Limits{Visits: 64, Manifest: 1 << 20}); err != nil || got.Limits != want {
		t.Errorf("%+v, %v", got.Limits, err)
	}
	over := entry
	over.Limits.Redirects = 11
	if err := openConfig(t, dir).Add(over, nil); !errors.Is(err, trust.ErrInvalidEntry) || errors.Is(err, fetcher.ErrLimit) || !strings.Contains(err.Error(), "at most 10") {
		t.Errorf("above the ceiling: %v", err)
	}
	for _, bad := range []string{"visit: 64", "visits: many", "visits: -1", "visits: 4000000000", "visits: 0", "manifest: 5MiB", "operation: 2d", "visits: [1]"} {
		with(bad)
		_, err := trust.OpenConfig(dir)
		if !errors.Is(err, trust.ErrConfig) {
			t.Errorf("%s: %v", bad, err)
		}
		if bad == "visit: 64" && !strings.Contains(err.Error(), "redirects, referrers") {
			t.Errorf("the known names are not listed: %v", err)
		}
	}
	with("visits: 65")
	if got, err := openConfig(t, dir).Get("acme"); err != nil || got.Limits.Visits != 65 {
		t.Errorf("a number: %+v, %v", got.Limits, err)
	}
}

// A source can name the digest of something large that is in the cache as that of a
// small file: it is not read for that. Not parallel: it counts what is allocated.
func TestLargeFileInTheCacheIsNotRead(t *testing.T) {
	w := newWorld(t, tuftest.RepoOptions{})
	w.pack.NoInline = true
	w.out()
	sum := strings.TrimPrefix(tuftest.Digest(w.Data("snapshot")), "sha256:")
	file := filepath.Join(w.cache, "sha256", sum[:2], sum)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600), os.Truncate(file, 200<<20)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w.mustRefresh()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 100<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}
