package publish_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/publish"
	"github.com/tufoci/tufoci/trust"
)

// stride is how far apart the requests are at which a run is killed or overtaken: each
// costs a registry and three publishes. The kinds of death begin at different requests.
var stride = tuftest.Scale(17, 9, 1)

// Whatever the registry does at whichever request, consumers are left on the
// old state or on the new one, and the next publish succeeds.
func TestPublishKilledAtAnyRequest(t *testing.T) {
	t.Parallel()
	for i, when := range tuftest.Whens {
		begin := 1 + i%stride
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			origin, first := published(t)
			for n := begin; killed(t, n, when, duplicate(t, origin), first.twin()); n += stride {
			}
		})
		t.Run("first publish "+when.String(), func(t *testing.T) {
			t.Parallel()
			for n := begin; killed(t, n, when, registry(t), newAuthor(t)); n += stride {
			}
		})
	}
}

// killed reports whether the publish got as far as the n-th request.
func killed(t *testing.T, n int, when tuftest.When, g *tuftest.Registry, a *author) bool {
	t.Helper()
	before := g.Digest(repository, channel) != ""
	a.stage("", "hello.txt", "hello again")
	g.KillAt(n, when)
	_, err := a.try(t.Context(), g, publish.Options{})
	dead := g.Killed()
	if dead == (err == nil) {
		t.Errorf("request %d: killed is %v, error %v", n, dead, err)
	}
	g.Revive()

	// Consumers, those of the old state too.
	switch view, err := refreshAt(t, g, a); {
	case err != nil && before:
		t.Errorf("request %d: consumer: %v", n, err)
	case err == nil:
		data, _, err := view.Get(t.Context(), "hello.txt")
		if s := string(data); err != nil || s != "hello again" && (s != "hello" || !before) {
			t.Errorf("request %d: consumers see %q (%v)", n, s, err)
		}
	}

	// The next publish, from the workspace as a killed process left it.
	a = a.twin()
	if _, err := a.try(t.Context(), g, publish.Options{}); err != nil {
		t.Errorf("request %d: next publish: %v", n, err)
	}
	if got := content(t, g, a, "hello.txt"); got != "hello again" {
		t.Errorf("request %d: consumers see %q after the next publish", n, got)
	}
	if result := a.publish(g); !result.Unchanged {
		t.Errorf("request %d: a third publish was needed: %+v", n, result)
	}
	return dead
}

func refreshAt(t testing.TB, g *tuftest.Registry, a *author) (*trust.View, error) {
	t.Helper()
	return refresh(t.Context(), a.root1(), trust.Options{Source: trust.RepositorySource(remote(t, g, repository), channel), Now: a.clock})
}

// Two publishers with one start: the second one publishes as a whole just
// before any request of the first. Nobody's change is lost
// without an error for its author, then or at the next publish.
func TestPublishRace(t *testing.T) {
	t.Parallel()
	for name, roles := range map[string][2]string{"same role": {"", ""}, "two roles": {"", "team"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			origin, first := published(t)
			for n := 1; ; n += stride {
				g := duplicate(t, origin)
				a, b := first.twin(), first.twin()
				a.stage(roles[0], "a", "of a")
				b.stage(roles[1], "team/b", "of b")
				var errB error
				reached := interrupt(g, n, func() { _, errB = b.try(t.Context(), g, publish.Options{}) })
				_, errA := a.try(t.Context(), g, publish.Options{})
				if !*reached {
					break
				}
				lost := func(who *author, name, want string, err error) bool {
					if content(t, g, a, name) == want {
						if err != nil {
							t.Errorf("request %d: the change of %s is published, and its author was told %v", n, name, err)
						}
						return false
					}
					if err == nil {
						_, err = who.try(t.Context(), g, publish.Options{})
					}
					if !errors.Is(err, publish.ErrConflict) && !errors.Is(err, publish.ErrFork) && !errors.Is(err, publish.ErrMoving) {
						t.Errorf("request %d: the change of %s is lost, and its author was told %v", n, name, err)
					}
					return true
				}
				lostA, lostB := lost(a, "a", "of a", errA), lost(b, "team/b", "of b", errB)
				if lostA && lostB {
					t.Errorf("request %d: nobody's change was published", n)
				}
			}
		})
	}
}

// interrupt runs do before the n-th request from now.
func interrupt(g *tuftest.Registry, n int, do func()) *bool {
	var mu sync.Mutex
	reached := new(bool)
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		n--
		now := n == 0
		*reached = *reached || now
		mu.Unlock()
		if now {
			do()
		}
		next.ServeHTTP(w, r)
	})
	return reached
}

// The claim that another publisher has made by the last look stays with it, also where
// the registry lets everything be overwritten.
func TestPublishTakesNoClaim(t *testing.T) {
	t.Parallel()
	g, a := published(t)
	b := a.twin()
	a.stage("", "a", "of a")
	b.stage("team", "team/b", "of b")
	var looks atomic.Int64
	var theirs *publish.Result
	g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/manifests/tuf.v2") && looks.Add(1) == 2 { // the first is before the work
			theirs = b.publish(g)
		}
		next.ServeHTTP(w, r)
	})
	result := a.publish(g)
	if theirs == nil {
		t.Fatalf("%d looks at the claim", looks.Load())
	}
	if got := g.Digest(repository, "tuf.v2"); got != theirs.Digest.String() || result.HistoryTag != "tuf.v3" {
		t.Errorf("tuf.v2 is %s, theirs was %s; ours is %s", got, theirs.Digest, result.HistoryTag)
	}
}

// The head moves after each plan: three more plans, then an error.
func TestPublishHeadKeepsMoving(t *testing.T) {
	t.Parallel()
	for _, moves := range []int64{3, 4} {
		g, a := published(t)
		b := a.twin()
		a.stage("", "a", "of a")
		var made atomic.Int64
		g.Intercept(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r)
			done := made.Load()
			claim := fmt.Sprintf("/v2/%s/manifests/tuf.v%d", repository, 2+2*done) // those between are of b
			if r.Method != http.MethodPut || r.URL.Path != claim || done == moves {
				return
			}
			made.Add(1)
			b.stage("team", fmt.Sprintf("team/%d", done), "of b")
			if _, err := b.try(t.Context(), g, publish.Options{}); err != nil {
				t.Errorf("move %d: %v", done, err)
			}
		})
		_, err := a.try(t.Context(), g, publish.Options{})
		if moves == 3 && err != nil {
			t.Errorf("after 3 moves: %v", err)
		}
		if moves == 4 && !errors.Is(err, publish.ErrMoving) {
			t.Errorf("after 4 moves: %v", err)
		}
		g.Intercept(nil)
		uploads := slices.DeleteFunc(g.Requests(), func(r tuftest.Request) bool {
			return r.Method != http.MethodPut || !strings.Contains(r.Query, url.QueryEscape(tuftest.Digest([]byte("of a"))))
		})
		if len(uploads) != 1 {
			t.Errorf("after %d moves: the target was sent %d times", moves, len(uploads))
		}
		if got := content(t, g, a, "a"); (got == "of a") != (moves == 3) {
			t.Errorf("after %d moves consumers see %q", moves, got)
		}
	}
}
