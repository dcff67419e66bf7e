package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

// weeks is a repository with one publish each six days, up to v8, and after each of them
// the workspace. It is made once. The timestamps live for seven days, so that what is
// older than 14 may go.
var weeks = sync.OnceValues(func() (ociremote.WritableRepository, error) {
	dir, err := template()
	if err != nil {
		return nil, err
	}
	at := now
	clock := func() time.Time { return at }
	repo := ociremote.NewMemory()
	for n := 1; n <= 8; n++ {
		next := week(n)
		if err := os.CopyFS(next, os.DirFS(dir)); err != nil {
			return nil, err
		}
		ws, err := metadata.Open(next, metadata.OpenOptions{Now: clock, Env: env})
		if err != nil {
			return nil, err
		}
		if _, err := publish.Publish(context.Background(), ws, repo, publish.Options{Now: clock}); err != nil {
			return nil, err
		}
		if err := ws.Close(); err != nil {
			return nil, err
		}
		dir, at = next, at.Add(6*day)
	}
	return repo, nil
})

// week is the directory of the workspace after the n-th publish.
func week(n int) string { return filepath.Join(templateDir+"-weeks", fmt.Sprint(n)) }

// weekly is a registry with so many of the publishes of weeks, and their author.
func weekly(t testing.TB, publishes int) (*tuftest.Registry, *author) {
	t.Helper()
	repo, err := weeks()
	if err != nil {
		t.Fatal(err)
	}
	g := registry(t)
	for n := range publishes {
		tag := ociremote.HistoryTag(channel, int64(n+1))
		b := bundle(t, repo, tag)
		var m ocispec.Manifest
		if err := json.Unmarshal(b.Manifest, &m); err != nil {
			t.Fatal(err)
		}
		for _, desc := range append(m.Layers, m.Config) {
			data, err := ociremote.FetchBlob(t.Context(), repo, desc, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			g.PutBlob(repository, data)
		}
		g.PutManifest(repository, tag, b.Manifest)
		g.PutManifest(repository, channel, b.Manifest)
	}
	return g, openAuthor(t, week(publishes), now.Add(time.Duration(publishes-1)*6*day))
}

func prune(t testing.TB, g *tuftest.Registry, a *author, o publish.PruneOptions) (*publish.Pruning, error) {
	t.Helper()
	o.Now = a.clock
	return publish.Prune(t.Context(), a.root1(), remote(t, g, repository), o)
}

// wantHistory checks which history tags there are.
func wantHistory(t testing.TB, g *tuftest.Registry, want ...int) {
	t.Helper()
	var got []int
	for _, tag := range g.Tags(repository) {
		if v, ok := ociremote.ParseHistoryTag(channel, tag); ok {
			got = append(got, int(v))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the history is %v, want %v", got, want)
	}
}

func removed(p *publish.Pruning) string {
	var tags []string
	for _, r := range p.Removed {
		tags = append(tags, strings.TrimPrefix(r.Tag, "tuf."))
	}
	return strings.Join(tags, " ")
}

func TestPrune(t *testing.T) {
	t.Parallel()
	g, a := weekly(t, 8)
	for _, dry := range []bool{true, false} {
		g.Reset()
		p, err := prune(t, g, a, publish.PruneOptions{Keep: 3, DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		if removed(p) != "v1 v2 v3 v4 v5" || p.Kept != 3 || len(p.Spared) != 0 {
			t.Errorf("dry run %v: %+v", dry, p)
		}
		if got := writes(g); dry && len(got) != 0 {
			t.Errorf("written: %+v", got)
		}
	}
	wantHistory(t, g, 6, 7, 8)
	if _, err := refreshAt(t, g, a); err != nil {
		t.Error(err)
	}
	if p, err := prune(t, g, a, publish.PruneOptions{Keep: 3}); err != nil || len(p.Removed) != 0 {
		t.Errorf("again: %+v, %v", p, err)
	}
	// What is younger than twice the life of the timestamp stays, whatever is asked
	// for: v8 was made now, v7 and v6 within 14 days.
	if p, err := prune(t, g, a, publish.PruneOptions{Keep: 1}); err != nil || len(p.Removed) != 0 {
		t.Errorf("keep 1: %+v, %v", p, err)
	}
	a.now = a.now.Add(3 * day)
	if p, err := prune(t, g, a, publish.PruneOptions{Keep: 1}); err != nil || removed(p) != "v6" {
		t.Errorf("keep 1, three days later: %+v, %v", p, err)
	}
}

// What is not ours, or is called something else too, stays.
func TestPruneSpares(t *testing.T) {
	t.Parallel()
	g, a := weekly(t, 6)
	g.PutBlob(repository, []byte("{}"))
	g.PutManifest(repository, "tuf.v2", foreign)
	g.PutManifest(repository, "tufx.v1", foreign)
	retag(t, g, "tuf.v3", g.Digest(repository, "tuf.v1")) // misnamed: timestamp v1
	retag(t, g, "stable", g.Digest(repository, "tuf.v4"))
	before := g.Tags(repository)
	a.now = a.now.Add(30 * day)
	p, err := prune(t, g, a, publish.PruneOptions{Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	if removed(p) != "v1 v5" || len(p.Spared) != 3 || p.Kept != 1 {
		t.Errorf("pruned %+v", p)
	}
	gone := slices.DeleteFunc(before, func(tag string) bool { return g.Digest(repository, tag) != "" })
	if fmt.Sprint(gone) != "[tuf.v1 tuf.v5]" {
		t.Errorf("gone are %v", gone)
	}
	// From another root nothing is removed.
	_, err = publish.Prune(t.Context(), tuftest.NewRepo(t, tuftest.RepoOptions{}).RootBytes(), remote(t, g, repository), publish.PruneOptions{Keep: 1, Now: a.clock})
	wantErr(t, err, trust.ErrWrongRoot)
	// Nor behind a head that went back.
	_, err = prune(t, g, a, publish.PruneOptions{Keep: 1, Seen: []trust.Seen{{Timestamp: 7}}})
	wantErr(t, err, trust.ErrRollback)
}

// A head that was put back keeps what is above it, which somebody may bring back.
func TestPruneBelowHeadThatWentBack(t *testing.T) {
	t.Parallel()
	g, a := weekly(t, 6)
	retag(t, g, channel, g.Digest(repository, "tuf.v3"))
	a.now = a.now.Add(30 * day)
	p, err := prune(t, g, a, publish.PruneOptions{Keep: 1})
	if err != nil || removed(p) != "v1 v2" {
		t.Errorf("pruned %+v, %v", p, err)
	}
	wantHistory(t, g, 3, 4, 5, 6)
}

// Claims that were overtaken go although they are among the newest, forks stay.
func TestPruneDeadClaims(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	die(t, g, b)
	a = b.twin() // goes on with what b staged, under the next version
	a.now = a.now.Add(time.Minute)
	a.stage("", "a", "of a")
	a.publish(g)
	c := a.twin()
	c.stage("", "c", "of c")
	die(t, g, c) // v4, a fork once it is overtaken
	a.stage("team", "team/a", "of a")
	a.publish(g)
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v5 head, v4 fork, v3 ancestor, v2 overtaken, v1 ancestor")
	if p, err := prune(t, g, a, publish.PruneOptions{}); err != nil || len(p.Removed) != 0 {
		t.Errorf("at once: %+v, %v", p, err)
	}
	a.now = a.now.Add(15 * day)
	// A claim is never removed by its manifest: somebody may make that the head.
	g.Intercept(deletes(http.StatusBadRequest, 0))
	_, err := prune(t, g, a, publish.PruneOptions{})
	wantErr(t, err, publish.ErrNoDelete)
	wantHistory(t, g, 1, 2, 3, 4, 5)
	g.Intercept(nil)
	p, err := prune(t, g, a, publish.PruneOptions{})
	if err != nil || removed(p) != "v2" || !p.Removed[0].Claim {
		t.Errorf("pruned %+v, %v", p, err)
	}
	wantHistory(t, g, 1, 3, 4, 5)
}

// Nor a claim above the head, although it was overtaken: its version is not to be given
// away again.
func TestPruneKeepsClaimsAboveHead(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	b.stage("team", "team/b", "of b")
	g.PutBlob(repository, []byte("{}"))
	g.PutManifest(repository, "tuf.v2", foreign)
	die(t, g, b) // v3
	g.DeleteTag(repository, "tuf.v2")
	a = b.twin()
	a.now = a.now.Add(time.Minute)
	a.stage("", "a", "of a")
	claim, _ := g.Manifest(repository, "tuf.v3")
	g.DeleteTag(repository, "tuf.v3") // else a would publish once more, above it
	a.publish(g)                      // v2, with what b staged
	g.PutManifest(repository, "tuf.v3", claim)
	wantStates(t, historyOf(t, g, a, publish.HistoryOptions{}), "v3 overtaken, v2 head, v1 ancestor")
	a.now = a.now.Add(15 * day)
	if p, err := prune(t, g, a, publish.PruneOptions{}); err != nil || len(p.Removed) != 0 {
		t.Errorf("pruned %+v, %v", p, err)
	}
}

// Registries that remove no tags, or nothing at all, or not for everybody.
func TestPruneWhereRegistriesDiffer(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	for name, test := range map[string]struct {
		tags, manifests int // what a DELETE is answered with; 0: it is carried out
		want            error
		left            []int
	}{
		"manifests only":          {tags: http.StatusBadRequest, left: []int{3, 4}},
		"manifests only, and 405": {tags: http.StatusMethodNotAllowed, left: []int{3, 4}},
		"manifests only, and 404": {tags: http.StatusNotFound, left: []int{3, 4}},
		"nothing":                 {tags: http.StatusMethodNotAllowed, manifests: http.StatusMethodNotAllowed, want: publish.ErrNoDelete, left: []int{1, 2, 3, 4}},
		"nothing, and 501":        {tags: http.StatusNotImplemented, manifests: http.StatusNotImplemented, want: publish.ErrNoDelete, left: []int{1, 2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, a := weekly(t, 4)
			a.now = a.now.Add(6 * day)
			g.Intercept(deletes(test.tags, test.manifests))
			_, err := prune(t, g, a, publish.PruneOptions{Keep: 2})
			if !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			wantHistory(t, g, test.left...)
		})
	}
	g, a := weekly(t, 4)
	a.now = a.now.Add(6 * day)
	g.Intercept(deletes(http.StatusForbidden, 0))
	_, err := prune(t, g, a, publish.PruneOptions{Keep: 2})
	if _, ok := errors.AsType[*ociremote.AuthError](err); !ok {
		t.Errorf("error is %v", err)
	}
	wantHistory(t, g, 1, 2, 3, 4)
	// A manifest that has another tag of its history is not removed with it.
	g.Intercept(deletes(http.StatusBadRequest, 0))
	retag(t, g, "tuf.v9", g.Digest(repository, "tuf.v1"))
	p, err := prune(t, g, a, publish.PruneOptions{Keep: 2})
	if err != nil || removed(p) != "v2" || len(p.Spared) != 1 {
		t.Errorf("pruned %+v, %v", p, err)
	}
}

// deletes answers DELETE of tags and of manifests with a status; 0 lets them through.
func deletes(tags, manifests int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		status := tags
		if strings.Contains(r.URL.Path, "/manifests/sha256:") {
			status = manifests
		}
		if r.Method != http.MethodDelete || status == 0 {
			next.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(status)
	}
}

// Between the look and the removal the head is put back to what is about to go.
func TestPruneSeesHeadMove(t *testing.T) {
	t.Parallel()
	g, a := weekly(t, 4)
	a.now = a.now.Add(6 * day)
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/manifests/tuf.v1") && r.Method == http.MethodGet {
			retag(t, g, channel, g.Digest(repository, "tuf.v2"))
		}
		next.ServeHTTP(w, r)
	})
	_, err := prune(t, g, a, publish.PruneOptions{Keep: 2})
	wantErr(t, err, publish.ErrMoving)
	wantHistory(t, g, 1, 2, 3, 4)
}

// Killed at any request, a prune leaves what it keeps, and can be repeated.
func TestPruneKilledAtAnyRequest(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	origin, a := weekly(t, 3)
	a.now = a.now.Add(12 * day)
	for i, when := range tuftest.Whens {
		for n := 1 + i%stride; ; n += stride {
			g := duplicate(t, origin)
			g.KillAt(n, when)
			_, err := prune(t, g, a, publish.PruneOptions{Keep: 1})
			dead := g.Killed()
			if dead == (err == nil) {
				t.Errorf("request %d: killed is %v, error %v", n, dead, err)
			}
			g.Revive()
			if _, err := refreshAt(t, g, a); err != nil && !errors.Is(err, trust.ErrExpired) {
				t.Errorf("request %d: consumer: %v", n, err)
			}
			if _, err := prune(t, g, a, publish.PruneOptions{Keep: 1}); err != nil {
				t.Errorf("request %d: again: %v", n, err)
			}
			wantHistory(t, g, 3)
			if !dead {
				break
			}
		}
	}
}

// A publish removes what has become old, in few requests, and in none if there is nothing.
func TestPublishPrunes(t *testing.T) {
	t.Parallel()
	tuftest.Sequential(t)
	g, a := weekly(t, 6)
	next := func() (result *publish.Result, extra int, said *warnings) {
		t.Helper()
		a.now = a.now.Add(6 * day)
		g.Reset()
		said = &warnings{}
		result, err := a.try(t.Context(), g, publish.Options{Keep: 4, Warn: said.add})
		if err != nil {
			t.Fatal(err)
		}
		requests := g.Requests()
		last := slices.IndexFunc(requests, func(r tuftest.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.Path, "/manifests/tuf")
		})
		return result, len(requests) - last - 4, said // both tags were read back, and the next claim looked for
	}
	if seventh, extra, _ := next(); len(seventh.Pruned) != 0 || extra != 0 {
		t.Errorf("v7 removed %v with %d requests", seventh.Pruned, extra)
	}
	elsewhere, b := duplicate(t, g), a.twin()
	// A list of tags, four bundles, all tags, the head, four tags removed.
	if eighth, extra, _ := next(); fmt.Sprint(eighth.Pruned) != "[tuf.v1 tuf.v2 tuf.v3 tuf.v4]" || extra != 11 {
		t.Errorf("v8 removed %v with %d requests", eighth.Pruned, extra)
	}
	wantHistory(t, g, 5, 6, 7, 8)

	// A manifest that goes by another name too is not removed with its tag.
	g, a = duplicate(t, elsewhere), b.twin()
	retag(t, g, "tuf.v7", g.Digest(repository, "tuf.v1"))
	g.Intercept(deletes(http.StatusBadRequest, 0))
	if _, _, said := next(); !strings.Contains(said.String(), "tuf.v7") {
		t.Errorf("warnings: %s", said)
	}
	wantHistory(t, g, 1, 2, 3, 4, 5, 6, 7, 8)

	// Where nothing is removed, one warning says so.
	g, a = elsewhere, b
	g.Intercept(deletes(http.StatusMethodNotAllowed, http.StatusMethodNotAllowed))
	result, _, said := next()
	if result.HistoryTag != "tuf.v8" || len(result.Pruned) != 0 || strings.Count(said.String(), "does not let go") != 1 {
		t.Errorf("published %+v, warnings: %s", result, said)
	}
}
