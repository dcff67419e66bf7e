package cli

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tufoci/tufoci/trust"
)

// agentMetrics counts for Prometheus.
type agentMetrics struct {
	trust     string
	healthy   bool // the last view could be synced
	closed    bool
	success   time.Time
	timestamp trust.RoleStatus
	syncs     int
	failures  int
	drift     int
}

func (m *agentMetrics) succeeded(now time.Time, timestamp trust.RoleStatus, drift int) {
	m.healthy, m.closed, m.success, m.timestamp = true, false, now, timestamp
	m.syncs++
	m.drift += drift
}

// write writes the text format of Prometheus, version 0.0.4.
func (m *agentMetrics) write(w io.Writer) {
	seconds := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.Unix()
	}
	flag := map[bool]int64{true: 1}
	for _, v := range []struct {
		name, kind, help string
		value            int64
	}{
		{"tufoci_sync_last_success_timestamp_seconds", "gauge", "Time of the last sync that succeeded.", seconds(m.success)},
		{"tufoci_sync_syncs_total", "counter", "Syncs that succeeded.", int64(m.syncs)},
		{"tufoci_sync_failures_total", "counter", "Refreshes and syncs that failed.", int64(m.failures)},
		{"tufoci_sync_drift_total", "counter", "Files that somebody else had changed or removed.", int64(m.drift)},
		{"tufoci_sync_healthy", "gauge", "1 if the newest view is the one that is synced.", flag[m.healthy]},
		{"tufoci_sync_closed", "gauge", "1 if nothing verifies, since the trust is staler than it may be.", flag[m.closed]},
		{"tufoci_trust_timestamp_version", "gauge", "Version of the timestamp that was synced last.", m.timestamp.Version},
		{"tufoci_trust_timestamp_expires_timestamp_seconds", "gauge", "Expiry of the timestamp that was synced last.", seconds(m.timestamp.Expires)},
	} {
		// The name of a trust is a-z, 0-9 and "-".
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s{trust=%q} %d\n", v.name, v.help, v.name, v.kind, v.name, m.trust, v.value)
	}
}

// handler answers /healthz and /metrics.
func (w *agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(out http.ResponseWriter, _ *http.Request) {
		if err := w.fresh(); err != nil {
			http.Error(out, printable(oneLine(err.Error())), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(out, "ok")
	})
	mux.HandleFunc("GET /metrics", func(out http.ResponseWriter, _ *http.Request) {
		w.seen.Lock()
		metrics := w.metrics
		w.seen.Unlock()
		out.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		metrics.write(out)
	})
	return mux
}
