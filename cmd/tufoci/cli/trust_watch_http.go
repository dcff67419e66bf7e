package cli

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/upkeep"
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

// Describe implements [prometheus.Collector]; what there is is said by Collect.
func (w *agent) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (w *agent) Collect(out chan<- prometheus.Metric) {
	w.seen.Lock()
	m := w.metrics
	w.seen.Unlock()
	seconds := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.Unix()
	}
	flag := map[bool]int64{true: 1}
	for _, v := range []struct {
		name  string
		kind  prometheus.ValueType
		help  string
		value int64
	}{
		{"tufoci_sync_last_success_timestamp_seconds", prometheus.GaugeValue, "Time of the last sync that succeeded.", seconds(m.success)},
		{"tufoci_sync_syncs_total", prometheus.CounterValue, "Syncs that succeeded.", int64(m.syncs)},
		{"tufoci_sync_failures_total", prometheus.CounterValue, "Refreshes and syncs that failed.", int64(m.failures)},
		{"tufoci_sync_drift_total", prometheus.CounterValue, "Files that somebody else had changed or removed.", int64(m.drift)},
		{"tufoci_sync_healthy", prometheus.GaugeValue, "1 if the newest view is the one that is synced.", flag[m.healthy]},
		{"tufoci_sync_closed", prometheus.GaugeValue, "1 if nothing verifies, since the trust is staler than it may be.", flag[m.closed]},
		{"tufoci_trust_timestamp_version", prometheus.GaugeValue, "Version of the timestamp that was synced last.", m.timestamp.Version},
		{"tufoci_trust_timestamp_expires_timestamp_seconds", prometheus.GaugeValue, "Expiry of the timestamp that was synced last.", seconds(m.timestamp.Expires)},
	} {
		desc := prometheus.NewDesc(v.name, v.help, []string{"trust"}, nil)
		out <- prometheus.MustNewConstMetric(desc, v.kind, float64(v.value), m.trust)
	}
}

// handler answers /healthz and /metrics.
func (w *agent) handler() http.Handler { return upkeep.Handler(w.fresh, w) }
