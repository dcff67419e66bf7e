package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// Of two publishers, each pair of requests costs three times as much as one of [stride].
var (
	raceStride = tuftest.Scale(37, 37, 1)
	pairStride = tuftest.Scale(53, 53, 13)
)

// remoteAs is remote for a publisher whom the registry can tell from others.
func remoteAs(t testing.TB, g *tuftest.Registry, who string) ociremote.WritableRepository {
	t.Helper()
	client, err := ociremote.NewClient(ociremote.Options{
		PlainHTTP: true, Retries: -1, RegistryConfig: filepath.Join(t.TempDir(), "config.json"), UserAgent: who,
	})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := client.Repository(t.Context(), ociremote.Reference{Kind: ociremote.KindRegistry, Host: g.Host(), Repository: repository, Tag: channel}, true)
	if err != nil {
		t.Fatal(err)
	}
	return repo.(ociremote.WritableRepository)
}

// gate holds back one request of one publisher.
type gate struct {
	who      string
	n        int
	reached  chan struct{}
	released chan struct{}
}

// gates lets a registry hold requests back.
func gates(g *tuftest.Registry, list ...*gate) {
	var mu sync.Mutex
	count := map[string]int{}
	for _, one := range list {
		one.reached, one.released = make(chan struct{}), make(chan struct{})
	}
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		who := r.Header.Get("User-Agent")
		count[who]++
		n := count[who]
		mu.Unlock()
		for _, one := range list {
			if one.who == who && one.n == n {
				close(one.reached)
				<-one.released
			}
		}
		next.ServeHTTP(w, r)
	})
}

// run starts a publish and returns when it stands at the gate or has ended.
func (one *gate) run(do func() error) (ended <-chan error, reached bool) {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case <-one.reached:
		return done, true
	case err := <-done:
		done <- err
		return done, false
	}
}

// rival is what the second publisher of a race does.
type rival struct {
	name string
	role string // of its change
	do   func(ctx context.Context, t *testing.T, b *author, repo ociremote.WritableRepository) error
}

var rivals = []rival{
	{"the same role", "", publishes},
	{"another role", "team", publishes},
	{"a refresh", "", refreshes},
}

func publishes(ctx context.Context, _ *testing.T, b *author, repo ociremote.WritableRepository) error {
	_, err := publish.Publish(ctx, b.ws, repo, publish.Options{Now: b.clock})
	return err
}

func refreshes(ctx context.Context, t *testing.T, b *author, repo ociremote.WritableRepository) error {
	keys, err := metadata.OpenKeys([]string{"env:TEST_KEY"}, metadata.OpenKeysOptions{Env: env})
	if err != nil {
		t.Error(err)
	}
	_, err = publish.Refresh(ctx, b.root1(), repo, publish.RefreshOptions{Keys: keys, Force: true, Leave: []string{"targets", "team"}, Now: b.clock})
	return err
}

// a publishes up to its i-th request. There b comes, and goes to its end or up to
// its j-th request, where a goes on to its end, and b last. Whoever comes second
// is retried, told that a role moved, or has overwritten the other, who is told
// so at the next publish; and both changes can be published after all. A client
// that looked all the while ends with both.
func TestPublishInterleaved(t *testing.T) {
	t.Parallel()
	for n, r := range rivals {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			origin, first := published(t)
			more := true
			for i := 1 + n; more; i += raceStride {
				t.Run(fmt.Sprint(i), func(t *testing.T) { more = raceAt(t, origin, first, r, i) })
			}
		})
	}
}

// raceAt holds a at its i-th request, and b at none and at every pairStride-th,
// and reports whether a has that many.
func raceAt(t *testing.T, origin *tuftest.Registry, first *author, r rival, i int) bool {
	t.Helper()
	reachedA, _ := race(t, duplicate(t, origin), first, r, i, 0)
	for j := 1 + i%pairStride; reachedA; j += pairStride {
		if _, reachedB := race(t, duplicate(t, origin), first, r, i, j); !reachedB {
			break
		}
	}
	return reachedA
}

func race(t *testing.T, g *tuftest.Registry, first *author, r rival, i, j int) (reachedA, reachedB bool) {
	t.Helper()
	a, b := first.twin(), first.twin()
	defer a.ws.Close()
	defer b.ws.Close()
	a.now, b.now = a.now.Add(time.Second), b.now.Add(2*time.Second)
	a.stage("", "a", "of a")
	names := map[*author][2]string{a: {"a", "of a"}}
	if r.name != "a refresh" {
		b.stage(r.role, "team/b", "of b")
		names[b] = [2]string{"team/b", "of b"}
	}
	reader, err := trust.New(a.root1(), trust.Options{Source: trust.RepositorySource(remoteAs(t, g, "reader"), channel), Now: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	look := func() { _, _ = reader.Refresh(t.Context()) } // what is overwritten later may be gone again

	gateA, gateB := &gate{who: "a", n: i}, &gate{who: "b", n: j}
	gates(g, gateA, gateB)
	endA, reachedA := gateA.run(func() error { return publishes(t.Context(), t, a, remoteAs(t, g, "a")) })
	endB, reachedB := gateB.run(func() error { return r.do(t.Context(), t, b, remoteAs(t, g, "b")) })
	look()
	close(gateA.released)
	errA := <-endA
	look()
	close(gateB.released)
	errB := <-endB
	look()

	told := map[*author]error{a: errA, b: errB}
	where := fmt.Sprintf("a held at %d, b at %d (a: %v, b: %v)", i, j, errA, errB)
	var lost int
	for who, change := range names {
		if content(t, g, a, change[0]) == change[1] {
			continue
		}
		lost++
		err := told[who]
		if err == nil {
			_, err = who.try(t.Context(), g, publish.Options{})
		}
		switch fork, isFork := errors.AsType[*publish.ForkError](err); {
		case isFork && (fork.Ours == "" || fork.Theirs == "" || fork.Ours == fork.Theirs || fork.OursVersion == 0 || fork.TheirsVersion == 0):
			t.Errorf("%s: no evidence of a fork: %+v", where, fork)
		case !isFork && !errors.Is(err, publish.ErrConflict) && !errors.Is(err, publish.ErrMoving) && err != nil:
			t.Errorf("%s: %q was told %v", where, change[0], err)
		case err == nil && content(t, g, a, change[0]) != change[1]:
			t.Errorf("%s: %q is lost, and its author was told nothing", where, change[0])
		}
	}
	if lost == 2 {
		t.Errorf("%s: nobody's change was published", where)
	}

	// Both go on until nothing is left to do.
	for range 2 {
		for who := range names {
			if _, err := who.try(t.Context(), g, publish.Options{Rebase: true}); err != nil {
				t.Errorf("%s: made again: %v", where, err)
			}
		}
	}
	for who, change := range names {
		if got := content(t, g, a, change[0]); got != change[1] {
			t.Errorf("%s: consumers see %q as %q", where, got, change[0])
		}
		if result, err := who.try(t.Context(), g, publish.Options{}); err != nil || !result.Unchanged {
			t.Errorf("%s: in the end: %+v, %v", where, result, err)
		}
	}
	if view, err := reader.Refresh(t.Context()); err != nil {
		t.Errorf("%s: a client that looked all the while: %v", where, err)
	} else if data, _, err := view.Get(t.Context(), "a"); err != nil || string(data) != "of a" {
		t.Errorf("%s: a client that looked all the while sees %q (%v)", where, data, err)
	}
	return reachedA, reachedB
}

// forked is a registry in which b has overwritten what a published.
func forked(t *testing.T, aRole, bRole string) (g *tuftest.Registry, a, b *author, ours string) {
	t.Helper()
	g, a = published(t)
	b = a.twin()
	start := g.Digest(repository, channel)
	a.stage(aRole, "team/a", "of a")
	ours = a.publish(g).Digest.String()
	retag(t, g, channel, start)
	b.now = b.now.Add(time.Second)
	b.stage(bRole, "team/b", "of b")
	b.publish(g)
	return g, a, b, ours
}

// What was published and overwritten is made again, also where the registry has
// pruned all on which it was built, and what is staged on top of it as well.
func TestPublishRebaseAfterFork(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for name, test := range map[string]struct {
		aRole, bRole string
		more, prune  bool
	}{
		"same role":              {"", "", false, false},
		"another role":           {"", "team", false, false},
		"pruned, more is staged": {"team", "team", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a, _, ours := forked(t, test.aRole, test.bRole)
			if test.more {
				a.stage("", "more", "more")
			}
			if test.prune {
				for _, tag := range []string{"tuf.v1", "tuf.v2"} {
					if d := g.Digest(repository, tag); d != g.Digest(repository, channel) {
						g.DeleteTag(repository, d)
					}
				}
			}
			before := a.files()
			_, err := a.try(t.Context(), g, publish.Options{})
			wantFork(t, err, ours, g.Digest(repository, channel))

			var said warnings
			var rebased *metadata.Rebased
			o := publish.Options{Rebase: true, Warn: said.add, Rebased: func(r *metadata.Rebased) { rebased = r }}
			dry := o
			dry.DryRun = true
			g.Reset()
			if _, err := a.twin().try(t.Context(), g, dry); err != nil || len(writes(g)) > 0 || rebased == nil {
				t.Fatalf("dry run: %v, %+v, written %v", err, rebased, writes(g))
			}
			if after := a.files(); len(after) != len(before) {
				t.Error("a dry run changed the workspace")
			}
			if _, err := a.try(t.Context(), g, o); err != nil {
				t.Fatalf("%v, warnings: %s", err, &said)
			}
			for _, c := range [][2]string{{"team/a", "of a"}, {"team/b", "of b"}} {
				if got := content(t, g, a, c[0]); got != c[1] {
					t.Errorf("consumers see %q as %s", got, c[0])
				}
			}
			if test.more && content(t, g, a, "more") != "more" {
				t.Error("what was staged is missing")
			}
			if len(rebased.Roles) == 0 || rebased.Roles[0].Changes[0].Subject != "team/a" {
				t.Errorf("made again: %+v", rebased)
			}
		})
	}
}

// The registry has lost the bytes of a large file that only the overwritten
// bundle had: it is listed, and nothing changes.
func TestPublishRebaseListsLostBytes(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for _, there := range []bool{true, false} {
		g, a := published(t)
		b := a.twin()
		start := g.Digest(repository, channel)
		large := strings.Repeat("large", 20<<10)
		a.stage("", "large", large)
		ours := a.publish(g).Digest.String()
		retag(t, g, channel, start)
		b.stage("team", "team/b", "of b")
		b.publish(g)
		before := a.files()
		if !there {
			g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if strings.HasSuffix(r.URL.Path, "/blobs/"+tuftest.Digest([]byte(large))) {
					http.NotFound(w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
		_, err := a.try(t.Context(), g, publish.Options{Rebase: true})
		if there {
			if err != nil || content(t, g, a, "large") != large {
				t.Errorf("%v", err)
			}
			continue
		}
		e, ok := errors.AsType[*metadata.RebaseConflictError](err)
		if !ok || len(e.Conflicts) != 1 || e.Conflicts[0].Subject != "large" || !strings.Contains(err.Error(), "bytes") {
			t.Errorf("%v", err)
		}
		if after := a.files(); len(after) != len(before) {
			t.Errorf("the workspace changed")
		}
		_, err = a.try(t.Context(), g, publish.Options{})
		wantFork(t, err, ours, g.Digest(repository, channel))
	}
}

// Two of a's publishes are lost to b, who was held for all that time. Their
// versions are not used again.
func TestPublishRebaseAfterTwoLostPublishes(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	start := g.Digest(repository, channel)
	reader, err := trust.New(a.root1(), trust.Options{Source: trust.RepositorySource(remote(t, g, repository), channel), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a1", "a2"} {
		a.stage("", name, "of a")
		a.publish(g)
	}
	if _, err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	retag(t, g, channel, start)
	b.stage("team", "team/b", "of b")
	b.publish(g)
	if _, err := reader.Refresh(t.Context()); !errors.Is(err, trust.ErrRollback) {
		t.Errorf("a client that saw what was lost: %v", err)
	}
	if _, err := a.try(t.Context(), g, publish.Options{Rebase: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a1", "a2"} {
		if content(t, g, a, name) != "of a" {
			t.Errorf("%s is lost", name)
		}
	}
	if _, err := reader.Refresh(t.Context()); err != nil {
		t.Errorf("a client that saw what was lost: %v", err)
	}
}

// Killed at any request, a publish that makes its changes again can be repeated.
func TestPublishRebaseKilledAtAnyRequest(t *testing.T) {
	t.Parallel()
	for i, when := range tuftest.Whens {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			origin, first, _, _ := forked(t, "", "team")
			b := first.twin()
			for n := 1 + i; ; n += raceStride {
				g, a := duplicate(t, origin), first.twin()
				a.stage("", "more", "more")
				g.KillAt(n, when)
				_, err := a.try(t.Context(), g, publish.Options{Rebase: true})
				dead := g.Killed()
				if dead == (err == nil) {
					t.Errorf("request %d: killed is %v, error %v", n, dead, err)
				}
				g.Revive()
				if _, err := refreshAt(t, g, b); err != nil {
					t.Errorf("request %d: consumer: %v", n, err)
				}
				a = a.twin()
				if _, err := a.try(t.Context(), g, publish.Options{Rebase: true}); err != nil {
					t.Errorf("request %d: once more: %v", n, err)
				}
				if content(t, g, a, "team/a") != "of a" || content(t, g, a, "more") != "more" || content(t, g, a, "team/b") != "of b" {
					t.Errorf("request %d: a change is missing", n)
				}
				if result := a.publish(g); !result.Unchanged {
					t.Errorf("request %d: a third publish was needed", n)
				}
				if !dead {
					break
				}
			}
		})
	}
}

// A claim of a publisher at work is waited for, as long as one likes.
func TestPublishWaits(t *testing.T) {
	t.Parallel()
	for _, comes := range []bool{true, false} {
		g, a := published(t)
		b := a.twin()
		a.stage("", "a", "of a")
		b.stage("team", "team/b", "of b")
		die(t, g, b)
		claim := g.Digest(repository, "tuf.v2")
		var waited time.Duration
		naps := 0
		result, err := a.try(t.Context(), g, publish.Options{Wait: time.Minute, Sleep: func(_ context.Context, d time.Duration) error {
			if waited, naps = waited+d, naps+1; naps == 3 && comes {
				retag(t, g, channel, claim)
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, g, a, "team/b") == "of b"; got != comes || content(t, g, a, "a") != "of a" || result.HistoryTag != "tuf.v3" {
			t.Errorf("the other came: %v, want %v; published as %s", got, comes, result.HistoryTag)
		}
		if comes && naps != 3 || waited > time.Minute || !comes && waited != time.Minute {
			t.Errorf("waited %s in %d pauses", waited, naps)
		}
	}
}

// Nobody waits for a claim that clients would not take.
func TestPublishDoesNotWaitForGarbage(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	die(t, g, b)
	var m ocispec.Manifest
	manifest, _ := g.Manifest(repository, "tuf.v2")
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	drop(&m, "metadata/2.team.json")
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	g.PutManifest(repository, "tuf.v2", manifest)
	a.stage("", "a", "of a")
	_, err = a.try(t.Context(), g, publish.Options{Wait: time.Minute, Sleep: func(context.Context, time.Duration) error {
		t.Error("waited")
		return nil
	}})
	if err != nil || content(t, g, a, "a") != "of a" {
		t.Error(err)
	}
}
