package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

const day = 24 * time.Hour

// refresher renews a repository from its first root and the one key.
type refresher struct {
	t   testing.TB
	pin []byte
	now time.Time
	o   publish.RefreshOptions
}

// refresher is somebody with the key and the root of a, and no workspace.
func (a *author) refresher(later time.Duration) *refresher {
	a.t.Helper()
	keys, err := metadata.OpenKeys([]string{"env:TEST_KEY"}, metadata.OpenKeysOptions{Env: env})
	if err != nil {
		a.t.Fatal(err)
	}
	return &refresher{t: a.t, pin: a.root1(), now: a.now.Add(later), o: publish.RefreshOptions{Keys: keys}}
}

func (r *refresher) try(ctx context.Context, g *tuftest.Registry) (*publish.Result, error) {
	r.t.Helper()
	o := r.o
	o.Now = func() time.Time { return r.now }
	return publish.Refresh(ctx, r.pin, remote(r.t, g, repository), o)
}

func (r *refresher) refresh(g *tuftest.Registry) *publish.Result {
	r.t.Helper()
	result, err := r.try(r.t.Context(), g)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// see is a consumer at the time of the refresher.
func (r *refresher) see(g *tuftest.Registry) (*trust.View, error) {
	r.t.Helper()
	return refresh(r.t.Context(), r.pin, trust.Options{
		Source: trust.RepositorySource(remote(r.t, g, repository), channel), Now: func() time.Time { return r.now },
	})
}

func TestRefreshNothingDue(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	r := a.refresher(time.Hour)
	g.Reset()
	result := r.refresh(g)
	if !result.Unchanged || result.Digest.String() != g.Digest(repository, channel) || result.View == nil || len(writes(g)) != 0 {
		t.Errorf("%+v, wrote %v", result, writes(g))
	}
	if n := len(g.Requests()); n != 1 {
		t.Errorf("%d requests for a fresh head, want 1", n)
	}
}

// One GET of the head; three blobs; claim and tag looked at, written and read back.
func TestRefreshSendsWhatIsNew(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	before := bundle(t, remote(t, g, repository), channel)
	r := a.refresher(2 * day)
	result := r.refresh(g)
	if len(result.Plan.Roles) != 1 || result.Plan.Roles[0].Role != "timestamp" || result.HistoryTag != "tuf.v2" || len(result.Plan.Blobs) != 2 {
		t.Errorf("plan %+v", result.Plan)
	}
	if result.View.Status().Timestamp.Version != 2 {
		t.Errorf("view %+v", result.View.Status().Timestamp)
	}
	after := bundle(t, remote(t, g, repository), channel)
	for _, f := range before.Files {
		_, inlined := before.Inline(f.Title)
		if _, now := after.Inline(f.Title); now != inlined {
			t.Errorf("%s: inline is %v, was %v", f.Title, now, inlined)
		}
		if there, _ := after.File(f.Title); there.Descriptor.Digest != f.Descriptor.Digest && f.Title != "metadata/timestamp.json" {
			t.Errorf("%s has other bytes", f.Title)
		}
	}
	// The workspace takes it over and publishes on.
	a.now = r.now
	a.stage("", "more.txt", "more")
	if got := a.publish(g); got.HistoryTag != "tuf.v3" {
		t.Errorf("the next publish is %s", got.HistoryTag)
	}
}

// Whatever the registry does at whichever request: the old state or the new one, and
// the next refresh succeeds.
func TestRefreshKilledAtAnyRequest(t *testing.T) {
	t.Parallel()
	origin, a := published(t)
	for i, when := range []tuftest.When{tuftest.Before, tuftest.After} { // TestPublishKilledAtAnyRequest has them all
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			for n, dead := 1+i%stride, true; dead; n += stride {
				g, r := duplicate(t, origin), a.refresher(2*day)
				g.KillAt(n, when)
				_, err := r.try(t.Context(), g)
				if dead = g.Killed(); dead == (err == nil) {
					t.Errorf("request %d: killed is %v, error %v", n, dead, err)
				}
				g.Revive()
				if view, err := r.see(g); err != nil || view.Status().Timestamp.Version > 2 {
					t.Errorf("request %d: consumer: %v", n, err)
				}
				r.refresh(g)
				if result := r.refresh(g); !result.Unchanged || result.Versions.Timestamp != 2 {
					t.Errorf("request %d: a third refresh was needed: %+v", n, result.Versions)
				}
			}
		})
	}
}

// Two refreshes, the second as a whole before any request of the first: one renews,
// the other finds a fresh head.
func TestRefreshRace(t *testing.T) {
	t.Parallel()
	origin, author := published(t)
	for n, reached := 1, true; reached; n += stride {
		g := duplicate(t, origin)
		a, b := author.refresher(2*day), author.refresher(2*day+time.Second)
		var second *publish.Result
		var errB error
		was := interrupt(g, n, func() { second, errB = b.try(t.Context(), g) })
		first, errA := a.try(t.Context(), g)
		g.Intercept(nil)
		if reached = *was; !reached {
			break
		}
		if err := errors.Join(errA, errB); err != nil {
			t.Errorf("request %d: %v", n, err)
			continue
		}
		// Only a head that was overwritten between the last look at it and the PUT
		// has been written twice.
		if first.Unchanged == second.Unchanged && first.Digest != second.Digest {
			t.Errorf("request %d: %s and %s", n, first.Digest, second.Digest)
		}
		if view, err := b.see(g); err != nil || view.Status().Timestamp.Version != 2 {
			t.Errorf("request %d: consumer: %v", n, err)
		}
	}
}

// A publish, as a whole before any request of a refresh, is not lost, or its author
// is told.
func TestRefreshRacesPublish(t *testing.T) {
	t.Parallel()
	origin, author := published(t)
	for n, reached := 1, true; reached; n += stride {
		g := duplicate(t, origin)
		a := author.twin()
		a.now = a.now.Add(2 * day)
		r := a.refresher(0)
		a.stage("", "a", "of a")
		was := interrupt(g, n, func() { a.publish(g) })
		_, err := r.try(t.Context(), g)
		g.Intercept(nil)
		if reached = *was; !reached {
			break
		}
		if err != nil {
			t.Errorf("request %d: %v", n, err)
		}
		view, err := r.see(g)
		if err != nil {
			t.Errorf("request %d: consumer: %v", n, err)
			continue
		}
		if _, _, err := view.Get(t.Context(), "a"); err == nil {
			continue
		}
		if _, err := a.try(t.Context(), g, publish.Options{}); !errors.Is(err, publish.ErrFork) {
			t.Errorf("request %d: the change is lost, and its author was told %v", n, err)
		}
	}
}

func TestRefreshHeldToPin(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	old := g.Digest(repository, channel)
	r := a.refresher(2 * day)
	other := tuftest.NewRepo(t, tuftest.RepoOptions{})
	other.Publish()

	r.pin = other.RootBytes()
	_, err := r.try(t.Context(), g)
	wantErr(t, err, trust.ErrWrongRoot)
	later := []byte(strings.Replace(string(a.root1()), `"version":1`, `"version":2`, 1))
	r.pin = later
	_, err = r.try(t.Context(), g)
	wantErr(t, err, trust.ErrWrongRoot)
	r.pin = []byte("{")
	if _, err := r.try(t.Context(), g); err == nil {
		t.Error("a root that is none was taken")
	}

	// What was seen before, by a client or a workspace, is the least.
	r.pin = a.root1()
	r.o.Seen = []trust.Seen{{Timestamp: 2}}
	_, err = r.try(t.Context(), g)
	wantErr(t, err, trust.ErrRollback)
	_, err = publish.Monitor(t.Context(), r.pin, remote(t, g, repository), publish.MonitorOptions{Seen: []trust.Seen{{Timestamp: 2}}, Now: clock})
	wantErr(t, err, trust.ErrRollback)
	r.o.Seen = nil
	a.stage("", "more.txt", "more")
	a.publish(g)
	base, err := a.ws.Base()
	if err != nil {
		t.Fatal(err)
	}
	first, _ := g.Manifest(repository, "tuf.v1")
	g.PutManifest(repository, channel, first)
	r.o.Base = base
	_, err = r.try(t.Context(), g)
	wantErr(t, err, publish.ErrFork)
	_, err = publish.Monitor(t.Context(), r.pin, remote(t, g, repository), publish.MonitorOptions{Base: base, Now: clock})
	wantErr(t, err, trust.ErrRollback)
	if now := g.Digest(repository, channel); now != old {
		t.Errorf("the tag moved to %s", now)
	}

	r.o.Base = nil
	empty := registry(t)
	_, err = r.try(t.Context(), empty)
	wantErr(t, err, ociremote.ErrNotFound)
	empty.PutBlob(repository, []byte("{}"))
	empty.PutManifest(repository, channel, foreign)
	_, err = r.try(t.Context(), empty)
	wantErr(t, err, publish.ErrForeignTag)
}

// From a later root everything before it is carried as it is.
func TestRefreshFromLaterRoot(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: now})
	repo.AddTarget("hello.txt", []byte("hello"))
	repo.Publish()
	repo.RotateKey("root")
	repo.Publish()
	files := repo.Files()
	dst := memory(t, repo)
	o := publish.RefreshOptions{Keys: testKeys(repo, "timestamp", "snapshot"), Force: true, Now: clock}
	result, err := publish.Refresh(t.Context(), repo.Roots()[1], dst, o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Versions.Root != 2 || len(result.Plan.Roles) != 2 {
		t.Errorf("%+v", result)
	}
	for _, root := range []string{"metadata/1.root.json", "metadata/2.root.json"} {
		f, _ := bundle(t, dst, channel).File(root)
		data, err := ociremote.FetchBlob(t.Context(), dst, f.Descriptor, 1<<20)
		if err != nil || !bytes.Equal(data, files[root]) {
			t.Errorf("%s was not carried (%v)", root, err)
		}
	}
	wantTarget(t, see(t, repo.RootBytes(), dst), "hello.txt", "hello")
}

// testKeys are the keys of roles of a repository.
func testKeys(repo *tuftest.Repo, roles ...string) []metadata.SigningKey {
	var keys []metadata.SigningKey
	for _, role := range roles {
		for _, k := range repo.Keys(role) {
			signer, err := metadata.NewSigner(k.Private)
			if err != nil {
				panic(err)
			}
			keys = append(keys, metadata.SigningKey{Name: role, Signer: signer})
		}
	}
	return keys
}

// A team whose role has lapsed does not take the whole repository with it.
func TestRefreshBesideLapsedRole(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: now, Life: 300 * day})
	repo.AddTarget("hello.txt", []byte("hello"))
	repo.Delegate("targets", "team", []string{"team/*"}, false)
	repo.AddTargetTo("team", "team/a", []byte("a"))
	repo.SetExpiry("team", now.Add(time.Hour))
	repo.Publish()
	dst := memory(t, repo)
	later := func() time.Time { return now.Add(2 * time.Hour) }
	var said warnings
	o := publish.RefreshOptions{Keys: testKeys(repo, "timestamp", "snapshot"), Force: true, Now: later, Warn: said.add}
	result, err := publish.Refresh(t.Context(), repo.RootBytes(), dst, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Waiting) != 1 || result.Waiting[0].Role != "team" || !strings.Contains(said.String(), "team v1 expired") {
		t.Errorf("waiting %+v, warned %s", result.Waiting, &said)
	}
	view, err := refresh(t.Context(), repo.RootBytes(), trust.Options{Source: trust.RepositorySource(dst, channel), Now: later})
	if err != nil {
		t.Fatal(err)
	}
	wantTarget(t, view, "hello.txt", "hello")
	_, _, err = view.Get(t.Context(), "team/a")
	wantErr(t, err, trust.ErrExpired)

	health, err := publish.Monitor(t.Context(), repo.RootBytes(), dst, publish.MonitorOptions{Now: later, ValidFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range health.Roles {
		if short := role.Role == "team"; role.Short() != short || short && role.Left >= 0 {
			t.Errorf("%s has %s left", role.Role, role.Left)
		}
	}
	if health.OK() {
		t.Error("the repository is said to be healthy")
	}

	// A lapsed role of the top is no such thing.
	repo.SetExpiry("targets", now.Add(time.Hour))
	repo.Publish()
	_, err = publish.Refresh(t.Context(), repo.RootBytes(), memory(t, repo), o)
	wantErr(t, err, trust.ErrExpired)
}

// What a publish brings itself must not have lapsed, whatever else has.
func TestPublishRefusesLapsedRoleOfItsOwn(t *testing.T) {
	t.Parallel()
	g, a := registry(t), newAuthor(t)
	a.delegate("early", time.Hour)
	a.delegate("team", time.Hour)
	a.publish(g)
	a.stage("team", "team/a", "of a")
	if _, err := a.ws.Sign(t.Context(), []string{"team"}, nil); err != nil {
		t.Fatal(err)
	}
	a.now = a.now.Add(2 * time.Hour)
	if err := a.ws.UpdateConfig(func(c *metadata.Config) error { c.Profile = "standard"; return nil }); err != nil {
		t.Fatal(err) // else publish renews the other role
	}
	var said warnings
	_, err := a.try(t.Context(), g, publish.Options{Warn: said.add})
	wantErr(t, err, trust.ErrExpired)
	if !strings.Contains(err.Error(), "team v2") || !strings.Contains(said.String(), "early v1") {
		t.Errorf("%v; warned %s", err, &said)
	}
}

// A claim that has other roots below the pin is not finished: nothing there is
// verified, so it stays as it was.
func TestRefreshSkipsClaimWithOtherCarriedRoots(t *testing.T) {
	t.Parallel()
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{Now: now})
	repo.Publish()
	repo.RotateKey("root")
	repo.Publish()
	made, dst := memory(t, repo), memory(t, repo)
	o := publish.RefreshOptions{Keys: testKeys(repo, "timestamp", "snapshot"), Force: true, Now: clock}
	result, err := publish.Refresh(t.Context(), repo.Roots()[1], made, o)
	if err != nil {
		t.Fatal(err)
	}
	claim := bundle(t, made, channel)
	var m ocispec.Manifest
	if err := json.Unmarshal(claim.Manifest, &m); err != nil {
		t.Fatal(err)
	}
	m.Layers = m.Layers[1:] // the inline layer would tell
	other := []byte(`{"signatures":[],"signed":{}}`)
	for i, l := range m.Layers {
		data, err := ociremote.FetchBlob(t.Context(), made, l, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if l.Annotations[ocispec.AnnotationTitle] == "metadata/1.root.json" {
			data = other
			m.Layers[i].Digest, m.Layers[i].Size = digest.FromBytes(data), int64(len(data))
		}
		desc := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := dst.Push(t.Context(), desc, bytes.NewReader(data)); err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
			t.Fatal(err)
		}
	}
	forged, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	storeManifest(t, dst, result.HistoryTag, forged)
	var said warnings
	o.Warn, o.Now = said.add, func() time.Time { return now.Add(time.Hour) } // its publisher is dead
	if _, err := publish.Refresh(t.Context(), repo.Roots()[1], dst, o); err != nil {
		t.Fatal(err)
	}
	f, _ := bundle(t, dst, channel).File("metadata/1.root.json")
	if f.Descriptor.Digest != digest.FromBytes(repo.RootBytes()) || !strings.Contains(said.String(), "lacks root v1") {
		t.Errorf("root v1 is %s, forged %s, own %s; warned %s", f.Descriptor.Digest, digest.FromBytes(other), digest.FromBytes(repo.RootBytes()), &said)
	}
}

// A dead claim of a refresh is finished by the next one, at once: it holds nothing
// that the next would not make.
func TestRefreshFinishesClaim(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	r := a.refresher(2 * day)
	g.Intercept(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/manifests/"+channel) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, req)
	})
	if _, err := r.try(t.Context(), g); err == nil {
		t.Fatal("the refresh that was to die succeeded")
	}
	g.Intercept(nil)
	claim := g.Digest(repository, "tuf.v2")
	r.now = r.now.Add(time.Second)
	if result := r.refresh(g); !result.Unchanged || result.Digest.String() != claim {
		t.Errorf("claim %s, head %s", claim, result.Digest)
	}
	wantTags(t, remote(t, g, repository), "tuf", "tuf.v1", "tuf.v2")
}

// The head keeps its layout variant.
func TestRefreshKeepsLayout(t *testing.T) {
	t.Parallel()
	g, a := registry(t), newAuthor(t)
	if _, err := a.try(t.Context(), g, publish.Options{Layout: ociremote.LayoutNoData}); err != nil {
		t.Fatal(err)
	}
	a.refresher(2 * day).refresh(g)
	if b := bundle(t, remote(t, g, repository), channel); b.Layout != ociremote.LayoutNoData || b.Annotations[ociremote.AnnotationTimestampVersion] != "2" {
		t.Errorf("layout %q, %v", b.Layout, b.Annotations)
	}
}
