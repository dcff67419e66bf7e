//go:build e2e

package publish_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/pause"
	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

const (
	// crowdSeed decides who pauses where.
	crowdSeed = 5
	// crowdWait is how long each waits for another at work, with pauses a
	// crowdHaste-th of what people have.
	crowdWait  = 10 * time.Minute
	crowdHaste = 8
	// lookEvery is how long a consumer rests.
	lookEvery = 100 * time.Millisecond
	// crowdTries bounds how often one change is published anew: with eight at work
	// each has lost to the seven others more than once.
	crowdTries = 100
)

// createOnly is a registry that keeps history tags: a manifest under one that is
// there with other bytes is refused, atomically.
func createOnly(g *tuftest.Registry) {
	var mu sync.Mutex
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		_, tag, isManifest := strings.Cut(r.URL.Path, "/manifests/")
		if r.Method != http.MethodPut || !isManifest || !strings.HasPrefix(tag, channel+".v") {
			next.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if g.Digest(repository, tag) != "" {
			w.WriteHeader(http.StatusConflict)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// member is one of a crowd of publishers.
type member struct {
	*author
	name    string
	changes int
	pause   *rand.Rand
	// conflicts, forks and busy count what it was told.
	conflicts, forks, busy int
}

// rest lets others go first, the longer the more often one has lost.
func (m *member) rest(ctx context.Context, lost int) {
	_ = pause.For(ctx, time.Duration(m.pause.IntN(100*min(lost, 8)))*time.Millisecond)
}

// entryName is the n-th change of a member: an image that is signed.
func entryName(m *member, n int) string { return fmt.Sprintf("images/%s:%d", m.name, n) }

// sign stages the n-th change.
func (m *member) sign(t *testing.T, n int) {
	name := entryName(m, n)
	line := fmt.Sprintf(`{"path":%q,"length":1,"hashes":{"sha256":%q}}`, name, strings.TrimPrefix(tuftest.Digest([]byte(name)), "sha256:"))
	if _, err := m.ws.AddTargetEntries(strings.NewReader(line), metadata.TargetOptions{}); err != nil {
		t.Error(err)
	}
}

// publishAll publishes one change after the other, in the role that all share.
func (m *member) publishAll(ctx context.Context, t *testing.T, g *tuftest.Registry) {
	repo := remoteAs(t, g, m.name)
	for n := range m.changes {
		m.sign(t, n)
		m.rest(t.Context(), 1)
		o := publish.Options{Now: m.clock, Wait: crowdWait, Sleep: func(ctx context.Context, d time.Duration) error {
			return pause.For(ctx, d/crowdHaste)
		}}
		for try := 0; ; try++ {
			_, err := publish.Publish(ctx, m.ws, repo, o)
			if err == nil {
				break
			}
			switch {
			case errors.Is(err, publish.ErrFork):
				m.forks++
			case errors.Is(err, publish.ErrConflict):
				m.conflicts++
			case errors.Is(err, publish.ErrMoving):
				m.busy++
			default:
				t.Errorf("%s, change %d: %v", m.name, n, err)
				return
			}
			if try == crowdTries {
				t.Errorf("%s, change %d: still %v", m.name, n, err)
				return
			}
			o.Rebase = true
			m.rest(t.Context(), try+1)
		}
	}
}

// consume refreshes until stop, with one state or each time with none, and says
// how often.
func consume(t *testing.T, g *tuftest.Registry, a *author, fresh, strict bool, stop <-chan struct{}) int {
	source := func() trust.Options {
		return trust.Options{Source: trust.RepositorySource(remoteAs(t, g, "consumer"), channel), Now: a.clock}
	}
	root := a.root1()
	client, err := trust.New(root, source())
	if err != nil {
		t.Error(err)
		return 0
	}
	var newest int64
	for n := 0; ; n++ {
		select {
		case <-stop:
			return n
		case <-time.After(lookEvery):
		}
		if fresh {
			if client, err = trust.New(root, source()); err != nil {
				t.Error(err)
				return n
			}
		}
		view, err := client.Refresh(t.Context())
		switch {
		case err != nil && strict:
			t.Errorf("refresh %d (fresh %v): %v", n, fresh, err)
			return n
		case err != nil:
			continue
		}
		version := view.Status().Timestamp.Version
		if version < newest && strict {
			t.Errorf("refresh %d (fresh %v): timestamp v%d after v%d", n, fresh, version, newest)
		}
		newest = max(newest, version)
	}
}

// throng lets a crowd publish while others read, and returns what the members
// were told.
func throng(t *testing.T, g *tuftest.Registry, first *author, size, changes int, strict bool) []*member {
	t.Helper()
	var publishers, consumers sync.WaitGroup
	stop := make(chan struct{})
	var looks atomic.Int64
	for _, fresh := range []bool{false, false, true} {
		reader := first.twin()
		consumers.Go(func() { looks.Add(int64(consume(t, g, reader, fresh, strict, stop))) })
	}
	members := make([]*member, size)
	for i := range members {
		m := &member{author: first.twin(), name: fmt.Sprintf("p%d", i), changes: changes, pause: rand.New(rand.NewPCG(crowdSeed, uint64(i)))}
		members[i] = m
		publishers.Go(func() { m.publishAll(t.Context(), t, g) })
	}
	publishers.Wait()
	close(stop)
	consumers.Wait()
	t.Logf("%d looks of consumers", looks.Load())
	return members
}

// settle lets each member go on until nothing of it is left to be published.
func settle(t *testing.T, g *tuftest.Registry, members []*member) {
	t.Helper()
	for round := range 2 * len(members) {
		done := true
		for _, m := range members {
			switch result, err := m.try(t.Context(), g, publish.Options{}); {
			case errors.Is(err, publish.ErrFork), errors.Is(err, publish.ErrConflict):
				m.forks++
				done = false
				var said warnings
				if _, err := m.try(t.Context(), g, publish.Options{Rebase: true, Warn: said.add}); err != nil {
					t.Errorf("round %d: %s: %v\n%s", round, m.name, err, &said)
				}
			case err != nil:
				t.Errorf("round %d: %s: %v", round, m.name, err)
			case !result.Unchanged:
				done = false
			}
		}
		if done {
			return
		}
	}
	t.Error("there is always something left to be published")
}

// landed holds the head to all changes of all members.
func landed(t *testing.T, g *tuftest.Registry, members []*member) {
	t.Helper()
	view := see(t, members[0].root1(), remote(t, g, repository))
	list, err := view.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, target := range list {
		count[target.Path]++
	}
	for _, m := range members {
		for n := range m.changes {
			if name := entryName(m, n); count[name] != 1 {
				t.Errorf("%s is there %d times", name, count[name])
			}
		}
		t.Logf("%s: %d conflicts, %d forks, %d times overtaken", m.name, m.conflicts, m.forks, m.busy)
	}
}

// Where a history tag can only be made once, eight publishers with 25 changes
// each, all in one role, land every change exactly once, at once or after they
// were told, and no consumer sees an error or a state that goes back.
func TestCrowdWithCreateOnlyTags(t *testing.T) {
	g, first := published(t)
	createOnly(g)
	members := throng(t, g, first, 8, 25, true)
	landed(t, g, members)
	settle(t, g, members)
	landed(t, g, members)
}

// Where the last write wins, changes are lost for a while, but none silently:
// whoever lost one is told at the next publish and publishes it after all.
func TestCrowdWithoutAtomicTags(t *testing.T) {
	g, first := published(t)
	members := throng(t, g, first, 4, 6, false)
	settle(t, g, members)
	landed(t, g, members)
}
