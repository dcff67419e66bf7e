package trust_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// In part, it is one source on the network and one on disk, through every rotation once.
var (
	longRounds = tuftest.Scale(6, 6, 18)
	twoKinds   = []tuftest.Kind{tuftest.InRegistry, tuftest.InArchive}
	longKinds  = tuftest.Scale(twoKinds, twoKinds, tuftest.Kinds)
)

// TestLongLived lets readers ask one refresher all the time, while the repository
// moves on, its keys change, and its registry fails in all the ways that it comes
// back from. Each view is one published state, whole; none is older than the one
// before; and in the end nothing is left, no goroutine and no descriptor.
//
// It is not parallel: what is open in the process is counted.
func TestLongLived(t *testing.T) {
	for _, kind := range longKinds {
		t.Run(string(kind), func(t *testing.T) { tuftest.NothingLeft(t, func(t *testing.T) { liveLong(t, kind) }) })
	}
}

const longReaders = 4

func liveLong(t *testing.T, kind tuftest.Kind) {
	repo := tuftest.NewRepo(t, tuftest.RepoOptions{})
	repo.Delegate("targets", "team", []string{"team/*"}, false)
	place := tuftest.NewPlace(t, kind)
	publish := func(round int) {
		repo.AddTarget("app", fmt.Appendf(nil, "app %d", round))
		repo.AddTargetTo("team", "team/app", fmt.Appendf(nil, "team %d", round))
		repo.Publish()
		place.Put(repo.Files(), tuftest.PackOptions{Inline: []string{repo.Title("timestamp")}})
	}
	publish(0)
	client, err := ociremote.NewClient(ociremote.Options{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.HTTP().CloseIdleConnections)
	source, err := fetcher.ParseSource(place.Source())
	if err != nil {
		t.Fatal(err)
	}
	c, err := trust.New(repo.RootBytes(), trust.Options{
		Source: source, Client: client, StateDir: t.TempDir(), CacheDir: t.TempDir(),
		Now: func() time.Time { return tuftest.Epoch.Add(time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	seen := make(chan int64) // versions of timestamp, one for each attempt; 0 for one that failed
	r, err := trust.NewRefresher(ctx, c, trust.RefresherOptions{
		Min: time.Millisecond, Max: 2 * time.Millisecond, Jitter: 0.5,
		OnRefresh: func(v *trust.View, err error) {
			var version int64
			if err == nil {
				version = v.Status().Timestamp.Version
			}
			select {
			case seen <- version:
			case <-ctx.Done():
			default: // nobody waits
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	var reads atomic.Int64
	for range longReaders {
		readers.Go(func() { readLong(ctx, t, r, &reads) })
	}
	for round := 1; round <= longRounds; round++ {
		outage(t, place, round, seen)
		for _, name := range rotations[round%len(rotations)] {
			repo.RotateKey(name)
		}
		publish(round)
		want := repo.Version("timestamp")
		for version := range seen {
			if version == want {
				break
			}
		}
	}
	view, err := r.View()
	if err != nil {
		t.Fatal(err)
	}
	if data, _, err := view.Get(t.Context(), "team/app"); err != nil || string(data) != fmt.Sprint("team ", longRounds) {
		t.Errorf("%q, %v", data, err)
	}
	end()
	<-r.Done()
	readers.Wait()
	if reads.Load() == 0 {
		t.Error("nobody could read")
	}
	// What was verified goes on being served for as long as it is fresh.
	if _, err := r.View(); err != nil {
		t.Error(err)
	}
}

// rotations are the roles whose keys change in one round, turn by turn.
var rotations = [][]string{nil, {"root"}, {"timestamp"}, {"snapshot", "team"}, {"targets"}, {"root", "timestamp", "snapshot", "targets"}}

// outage takes the source away in one of several ways until refreshes have failed,
// and gives it back. Sources on disk have no outage.
func outage(t *testing.T, place *tuftest.Place, round int, seen <-chan int64) {
	t.Helper()
	if place.Registry() == nil && place.Kind() != tuftest.OverHTTP {
		return
	}
	ways := []func(w http.ResponseWriter, r *http.Request){
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("cut off"))
		},
	}
	way := ways[round%len(ways)]
	place.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { way(w, r) })
	defer place.Intercept(nil)
	for range 2 {
		for version := range seen {
			if version == 0 {
				break
			}
		}
	}
}

// readLong reads like a program that runs for long: the newest view each time, and
// from it what it needs.
func readLong(ctx context.Context, t *testing.T, r *trust.Refresher, reads *atomic.Int64) {
	var newest int64
	for ctx.Err() == nil {
		view, err := r.View()
		if err != nil {
			t.Errorf("view: %v", err)
			return
		}
		status := view.Status()
		if status.Timestamp.Version < newest {
			t.Errorf("timestamp v%d after v%d", status.Timestamp.Version, newest)
		}
		newest = status.Timestamp.Version
		app, target, err := view.Get(ctx, "app")
		if err != nil {
			continue // the files of this view are gone with the source, or replaced
		}
		// Each round changes targets and the delegated role together, from v2 on.
		if want := fmt.Sprint("app ", target.RoleVersion-2); string(app) != want || target.RoleVersion != status.Targets.Version {
			t.Errorf("%q of targets v%d, want %q", app, target.RoleVersion, want)
		}
		team, of, err := view.Get(ctx, "team/app")
		if err != nil {
			continue
		}
		if want := fmt.Sprint("team ", of.RoleVersion-1); string(team) != want {
			t.Errorf("%q of team v%d, want %q", team, of.RoleVersion, want)
		}
		reads.Add(1)
	}
}

// A view that has expired is refreshed at once when somebody asks for it, however long
// the wait was meant to be: timers stand still while a machine sleeps.
func TestRefresherWakesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	synctest.Test(t, func(t *testing.T) {
		now := w.now
		ctx, end := context.WithCancel(t.Context())
		defer end()
		results := make(chan error, 1)
		r, err := trust.NewRefresher(ctx, w.client(func(o *trust.Options) { o.Now = func() time.Time { return now } }),
			trust.RefresherOptions{Max: time.Hour, OnRefresh: func(_ *trust.View, err error) { results <- err }})
		if err != nil {
			t.Fatal(err)
		}
		<-results
		synctest.Wait() // for an hour
		started := time.Now()
		now = now.AddDate(1, 0, 0)
		w.SetNow(now)
		w.Touch("root", "targets")
		w.publish()
		if _, err := r.View(); !errors.Is(err, trust.ErrExpired) {
			t.Fatalf("error %v", err)
		}
		if err := <-results; err != nil || time.Since(started) > time.Minute {
			t.Errorf("after %v: %v", time.Since(started), err)
		}
		if v, err := r.View(); err != nil || v.Status().Timestamp.Version != 2 {
			t.Errorf("%v", err)
		}
	})
}

// That the delegators of a role were replaced, again and again, fills no memory.
func TestReplacedDelegatorsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.Delegate("targets", "team", []string{"team/*"}, false)
	w.AddTargetTo("team", "team/app", []byte("app"))
	client := w.client()
	first := 0
	for round := range 4 {
		w.AddTarget("app", fmt.Append(nil, round)) // and team stays as it is
		w.publish()
		view, err := client.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := view.Get(t.Context(), "team/app"); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			first = client.Verified()
		}
	}
	if n := client.Verified(); n != first {
		t.Errorf("%d verifications are remembered, %d were after the second refresh", n, first)
	}
}

// A view that is kept reads more than its total, one file after the other: what is in
// the cache is not held in memory, nor is what was refused.
func TestKeptViewHoldsNoFiles(t *testing.T) {
	t.Parallel()
	const size, files = 10_000, 8
	w := newWorld(t, tuftest.RepoOptions{})
	for i := range files {
		w.AddTarget(fmt.Sprint("file", i), bytes.Repeat([]byte{byte(i)}, size))
	}
	other := digest.FromString("other").Encoded()
	w.AddEntry("targets", "wrong", size, other, nil)
	w.edit = func(all map[string][]byte) { all["targets/"+other+".wrong"] = make([]byte, size) }
	w.pack.NoInline = true
	w.publish()
	view := w.mustRefresh(func(o *trust.Options) { o.Limits.Total = 3 * size })
	for i := range files {
		if _, _, err := view.Get(t.Context(), fmt.Sprint("file", i)); err != nil {
			t.Fatal(err)
		}
		_, _, err := view.Get(t.Context(), "wrong")
		refused(t, err, trust.ErrMismatch)
	}
}
