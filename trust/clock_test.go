package trust_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tufoci/tufoci/internal/tuftest"
	"github.com/tufoci/tufoci/trust"
)

// ways are all in which a client comes to a view.
func (w *world) ways() map[string]func() (*trust.View, error) {
	ctx := w.t.Context()
	beside := trust.Copy{Place: trust.PlaceBeside, Repository: w.at, Name: channel, Reference: "registry.example/app:tuf"}
	return map[string]func() (*trust.View, error){
		"Refresh":            func() (*trust.View, error) { return w.refresh() },
		"RefreshIfReachable": func() (*trust.View, error) { return w.client().RefreshIfReachable(ctx) },
		"RefreshFrom":        func() (*trust.View, error) { return w.client().RefreshFrom(ctx, beside) },
		"Load":               func() (*trust.View, error) { return w.client().Load(ctx) },
		"LoadFrom":           func() (*trust.View, error) { return w.client().LoadFrom(ctx) },
	}
}

// Whatever the clock does between two runs, and however a view is come by.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	const life = 30 * 24 * time.Hour // of all roles
	for name, tt := range map[string]struct {
		jump time.Duration // from the last success
		want error
	}{
		"back by 5 minutes":           {-5 * time.Minute, nil},
		"back by a little more":       {-5*time.Minute - time.Nanosecond, trust.ErrClock},
		"back by years":               {-10 * 365 * 24 * time.Hour, trust.ErrClock},
		"ahead, before expiry":        {life - time.Hour - time.Nanosecond, nil},
		"ahead, to expiry":            {life - time.Hour, trust.ErrExpired},
		"ahead by years, past expiry": {10 * 365 * 24 * time.Hour, trust.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tuftest.RepoOptions{Life: life})
			w.mustRefresh()
			start := w.now
			before := w.stateFiles()["source.json"]
			for way, do := range w.ways() {
				w.now = start.Add(tt.jump)
				w.at.reset()
				if _, err := do(); !errors.Is(err, tt.want) {
					t.Errorf("%s: error %v, want %v", way, err, tt.want)
				}
				if tt.want == trust.ErrClock && way != "RefreshFrom" && w.at.requests() > 0 { // a copy is read first, and then judged
					t.Errorf("%s: the source was asked", way)
				}
				if tt.want == nil {
					continue
				}
				if w.stateFiles()["source.json"] != before {
					t.Errorf("%s: a refusal left a mark", way)
				}
				w.now = start
				if _, err := do(); err != nil {
					t.Errorf("%s: with the clock set right: %v", way, err)
				}
			}
		})
	}
}

// Small steps back do not add up: the last success is never an earlier one.
func TestSuccessOnlyGoesForward(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.now = w.now.Add(-4 * time.Minute)
	w.publish()
	w.mustRefresh()
	w.now = w.now.Add(-4 * time.Minute)
	_, err := w.refresh()
	refused(t, err, trust.ErrClock)
}

// A clock that was ahead once blocks until it is that late, which is before what was
// accepted expires. Who cannot wait gives up what was seen, knowingly.
func TestClockThatWasAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{Life: 7 * 24 * time.Hour})
	right := w.now
	w.now = right.AddDate(0, 0, 6)
	w.mustRefresh()
	w.now = right.AddDate(0, 0, 30) // too far ahead: nothing is fresh, and nothing is noted
	_, err := w.refresh()
	refused(t, err, trust.ErrExpired)
	for _, days := range []int{0, 5} {
		w.now = right.AddDate(0, 0, days)
		_, err := w.refresh()
		refused(t, err, trust.ErrClock)
	}
	w.now = right.AddDate(0, 0, 6)
	w.mustRefresh()
	w.now = right
	if err := os.RemoveAll(filepath.Dir(w.stateFile("lock"))); err != nil { // as `trust rm --forget` does
		t.Fatal(err)
	}
	w.mustRefresh()
}

// One refresh has one time, that of its beginning, whatever the clock does meanwhile.
func TestClockJumpsInOneRefresh(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		jump time.Duration
		next error // what the next one says
	}{
		"ahead": {10 * 365 * 24 * time.Hour, trust.ErrExpired},
		"back":  {-time.Hour, trust.ErrClock},
	} {
		w := newWorld(t, tuftest.RepoOptions{})
		w.mustRefresh()
		start := w.now
		w.publish()
		w.at.before = func() { w.now = start.Add(tt.jump) }
		if s := w.mustRefresh().Status(); s.Timestamp.Version != 2 {
			t.Errorf("%s: v%d", name, s.Timestamp.Version)
		}
		_, err := w.refresh()
		refused(t, err, tt.next)
		w.at.before, w.now = nil, start
		w.mustRefresh()
	}
}

// A refresh that another process overtakes begins anew, with a time of its own: it may
// be long since it began.
func TestOvertakenRefreshHasANewTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tuftest.RepoOptions{})
	w.mustRefresh()
	w.publish()
	var once sync.Once
	w.at.before = func() {
		once.Do(func() {
			w.now = w.now.Add(time.Hour)
			fast := w.Fork()
			fast.Publish()
			if _, err := w.clientOf(w.RootBytes(), func(o *trust.Options) { o.Source = dirSource(t, fast.Files()) }).Refresh(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	if s := w.mustRefresh().Status(); s.Timestamp.Version != 3 {
		t.Errorf("v%d", s.Timestamp.Version)
	}
}

// A program that runs for long is no better off with a clock that was set back: what
// has expired does not become fresh again.
func TestRefresherClockSetBack(t *testing.T) {
	t.Parallel()
	for _, memory := range []bool{false, true} {
		w := newWorld(t, tuftest.RepoOptions{Life: 7 * 24 * time.Hour})
		clock := &steppedClock{now: w.now}
		client := w.client(func(o *trust.Options) {
			o.Now = clock.read
			if memory {
				o.StateDir = ""
			}
		})
		r, err := trust.NewRefresher(t.Context(), client, trust.RefresherOptions{Min: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			at   time.Duration
			want error
		}{
			{0, nil}, {-5 * time.Minute, nil}, {-6 * time.Minute, trust.ErrClock}, {8 * 24 * time.Hour, trust.ErrExpired}, {-24 * time.Hour, trust.ErrClock}, {time.Hour, nil},
		} {
			clock.set(w.now.Add(tt.at))
			if _, err := r.View(); !errors.Is(err, tt.want) {
				t.Errorf("memory %v, at %v: error %v, want %v", memory, tt.at, err, tt.want)
			}
		}
	}
}

// Times are compared by what clocks show, also where the state is in memory: a monotonic
// reading would hide that one was set back.
func TestClockOfTheWall(t *testing.T) {
	t.Parallel()
	now := newWorld(t, tuftest.RepoOptions{}).client(func(o *trust.Options) { o.Now = nil }).Clock()
	if now != now.Round(0) {
		t.Errorf("%v has a monotonic reading", now)
	}
}

// steppedClock stands still until it is set.
type steppedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *steppedClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *steppedClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}
