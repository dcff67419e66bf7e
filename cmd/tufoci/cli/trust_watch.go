package cli

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/tufoci/tufoci/internal/pause"
	"github.com/tufoci/tufoci/trust"
)

const (
	// watchPace is how long the agent waits after a failure, and how often it looks
	// whether something is due.
	watchPace = time.Minute
	// watchJitter keeps the agents of many machines from asking all at once.
	watchJitter = 0.2
)

// agent is a sync that goes on.
type agent struct {
	*syncer

	mu  sync.Mutex // one sync at a time
	due time.Time  // when the next store may go

	seen      sync.Mutex // of what the server shows, which does not wait for a sync
	refresher *trust.Refresher
	metrics   agentMetrics
}

// watch syncs now and after each refresh, until ctx ends. A failure does not end
// it: what can be wrong with the command line was checked before.
func (a *app) watch(ctx context.Context, s *syncer) error {
	w := &agent{syncer: s, metrics: agentMetrics{trust: s.entry.Name}}
	if s.o.listen != "" {
		listener, err := net.Listen("tcp", s.o.listen)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.world.Stderr, "listening on %s\n", listener.Addr())
		defer a.answer(listener, w.handler())()
	}
	pace := watchPace
	if s.o.interval != 0 {
		pace = min(pace, time.Duration(s.o.interval))
	}
	refresher, err := w.start(ctx, pace)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			<-refresher.Done()
			return ctx.Err()
		case <-ticker.C:
			w.tick(ctx)
		}
	}
}

// start begins to refresh; it tries again until that succeeds once.
func (w *agent) start(ctx context.Context, pace time.Duration) (*trust.Refresher, error) {
	o := trust.RefresherOptions{
		Min: pace, Max: time.Duration(w.o.interval), Jitter: watchJitter,
		OnRefresh: func(view *trust.View, err error) { w.refreshed(ctx, view, err) },
	}
	for {
		refresher, err := trust.NewRefresher(ctx, w.client, o)
		if err == nil {
			w.seen.Lock()
			w.refresher = refresher
			w.seen.Unlock()
			return refresher, nil
		}
		if err := pause.For(ctx, pace); err != nil {
			return nil, err
		}
	}
}

// refreshed is told about each refresh.
func (w *agent) refreshed(ctx context.Context, view *trust.View, err error) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.fail(ctx, err)
		return
	}
	w.sync(ctx, view)
}

// tick looks after what time alone changes: stores that may go, and a view that has
// expired although nobody could refresh it.
func (w *agent) tick(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	view, err := w.refresher.View() // of this goroutine
	switch {
	case ctx.Err() != nil:
	case err != nil && w.healthy():
		w.count(func(m *agentMetrics) { m.healthy = false })
		w.fail(ctx, err)
	case err == nil && !w.due.IsZero() && !w.app.world.Now().Before(w.due):
		w.sync(ctx, view)
	}
}

// sync syncs one view, within --timeout, and prints what came of it.
func (w *agent) sync(ctx context.Context, view *trust.View) {
	bounded, cancel := context.WithTimeout(ctx, time.Duration(w.app.global.timeout))
	defer cancel()
	r, err := w.syncer.sync(bounded, view)
	if err != nil {
		w.count(func(m *agentMetrics) { m.healthy = false })
		w.fail(ctx, err)
		return
	}
	w.due = r.Due.Time
	w.count(func(m *agentMetrics) { m.succeeded(w.app.world.Now(), view.Status().Timestamp, len(r.Drift)) })
	w.show(r)
}

// fail reports a failure and does what has to be done about it.
func (w *agent) fail(ctx context.Context, failure error) {
	report := w.app.report(failure)
	w.app.warn(report.What)
	r := w.failed(ctx, failure)
	w.count(func(m *agentMetrics) {
		m.failures++
		if r != nil {
			m.closed, m.healthy = true, false
		}
	})
	if r != nil {
		r.Error = report
		w.show(r)
	}
}

// show prints a result: one document, or the lines of one, for each sync.
func (w *agent) show(r *trustSyncResult) {
	if err := w.app.print(r); err != nil {
		w.app.warn(err.Error())
	}
	w.app.forgetWarnings()
}

func (w *agent) count(change func(*agentMetrics)) {
	w.seen.Lock()
	defer w.seen.Unlock()
	change(&w.metrics)
}

func (w *agent) healthy() bool {
	w.seen.Lock()
	defer w.seen.Unlock()
	return w.metrics.healthy
}

// fresh says why the agent is not healthy: the last view could not be synced, or has
// expired. That a refresh failed is no reason, as long as the view has not.
func (w *agent) fresh() error {
	w.seen.Lock()
	refresher, healthy := w.refresher, w.metrics.healthy
	w.seen.Unlock()
	if refresher == nil || !healthy {
		return fmt.Errorf("trust %s is not synced", w.entry.Name)
	}
	_, err := refresher.View()
	return err
}
