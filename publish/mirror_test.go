package publish_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// world is a signed repository at timestamp v2 with two targets, one of them
// delegated.
func world(t testing.TB) *tuftest.Repo {
	t.Helper()
	r := tuftest.NewRepo(t, tuftest.RepoOptions{})
	r.AddTarget("hello.txt", []byte("hello"))
	r.Delegate("targets", "team", []string{"team/*"}, false)
	r.AddTargetTo("team", "team/file", []byte("of the team"))
	r.Publish()
	return r
}

func mirror(t testing.TB, view *trust.View, dst ociremote.WritableRepository, o publish.MirrorOptions) *publish.MirrorResult {
	t.Helper()
	result, err := tryMirror(t.Context(), view, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func tryMirror(ctx context.Context, view *trust.View, dst ociremote.WritableRepository, o publish.MirrorOptions) (*publish.MirrorResult, error) {
	if o.Now == nil {
		o.Now = clock
	}
	return publish.Mirror(ctx, view, dst, o)
}

// dirView is what a consumer pinned to root sees in a directory of files.
func dirView(t testing.TB, root []byte, dir string, o trust.Options) *trust.View {
	t.Helper()
	source, err := trust.ParseSource("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	o.Source = source
	view, err := refresh(t.Context(), root, o)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// destinations are the kinds of places that are written. done completes what
// was written and opens it to be read.
func destinations(t *testing.T) map[string]func(t *testing.T) (dst ociremote.WritableRepository, done func() ociremote.Repository) {
	t.Helper()
	return map[string]func(t *testing.T) (ociremote.WritableRepository, func() ociremote.Repository){
		"memory": func(*testing.T) (ociremote.WritableRepository, func() ociremote.Repository) {
			dst := ociremote.NewMemory()
			return dst, func() ociremote.Repository { return dst }
		},
		"registry": func(t *testing.T) (ociremote.WritableRepository, func() ociremote.Repository) {
			dst := remote(t, tuftest.NewRegistry(t, tuftest.RegistryOptions{}), "inside/trust")
			return dst, func() ociremote.Repository { return dst }
		},
		"layout": func(t *testing.T) (ociremote.WritableRepository, func() ociremote.Repository) {
			dir := filepath.Join(t.TempDir(), "layout")
			dst, err := ociremote.CreateLayout(dir)
			if err != nil {
				t.Fatal(err)
			}
			return dst, func() ociremote.Repository {
				return reopen(t, ociremote.Reference{Kind: ociremote.KindLayout, Path: dir, Tag: channel})
			}
		},
		"archive": func(t *testing.T) (ociremote.WritableRepository, func() ociremote.Repository) {
			file := filepath.Join(t.TempDir(), "trust.tar")
			dst, err := ociremote.CreateArchive(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = dst.Close() })
			return dst, func() ociremote.Repository {
				if err := dst.Commit(); err != nil {
					t.Fatal(err)
				}
				return reopen(t, ociremote.Reference{Kind: ociremote.KindArchive, Path: file, Tag: channel})
			}
		},
	}
}

func reopen(t testing.TB, ref ociremote.Reference) ociremote.Repository {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := client.Repository(t.Context(), ref, false)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func TestMirrorDirectory(t *testing.T) {
	t.Parallel()
	for name, destination := range destinations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := world(t)
			dst, done := destination(t)
			result := mirror(t, dirView(t, r.RootBytes(), directory(t, r.Files()), trust.Options{}), dst, publish.MirrorOptions{})
			if result.Verbatim || result.Unchanged || result.Targets != 2 || result.Files != len(r.Files()) {
				t.Errorf("result is %+v", result)
			}
			if want := "tuf.v2"; result.HistoryTag != want {
				t.Errorf("history tag %q, want %q", result.HistoryTag, want)
			}
			read := done()
			wantFiles(t, read, channel, r.Files())
			wantFiles(t, read, "tuf.v2", r.Files())
			view := see(t, r.RootBytes(), read)
			wantTarget(t, view, "hello.txt", "hello")
			wantTarget(t, view, "team/file", "of the team")
		})
	}
}

func TestMirrorBundleKeepsDigest(t *testing.T) {
	t.Parallel()
	for name, destination := range destinations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := world(t)
			src := memory(t, r)
			dst, done := destination(t)
			result := mirror(t, see(t, r.RootBytes(), src), dst, publish.MirrorOptions{})
			want := bundle(t, src, channel).Descriptor.Digest
			if !result.Verbatim || result.Digest != want {
				t.Errorf("verbatim %v, digest %s, want %s", result.Verbatim, result.Digest, want)
			}
			read := done()
			if got := bundle(t, read, channel).Descriptor.Digest; got != want {
				t.Errorf("the tag names %s, want %s", got, want)
			}
			wantTarget(t, see(t, r.RootBytes(), read), "team/file", "of the team")
		})
	}
}

// What is not verified is not carried, whatever the source packs with it.
func TestMirrorLeavesOutWhatIsNotVerified(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]func(r *tuftest.Repo, files map[string][]byte){
		"file": func(_ *tuftest.Repo, files map[string][]byte) { files["targets/stowaway"] = []byte("not signed") },
		"name": func(r *tuftest.Repo, files map[string][]byte) { files["targets/alias"] = files[r.Title("team")] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := world(t)
			files := r.Files()
			add(r, files)
			src := ociremote.NewMemory()
			store(t, src, channel, tuftest.Pack(t, files, tuftest.PackOptions{}))
			dst := ociremote.NewMemory()
			var said warnings
			result := mirror(t, see(t, r.RootBytes(), src), dst, publish.MirrorOptions{Warn: said.add})
			if result.Verbatim {
				t.Error("the manifest was copied")
			}
			wantFiles(t, dst, channel, r.Files())
			if !strings.Contains(said.String(), "packed anew") {
				t.Errorf("warnings: %s", &said)
			}
		})
	}
}

func TestMirrorOtherLayout(t *testing.T) {
	t.Parallel()
	r := world(t)
	dst := ociremote.NewMemory()
	result := mirror(t, see(t, r.RootBytes(), memory(t, r)), dst, publish.MirrorOptions{Layout: ociremote.LayoutNoData})
	if got := bundle(t, dst, channel).Layout; result.Verbatim || got != ociremote.LayoutNoData {
		t.Errorf("verbatim %v, layout %q", result.Verbatim, got)
	}
	wantTarget(t, see(t, r.RootBytes(), dst), "hello.txt", "hello")
}

func TestMirrorRefusesPartialBundle(t *testing.T) {
	t.Parallel()
	r := world(t)
	src := ociremote.NewMemory()
	store(t, src, channel, tuftest.Pack(t, r.Files(), tuftest.PackOptions{Annotations: map[string]string{ociremote.AnnotationPartial: "true"}}))
	dst := ociremote.NewMemory()
	_, err := tryMirror(t.Context(), see(t, r.RootBytes(), src), dst, publish.MirrorOptions{})
	wantErr(t, err, publish.ErrPartial)
	wantTags(t, dst)
}

func TestMirrorRefusesSourceThatMayBeExpired(t *testing.T) {
	t.Parallel()
	r := world(t)
	view, err := refresh(t.Context(), r.RootBytes(), trust.Options{
		Source: trust.RepositorySource(memory(t, r), channel), AllowExpired: true,
		Now: func() time.Time { return now.Add(9999 * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	dst := ociremote.NewMemory()
	_, err = tryMirror(t.Context(), view, dst, publish.MirrorOptions{})
	wantErr(t, err, publish.ErrUnverified)
	wantTags(t, dst)
}

func TestMirrorUnchanged(t *testing.T) {
	t.Parallel()
	r := world(t)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	dst := remote(t, g, "inside/trust")
	view := dirView(t, r.RootBytes(), directory(t, r.Files()), trust.Options{})
	first := mirror(t, view, dst, publish.MirrorOptions{})
	g.Reset()
	second := mirror(t, view, dst, publish.MirrorOptions{Now: func() time.Time { return now.Add(time.Minute) }})
	if !second.Unchanged || second.Digest != first.Digest {
		t.Errorf("second copy is %+v", second)
	}
	if got := g.Requests(); len(got) != 1 {
		t.Errorf("an unchanged copy made %d requests, want 1: %+v", len(got), got)
	}
}

func TestMirrorUpdate(t *testing.T) {
	t.Parallel()
	r := world(t)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	dst := remote(t, g, "inside/trust")
	mirror(t, dirView(t, r.RootBytes(), directory(t, r.Files()), trust.Options{}), dst, publish.MirrorOptions{})
	r.AddTarget("hello.txt", []byte("hello again"))
	r.RotateKey("root")
	r.Publish()
	result := mirror(t, see(t, r.RootBytes(), memory(t, r)), dst, publish.MirrorOptions{})
	if result.Versions.Root != 2 || result.Versions.Timestamp != 3 || result.Plan.HeadVersion != 2 {
		t.Errorf("versions are %+v, the plan %+v", result.Versions, result.Plan)
	}
	for _, b := range result.Plan.Blobs {
		if b.Title == "metadata/1.root.json" {
			t.Error("a blob was sent again that the destination has")
		}
	}
	wantTags(t, dst, "tuf", "tuf.v2", "tuf.v3")
	wantTarget(t, see(t, r.RootBytes(), dst), "hello.txt", "hello again")
}

func TestMirrorNeverGoesBack(t *testing.T) {
	t.Parallel()
	r := world(t)
	old := see(t, r.RootBytes(), memory(t, r))
	fork := r.Fork()
	r.AddTarget("new.txt", []byte("new"))
	r.Publish()
	dst := ociremote.NewMemory()
	newest := see(t, r.RootBytes(), memory(t, r))
	before := mirror(t, newest, dst, publish.MirrorOptions{}).Digest

	_, err := tryMirror(t.Context(), old, dst, publish.MirrorOptions{})
	wantErr(t, err, trust.ErrRollback)

	fork.AddTarget("other.txt", []byte("other"))
	fork.Publish()
	_, err = tryMirror(t.Context(), see(t, r.RootBytes(), memory(t, fork)), dst, publish.MirrorOptions{})
	wantErr(t, err, publish.ErrFork)
	if e, ok := errors.AsType[*publish.ForkError](err); !ok || e.Theirs != before || e.Ours == before || e.OursVersion != 3 {
		t.Errorf("evidence is %+v", e)
	}

	// A newer timestamp over an older role is no way round it.
	fork.SetVersion("timestamp", 9)
	fork.SetVersion("targets", 2)
	fork.Publish()
	if view, err := refresh(t.Context(), r.RootBytes(), trust.Options{Source: trust.RepositorySource(memory(t, fork), channel)}); err == nil {
		_, err = tryMirror(t.Context(), view, dst, publish.MirrorOptions{})
		wantErr(t, err, trust.ErrRollback)
	} else {
		t.Fatal(err)
	}
	if got := bundle(t, dst, channel).Descriptor.Digest; got != before {
		t.Errorf("the tag moved to %s", got)
	}
}

// Versions that were driven up before a root replaced the keys hold back neither a mirror,
// nor a copy next to images, nor what is attached to them.
func TestCopiesFollowARecovery(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g := newGallery(t, tuftest.RegistryOptions{})
	subject := g.sign("one", "shop/api", "image", "1")
	honest := g.repo.Fork()
	g.repo.SetVersion("timestamp", 1<<40)
	g.repo.Publish()
	dst, beside := ociremote.NewMemory(), []publish.BesideCopy{{Name: "shop/api", Repository: remote(t, g.Registry, "shop/api")}}
	driven := g.view()
	mirror(t, driven, dst, publish.MirrorOptions{})
	if r := publish.Beside(t.Context(), driven, beside, publish.BesideOptions{Now: clock})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	before := g.one("shop/api:1").Digest

	// Without a new key it is a rollback.
	honest.Touch("timestamp")
	honest.Publish()
	g.repo = honest
	_, err := tryMirror(t.Context(), g.view(), dst, publish.MirrorOptions{})
	wantErr(t, err, trust.ErrRollback)
	wantErr(t, publish.Beside(t.Context(), g.view(), beside, publish.BesideOptions{Now: clock})[0].Err, trust.ErrRollback)
	wantErr(t, g.attach(g.view(), "shop/api:1")[0].Err, trust.ErrRollback)

	honest.RotateKey("timestamp")
	honest.Publish()
	if r, err := tryMirror(t.Context(), g.view(), dst, publish.MirrorOptions{}); err != nil || r.Versions.Timestamp >= 1<<40 {
		t.Errorf("mirror: %+v, %v", r, err)
	}
	if s := publish.CheckBeside(t.Context(), g.view(), beside, publish.BesideOptions{Now: clock})[0]; s.Err != nil || !s.Lags {
		t.Errorf("the copy of before, checked: %+v", s)
	}
	if r := publish.Beside(t.Context(), g.view(), beside, publish.BesideOptions{Now: clock})[0]; r.Err != nil || r.To >= r.From {
		t.Errorf("copy: %+v", r)
	}
	if r := g.one("shop/api:1"); !slices.Equal(r.Pruned, append(r.Pruned[:0:0], before)) {
		t.Errorf("attached: %+v", r)
	}
	if got := g.attached("shop/api", subject); len(got) != 1 {
		t.Errorf("attached are %v", got)
	}
}

func TestMirrorLeavesForeignTags(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(dst ociremote.WritableRepository, r *tuftest.Repo){
		"image": func(dst ociremote.WritableRepository, _ *tuftest.Repo) { storeManifest(t, dst, channel, foreign) },
		"other root": func(dst ociremote.WritableRepository, _ *tuftest.Repo) {
			store(t, dst, channel, tuftest.Pack(t, world(t).Files(), tuftest.PackOptions{}))
		},
		"partial": func(dst ociremote.WritableRepository, r *tuftest.Repo) {
			store(t, dst, channel, tuftest.Pack(t, r.Files(), tuftest.PackOptions{Annotations: map[string]string{ociremote.AnnotationPartial: "true"}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := world(t)
			dst := ociremote.NewMemory()
			empty := []byte("{}")
			store(t, dst, "unrelated", &tuftest.Bundle{Manifest: foreign, Blobs: map[string][]byte{tuftest.Digest(empty): empty}})
			put(dst, r)
			before, err := dst.Resolve(t.Context(), channel)
			if err != nil {
				t.Fatal(err)
			}
			_, err = tryMirror(t.Context(), see(t, r.RootBytes(), memory(t, r)), dst, publish.MirrorOptions{})
			wantErr(t, err, publish.ErrForeignTag)
			if after, err := dst.Resolve(t.Context(), channel); err != nil || after.Digest != before.Digest {
				t.Errorf("the tag moved to %s (%v)", after.Digest, err)
			}
			wantTags(t, dst, channel, "unrelated")
		})
	}
}

func TestMirrorKeepsHistoryTag(t *testing.T) {
	t.Parallel()
	r := world(t)
	dst := ociremote.NewMemory()
	other := world(t)
	store(t, dst, "tuf.v2", tuftest.Pack(t, other.Files(), tuftest.PackOptions{}))
	var said warnings
	result := mirror(t, see(t, r.RootBytes(), memory(t, r)), dst, publish.MirrorOptions{Warn: said.add})
	if result.HistoryTag != "" || !strings.Contains(said.String(), "tuf.v2") {
		t.Errorf("history tag %q, warnings: %s", result.HistoryTag, &said)
	}
	wantFiles(t, dst, "tuf.v2", other.Files())
	wantTarget(t, see(t, r.RootBytes(), dst), "hello.txt", "hello")
}

func TestMirrorToOtherTags(t *testing.T) {
	t.Parallel()
	r := world(t)
	dst := ociremote.NewMemory()
	view := see(t, r.RootBytes(), memory(t, r))
	mirror(t, view, dst, publish.MirrorOptions{Tag: "stage"})
	mirror(t, view, dst, publish.MirrorOptions{Tag: "v1.0", NoHistory: false})
	mirror(t, view, dst, publish.MirrorOptions{Tag: "beside", NoHistory: true})
	wantTags(t, dst, "stage", "stage.v2", "v1.0", "beside")
}

// The pin is root 2, so nothing verifies root 1. It is carried: consumers
// pinned to it follow on to what was verified.
func TestMirrorCarriesRootsBelowThePin(t *testing.T) {
	t.Parallel()
	r := world(t)
	r.RotateKey("timestamp")
	r.Publish()
	dst := ociremote.NewMemory()
	result := mirror(t, dirView(t, r.Roots()[1], directory(t, r.Files()), trust.Options{}), dst, publish.MirrorOptions{})
	if !slices.Equal(result.CarriedRoots, []int64{1}) {
		t.Errorf("carried roots %v, want [1]", result.CarriedRoots)
	}
	wantFiles(t, dst, channel, r.Files())
	wantTarget(t, see(t, r.RootBytes(), dst), "hello.txt", "hello")

	// A later pin than all that the destination has is anchored in a root
	// that both have.
	later := r.Fork()
	later.RotateKey("timestamp")
	later.Publish()
	mirror(t, dirView(t, later.Roots()[2], directory(t, later.Files()), trust.Options{}), dst, publish.MirrorOptions{})
	if got := see(t, r.RootBytes(), dst).Status().Root.Version; got != 3 {
		t.Errorf("root v%d, want v3", got)
	}
	_, err := tryMirror(t.Context(), dirView(t, r.Roots()[1], directory(t, r.Files()), trust.Options{}), dst, publish.MirrorOptions{})
	wantErr(t, err, trust.ErrRollback)
}

func TestMirrorListsRolesThatNothingReaches(t *testing.T) {
	t.Parallel()
	r := world(t)
	r.Forge("snapshot", func(signed map[string]any) {
		signed["meta"].(map[string]any)["orphan.json"] = map[string]any{"version": 3}
	})
	dst := ociremote.NewMemory()
	result := mirror(t, dirView(t, r.RootBytes(), directory(t, r.Files()), trust.Options{}), dst, publish.MirrorOptions{})
	if !slices.Equal(result.SkippedRoles, []string{"orphan"}) {
		t.Errorf("skipped roles %q", result.SkippedRoles)
	}
	wantFiles(t, dst, channel, r.Files())
}

func TestMirrorDryRun(t *testing.T) {
	t.Parallel()
	r := world(t)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	dst := remote(t, g, "inside/trust")
	view := see(t, r.RootBytes(), memory(t, r))
	plan := mirror(t, view, dst, publish.MirrorOptions{DryRun: true})
	if got := writes(g); len(got) != 0 {
		t.Errorf("a dry run wrote: %+v", got)
	}
	done := mirror(t, view, dst, publish.MirrorOptions{})
	if plan.Digest != done.Digest || len(plan.Plan.Blobs) != len(done.Plan.Blobs) || plan.Plan.Bytes == 0 || len(plan.Plan.Roles) != 5 {
		t.Errorf("plan is %+v, done was %+v", plan.Plan, done.Plan)
	}
}

// Whatever the registry does at whichever request, its consumers see the old
// state or the new one, and the next copy completes.
func TestMirrorKilledAtAnyRequest(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	r := world(t)
	old := see(t, r.RootBytes(), memory(t, r))
	r.AddTarget("hello.txt", []byte("hello again"))
	r.Publish()
	newest := see(t, r.RootBytes(), memory(t, r))
	for i, when := range tuftest.Whens {
		for n := 1 + i%stride; ; n += stride {
			g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
			dst := remote(t, g, "inside/trust")
			mirror(t, old, dst, publish.MirrorOptions{})
			g.KillAt(n, when)
			result, err := tryMirror(t.Context(), newest, dst, publish.MirrorOptions{})
			killed := g.Killed()
			g.Revive()
			if killed == (err == nil) {
				t.Errorf("%s request %d: killed is %v, error %v", when, n, killed, err)
			}
			if killed && result != nil {
				t.Errorf("%s request %d: there is a result of what failed: %+v", when, n, result)
			}
			got, _, getErr := see(t, r.RootBytes(), dst).Get(t.Context(), "hello.txt")
			if s := string(got); getErr != nil || s != "hello" && s != "hello again" {
				t.Errorf("%s request %d: consumers see %q (%v)", when, n, s, getErr)
			}
			mirror(t, newest, dst, publish.MirrorOptions{})
			wantTarget(t, see(t, r.RootBytes(), dst), "hello.txt", "hello again")
			wantFiles(t, dst, "tuf.v3", r.Files())
			if !killed {
				break
			}
		}
	}
}

func TestMirrorReadsBack(t *testing.T) {
	t.Parallel()
	r := world(t)
	view := see(t, r.RootBytes(), memory(t, r))
	other := tuftest.Pack(t, world(t).Files(), tuftest.PackOptions{})
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	g.Intercept(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		next.ServeHTTP(w, req)
		if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/tuf") {
			g.Push("inside/trust", channel, other)
		}
	})
	_, err := tryMirror(t.Context(), view, remote(t, g, "inside/trust"), publish.MirrorOptions{})
	wantErr(t, err, publish.ErrFork)
	if e, ok := errors.AsType[*publish.ForkError](err); !ok || e.Theirs.String() != other.Digest {
		t.Errorf("evidence is %+v", e)
	}
}

// Two copies at the same time: the second one sees that the tag has moved, and
// judges anew.
func TestMirrorRace(t *testing.T) {
	t.Parallel()
	r := world(t)
	old := see(t, r.RootBytes(), memory(t, r))
	r.AddTarget("new.txt", []byte("new"))
	r.Publish()
	newest := see(t, r.RootBytes(), memory(t, r))
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	dst := remote(t, g, "inside/trust")
	reached := interrupt(g, 4, func() { mirror(t, newest, dst, publish.MirrorOptions{}) })
	_, err := tryMirror(t.Context(), old, dst, publish.MirrorOptions{})
	wantErr(t, err, trust.ErrRollback)
	if got := see(t, r.RootBytes(), dst).Status().Timestamp.Version; !*reached || got != 3 {
		t.Errorf("timestamp v%d", got)
	}
}

func TestMirrorCancelled(t *testing.T) {
	t.Parallel()
	r := world(t)
	g := tuftest.NewRegistry(t, tuftest.RegistryOptions{})
	dst := remote(t, g, "inside/trust")
	ctx, cancel := context.WithCancel(t.Context())
	g.Intercept(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/") {
			cancel()
		}
		next.ServeHTTP(w, req)
	})
	_, err := tryMirror(ctx, see(t, r.RootBytes(), memory(t, r)), dst, publish.MirrorOptions{})
	wantErr(t, err, context.Canceled)
	if g.Digest("inside/trust", channel) != "" {
		t.Error("the tag moved")
	}
}
