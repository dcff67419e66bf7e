package trust_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// copyOf is a copy of files beside an image.
func copyOf(t testing.TB, files map[string][]byte, edits ...func(*tuftest.PackOptions)) trust.Copy {
	t.Helper()
	var o tuftest.PackOptions
	for _, edit := range edits {
		edit(&o)
	}
	repo := ociremote.NewMemory()
	put(t, repo, files, o)
	return trust.Copy{Place: trust.PlaceBeside, Repository: repo, Name: channel, Reference: "reg.example/shop/api:tuf"}
}

// attachedTo packs a partial bundle with a subject.
func attachedTo(subject digest.Digest) func(*tuftest.PackOptions) {
	return func(o *tuftest.PackOptions) {
		o.Annotations = map[string]string{"io.tufoci.partial": "true"}
		o.Edit = func(m map[string]any) {
			m["subject"] = map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject.String(), "size": 2}
		}
	}
}

// without leaves files out whose title contains one of the texts.
func without(files map[string][]byte, texts ...string) map[string][]byte {
	files = maps.Clone(files)
	maps.DeleteFunc(files, func(title string, _ []byte) bool {
		for _, text := range texts {
			if strings.Contains(title, text) {
				return true
			}
		}
		return false
	})
	return files
}

// from refreshes from a copy with a new client, as a new process would.
func (w *world) from(c trust.Copy, edits ...func(*trust.Options)) (*trust.View, error) {
	w.t.Helper()
	return w.client(edits...).RefreshFrom(w.t.Context(), c)
}

func (w *world) mustFrom(c trust.Copy, edits ...func(*trust.Options)) *trust.View {
	w.t.Helper()
	view, err := w.from(c, edits...)
	if err != nil {
		w.t.Fatal(err)
	}
	return view
}

// history is a repository with the roles a, b and c, by its timestamps: v2 is signed
// by a key that root v2 has replaced, in v4 the role c changes, in v5 the role b.
type history struct {
	*world
	old            *tuftest.Repo // v2, to go on from
	v2, v3, v4, v5 map[string][]byte
}

func newHistory(t testing.TB) *history {
	t.Helper()
	h := &history{world: newWorld(t, tuftest.RepoOptions{})}
	for _, role := range []string{"a", "b", "c"} {
		h.Delegate("targets", role, []string{role + "/*"}, false)
		h.AddTargetTo(role, role+"/file", []byte(role))
	}
	h.Publish()
	h.v2, h.old = h.Files(), h.Fork()
	h.RotateKey("timestamp")
	h.Publish()
	h.v3 = h.Files()
	h.AddTargetTo("c", "c/file", []byte("c2"))
	h.Publish()
	h.v4 = h.Files()
	h.AddTargetTo("b", "b/file", []byte("b2"))
	h.Publish()
	h.v5 = h.Files()
	return h
}

// seen is the state of somebody who has seen the top-level roles of files, no more.
func (h *history) seen(files map[string][]byte) func(*trust.Options) {
	h.t.Helper()
	dir := h.t.TempDir()
	edit := func(o *trust.Options) { o.StateDir, o.CacheDir = dir, "" }
	h.mustFrom(copyOf(h.t, without(files, ".a.json", ".b.json", ".c.json")), edit)
	return edit
}

func lookUp(t testing.TB, v *trust.View, role string) error {
	t.Helper()
	_, err := v.Lookup(t.Context(), role+"/file")
	return err
}

func told(v *trust.View, text string) bool {
	return strings.Contains(strings.Join(v.Status().Warnings, "\n"), text)
}

func TestCopyIsTaken(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	view := h.mustFrom(copyOf(t, h.v3))
	st := view.Status()
	if st.Source != trust.PlaceBeside || st.SourceRef != "reg.example/shop/api:tuf" || !st.Verified || st.Timestamp.Version != 3 {
		t.Errorf("status %+v", st)
	}
	if !told(view, "chooses how fresh it is, until timestamp v3 expires "+st.Timestamp.Expires.UTC().Format(time.RFC3339)) {
		t.Errorf("warnings %q", st.Warnings)
	}
	// One that is newer moves the state on.
	h.mustFrom(copyOf(t, h.v5))
	loaded, err := h.client().Load(t.Context())
	if err != nil || loaded.Status().Timestamp.Version != 5 {
		t.Errorf("%v", err)
	}
}

// An older copy is no attack: what was seen decides, and the copy gives the files
// that belong to it.
func TestCopyIsOlder(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	ahead := h.old.Fork()
	ahead.SetVersion("timestamp", 1000)
	ahead.Publish()
	expired := h.old.Fork()
	expired.SetExpiry("timestamp", h.now.Add(-time.Minute))
	expired.PublishTimestamp()
	for name, files := range map[string]map[string][]byte{
		"older":            h.v3,
		"before a root":    h.v2,
		"counted far on":   ahead.Files(),
		"older, expired":   expired.Files(),
		"older, no target": without(h.v3, "targets/"),
	} {
		state := h.seen(h.v5)
		view := h.mustFrom(copyOf(t, files), state)
		st := view.Status()
		if st.Timestamp.Version != 5 || st.Root.Version != 2 || st.Source != trust.PlaceBeside || st.Fork != nil || !told(view, "older than what was seen") {
			t.Errorf("%s: status %+v", name, st)
		}
		if err := lookUp(t, view, "a"); err != nil {
			t.Errorf("%s: what is the same in both: %v", name, err)
		}
		e := refused(t, lookUp(t, view, "b"), trust.ErrStaleCopy)
		if e.Role != "b" || e.Version != 2 || e.Source != "reg.example/shop/api:tuf" {
			t.Errorf("%s: evidence %+v", name, e)
		}
		if name == "older" && e.Detail != "this copy is older (v3) than what was seen (v5); b v2 is needed" {
			t.Errorf("%q", e.Detail)
		}
		// The next copy adds what is missing, and what the first one had is kept.
		view = h.mustFrom(copyOf(t, without(h.v5, ".a.json")), state)
		if err := errors.Join(lookUp(t, view, "a"), lookUp(t, view, "b")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A state that is not whole is made whole by what a copy shares with it, whatever its
// age; of top-level roles too.
func TestCopyCompletesTheState(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.PublishTimestamp() // v6, of the snapshot of v5
	h.mustFrom(copyOf(t, h.Files()))
	h.writeState("snapshot.json", nil)
	h.writeState("bundle.json", nil)
	e := refused(t, func() error { _, err := h.from(copyOf(t, h.v4)); return err }(), trust.ErrStaleCopy)
	if e.Role != "snapshot" || e.Detail != "this copy is older (v4) than what was seen (v6); snapshot v5 is needed" {
		t.Errorf("evidence %+v", e)
	}
	if st := h.mustFrom(copyOf(t, h.v5)).Status(); st.Timestamp.Version != 6 || st.Snapshot.Version != 5 {
		t.Errorf("status %+v", st)
	}
}

// Where a root has revoked what was stored, a copy from before it cannot say what
// counts now.
func TestCopyFromBeforeAKnownRoot(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.mustFrom(copyOf(t, h.v2))
	late := h.Fork()
	late.SetExpiry("timestamp", h.now.Add(-time.Minute))
	late.PublishTimestamp()
	_, err := h.from(copyOf(t, late.Files())) // teaches root v2 alone
	refused(t, err, trust.ErrExpired)
	_, err = h.from(copyOf(t, h.v2))
	if e := refused(t, err, trust.ErrStaleCopy); !strings.Contains(e.Detail, "has root v1, from before root v2, which is known") {
		t.Errorf("evidence %+v", e)
	}
	h.mustFrom(copyOf(t, h.v3))
}

func TestCopyIsRefused(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	h := newHistory(t)
	other := tuftest.NewRepo(t, tuftest.RepoOptions{})
	expired := h.Fork()
	expired.SetExpiry("timestamp", h.now.Add(-time.Hour))
	expired.PublishTimestamp()
	back := h.Fork()
	back.PublishTimestamp()
	back.Forge("timestamp", func(signed map[string]any) { meta(signed, "snapshot.json")["version"] = 1 })
	stranger := h.Fork()
	stranger.PublishTimestamp()
	stranger.SignAs("timestamp", tuftest.NewKey(t, ""))
	planted := other.Files()
	planted["metadata/1.root.json"] = h.RootBytes()
	unsigned := maps.Clone(h.v2)
	unsigned["metadata/timestamp.json"] = stranger.Data("timestamp")
	large := h.Fork()
	large.AddEntry("targets", "large", 1, hexOf(nil), strings.Repeat("x", trust.MaxCopy))
	large.Publish()
	image := digest.FromString("image")
	for name, tt := range map[string]struct {
		copy trust.Copy
		kind error
	}{
		"another lineage":                   {copyOf(t, other.Files()), trust.ErrWrongRoot},
		"without the pinned root":           {copyOf(t, without(h.v5, "/1.root.json")), trust.ErrWrongRoot},
		"another lineage behind our root":   {copyOf(t, planted), trust.ErrThreshold},
		"expired":                           {copyOf(t, expired.Files()), trust.ErrExpired},
		"a newer one that goes back":        {copyOf(t, back.Files()), trust.ErrRollback},
		"a timestamp of a stranger":         {copyOf(t, stranger.Files()), trust.ErrThreshold},
		"the same, without the newest root": {copyOf(t, unsigned), trust.ErrThreshold},
		"no bundle": {copyOf(t, h.v5, func(o *tuftest.PackOptions) {
			o.Edit = func(m map[string]any) { m["artifactType"] = "application/spdx+json" }
		}), ociremote.ErrForeign},
		"attached to another image": {func() trust.Copy {
			c := copyOf(t, h.v5, attachedTo(digest.FromString("other")))
			c.Subject = image
			return c
		}(), ociremote.ErrForeign},
		"attached to nothing": {func() trust.Copy {
			c := copyOf(t, h.v5)
			c.Subject = image
			return c
		}(), ociremote.ErrForeign},
		"nothing":   {trust.Copy{Place: trust.PlaceBeside, Repository: ociremote.NewMemory(), Name: channel, Reference: "x"}, fetcher.ErrNoRepository},
		"too large": {copyOf(t, large.Files()), fetcher.ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := h.seen(h.v5)
			before, err := h.client(state).Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.from(tt.copy, state)
			if !errors.Is(err, tt.kind) {
				t.Errorf("error %v, want %v", err, tt.kind)
			}
			if over, ok := errors.AsType[*fetcher.LimitError](err); ok && over.Limit != "" {
				t.Errorf("the limit %s would change nothing: %v", over.Limit, err)
			}
			after, err := h.client(state).Load(t.Context())
			if err != nil || after.Status().Timestamp != before.Status().Timestamp || after.Status().Root != before.Status().Root {
				t.Errorf("the state has changed: %+v, %v", after, err)
			}
			// Somebody without a state learns no more.
			_, err = h.from(tt.copy, func(o *trust.Options) { o.StateDir = "" })
			if err == nil && tt.kind != trust.ErrRollback {
				t.Error("taken without a state")
			}
		})
	}
}

func TestCopyWithMaxStale(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.SetExpiry("timestamp", h.now.Add(-time.Hour))
	h.PublishTimestamp()
	view := h.mustFrom(copyOf(t, h.Files()), func(o *trust.Options) { o.MaxStale = 2 * time.Hour })
	if st := view.Status(); !st.Stale || !st.Verified {
		t.Errorf("status %+v", st)
	}
}

func TestCopyIsAFork(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	other := h.Fork()
	other.SetVersion("timestamp", 5)
	other.SetExpiry("timestamp", h.now.Add(time.Hour))
	other.PublishTimestamp()
	kept := h.mustFrom(copyOf(t, h.v5)).Status().Timestamp
	view := h.mustFrom(copyOf(t, other.Files()))
	if st := view.Status(); st.Fork == nil || st.Timestamp != kept || !told(view, "fork: timestamp v5") {
		t.Errorf("status %+v", st)
	}
}

// A copy that is newer, but not whole, would take the state away from every image.
func TestHalfACopyIsNotTaken(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	for _, missing := range []string{".snapshot.json", ".targets.json"} {
		state := h.seen(h.v4)
		_, err := h.from(copyOf(t, without(h.v5, missing)), state)
		if missing == ".targets.json" { // it is that of v4
			if err != nil {
				t.Error(err)
			}
			continue
		}
		refused(t, err, trust.ErrStaleCopy)
		view, err := h.client(state).Load(t.Context())
		if err != nil || view.Status().Timestamp.Version != 4 {
			t.Errorf("the state is gone: %v", err)
		}
	}
}

// What is known of home stays what it is, unless the copy is newer.
func TestHomeAfterACopy(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.out()
	h.mustRefresh()
	for _, c := range []trust.Copy{copyOf(t, without(h.v5, ".a.json")), copyOf(t, h.v3)} {
		h.mustFrom(c)
		h.at.reset()
		if view := h.mustRefresh(); !view.Status().Unchanged || h.at.requests() != 1 || view.Status().Source != "memory" {
			t.Errorf("%d requests, status %+v", h.at.requests(), view.Status())
		}
	}
	h.PublishTimestamp()
	newer := copyOf(t, without(h.Files(), ".a.json"))
	h.mustFrom(newer)
	_, err := h.refresh() // home is behind now
	refused(t, err, trust.ErrRollback)
	h.out()
	h.at.reset()
	view := h.mustRefresh()
	if view.Status().Unchanged || h.at.requests() != 1 {
		t.Errorf("%d requests, status %+v", h.at.requests(), view.Status())
	}
	if err := lookUp(t, view, "a"); err != nil {
		t.Error(err)
	}
}

// What the stored bundle carries need not be in a copy.
func TestStoredBundleServesACopy(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	bare := func(o *trust.Options) { o.CacheDir = "" }
	h.mustFrom(copyOf(t, h.v5), bare)
	view := h.mustFrom(copyOf(t, without(h.v5, "targets/", ".a.json")), bare)
	if data, _, err := view.Get(t.Context(), "a/file"); err != nil || string(data) != "a" {
		t.Errorf("%q, %v", data, err)
	}
}

// A view of an older state does not take back what a newer one has stored.
func TestOlderViewStoresNothingOld(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	bare := func(o *tuftest.PackOptions) { o.NoInline = true }
	old := h.mustFrom(copyOf(t, h.v4, bare))
	if err := lookUp(t, h.mustFrom(copyOf(t, h.v5, bare)), "b"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(lookUp(t, old, "a"), lookUp(t, old, "b")); err != nil {
		t.Fatal(err)
	}
	view, err := h.client().Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(lookUp(t, view, "a"), lookUp(t, view, "b")); err != nil {
		t.Error(err)
	}
}

// A registry that never ends a file of a copy holds nobody up for long.
func TestCopyThatStalls(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	copied := copyOf(t, h.v4, func(o *tuftest.PackOptions) { o.NoInline = true })
	copied.Repository = stalling{copied.Repository}
	c := h.client()
	c.SetCopyWait(50 * time.Millisecond)
	if _, err := c.RefreshFrom(t.Context(), copied); !errors.Is(err, fetcher.ErrTimeout) {
		t.Errorf("error is %v", err)
	}
}

// stalling has manifests, and no blob ever comes.
type stalling struct{ ociremote.Repository }

func (s stalling) Fetch(ctx context.Context, _ ocispec.Descriptor) (io.ReadCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Whatever the order in which images are verified by what lies next to them: the state
// ends the same, and so do the answers once all has been seen.
func TestCopiesInAnyOrder(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	h := newHistory(t)
	image := digest.FromString("image")
	partial := func(files map[string][]byte, left ...string) trust.Copy {
		c := copyOf(t, without(files, left...), attachedTo(image))
		c.Place, c.Subject = trust.PlaceAttached, image
		return c
	}
	copies := []struct {
		name  string
		copy  trust.Copy
		roles []string // that its image needs
	}{
		{"before the rotation", partial(h.v2, ".a.json", ".b.json"), []string{"c"}},
		{"partial v3", partial(h.v3, ".b.json", ".c.json"), []string{"a"}},
		{"full v4", copyOf(t, h.v4), []string{"a", "b", "c"}},
		{"partial v5", partial(h.v5, ".a.json", ".c.json"), []string{"b"}},
	}
	answer := func(c *trust.Client, i int) error {
		view, err := c.RefreshFrom(t.Context(), copies[i].copy)
		for _, role := range copies[i].roles {
			if err == nil {
				err = lookUp(t, view, role)
			}
		}
		return err
	}
	for _, order := range permutations(len(copies)) {
		c := h.client(func(o *trust.Options) { o.StateDir, o.CacheDir = "", "" })
		for _, i := range order {
			if err := answer(c, i); err != nil && !errors.Is(err, trust.ErrStaleCopy) {
				t.Errorf("order %v, %s: %v", order, copies[i].name, err)
			}
		}
		for i := range copies {
			if err := answer(c, i); err != nil {
				t.Errorf("after order %v, %s: %v", order, copies[i].name, err)
			}
		}
		view, err := c.Load(t.Context())
		if err != nil {
			t.Fatalf("order %v: %v", order, err)
		}
		if st := view.Status(); st.Timestamp.Version != 5 || st.Root.Version != 2 || st.Snapshot.SHA256 != hexOf(h.v5["metadata/5.snapshot.json"]) {
			t.Errorf("order %v: %+v", order, st)
		}
		for role, version := range map[string]int64{"a": 1, "b": 2, "c": 2} {
			target, err := view.Lookup(t.Context(), role+"/file")
			if err != nil || target.RoleVersion != version {
				t.Errorf("order %v: role %s: %+v, %v", order, role, target, err)
			}
		}
	}
}

func hexOf(data []byte) string { return digest.FromBytes(data).Encoded() }

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			q := append(append(append([]int{}, p[:i]...), n-1), p[i:]...)
			all = append(all, q)
		}
	}
	return all
}

func TestCopiesAtTheSameTime(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	copies := []trust.Copy{copyOf(t, h.v2), copyOf(t, h.v3), copyOf(t, h.v4), copyOf(t, h.v5)}
	clients := []*trust.Client{h.client(), h.client()}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			view, err := clients[i%2].RefreshFrom(t.Context(), copies[i/2%4])
			if err == nil {
				err = lookUp(t, view, "a")
			}
			if err != nil && !errors.Is(err, trust.ErrStaleCopy) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if view, err := h.client().Load(t.Context()); err != nil || view.Status().Timestamp.Version != 5 {
		t.Errorf("%v", err)
	}
}

// A copy is read with one request, what it carries; and never more than its limit.
func TestCopyIsReadOnce(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	c := copyOf(t, h.v5)
	at := &counted{WritableRepository: c.Repository.(ociremote.WritableRepository)}
	c.Repository = at
	for range 2 {
		at.reset()
		if err := lookUp(t, h.mustFrom(c), "b"); err != nil || at.requests() != 1 {
			t.Errorf("%d requests, %v", at.requests(), err)
		}
	}
}

func TestFirstRoot(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	want := digest.FromBytes(h.RootBytes())
	if got := h.client().FirstRoot(t.Context()); got != want {
		t.Errorf("of the pin: %s", got)
	}
	later := h.clientOf(h.Roots()[1])
	if got := later.FirstRoot(t.Context()); got != "" {
		t.Errorf("without a state: %s", got)
	}
	if _, err := later.RefreshFrom(t.Context(), copyOf(t, h.v5)); err != nil {
		t.Fatal(err)
	}
	if got := later.FirstRoot(t.Context()); got != want {
		t.Errorf("of the bundle: %s", got)
	}
}

// A planted state is not taken for a copy that is not there.
func TestPlantedStateIsNotAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	c := copyOf(t, w.Files())
	w.mustFrom(c)
	w.writeState("roots/1.root.json", tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes())
	if _, err := w.from(c); trust.IsAbsent(err) {
		t.Errorf("%v is taken for absent", err)
	} else {
		refused(t, err, trust.ErrWrongRoot)
	}
	if !trust.IsAbsent(ociremote.ErrForeign) || trust.IsAbsent(nil) {
		t.Error("absence is not told")
	}
}
