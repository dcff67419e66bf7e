package upkeep

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tufoci/tufoci/metadata"
)

// Metrics are for Prometheus: what the runs did, and how the last one that succeeded
// left the repository. Times are seconds since 1970, 0 for never.
func (l *Loop) Metrics() prometheus.Collector { return collector{l} }

// collector reads the state when it is asked, so that there is one of it.
type collector struct{ *Loop }

// Describe implements [prometheus.Collector]: the metrics come and go with roles and
// copies, so nothing is said beforehand.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	healthy := c.Health() == nil
	c.mu.Lock()
	defer c.mu.Unlock()
	e := emitter{out, c.o.Repository}
	s := &c.state
	e.counter("tufoci_refresh_runs_total", "Runs, those that failed too.", s.runs)
	e.counter("tufoci_refresh_failures_total", "Runs that failed.", s.failures)
	e.counter("tufoci_refresh_proposals_total", "Signed roles of teams that were folded in.", s.folded)
	e.gauge("tufoci_refresh_healthy", "1 if nobody has to look after it, as /healthz says.", flag(healthy))
	e.gauge("tufoci_refresh_last_success_timestamp_seconds", "Time of the last run that left the repository as it should be.", unix(s.success))
	e.gauge("tufoci_refresh_next_run_timestamp_seconds", "Time for which the next run is planned.", unix(s.next))
	if s.outcome == nil {
		return
	}
	e.gauge("tufoci_refresh_keys", "Private keys at hand.", float64(s.outcome.Keys))
	for _, r := range s.outcome.Roles {
		e.role(r, s.outcome.Waiting)
	}
	for _, copied := range s.outcome.Copies {
		e.copied(s.copies[copied.Name])
	}
}

// emitter makes metrics with the label of the repository.
type emitter struct {
	out        chan<- prometheus.Metric
	repository string
}

func (e emitter) role(r metadata.RoleLife, waiting []metadata.WaitingRole) {
	waits := slices.ContainsFunc(waiting, func(w metadata.WaitingRole) bool { return w.Role == r.Role })
	e.gauge("tufoci_refresh_role_version", "Version of a role.", float64(r.Version), "role", r.Role)
	e.gauge("tufoci_refresh_role_expires_timestamp_seconds", "Expiry of a role.", unix(r.Expires), "role", r.Role)
	e.gauge("tufoci_refresh_role_waiting", "1 if a role is due and its keys are not at hand.", flag(waits), "role", r.Role)
	e.gauge("tufoci_refresh_role_renewable", "1 if the keys at hand can renew a role.", flag(renewable(r)), "role", r.Role)
}

func (e emitter) copied(c copyState) {
	e.gauge("tufoci_refresh_copy_version", "Version of the timestamp in a copy next to images, 0 if that is not known.", float64(c.Version), "copy", c.Name)
	e.gauge("tufoci_refresh_copy_expires_timestamp_seconds", "Expiry of the timestamp in a copy, 0 if that is not known.", unix(c.Expires), "copy", c.Name)
	e.gauge("tufoci_refresh_copy_failed", "1 if the last run could not write a copy.", flag(c.Err != nil), "copy", c.Name)
}

func (e emitter) counter(name, help string, value int) {
	e.emit(prometheus.CounterValue, name, help, float64(value))
}

func (e emitter) gauge(name, help string, value float64, label ...string) {
	e.emit(prometheus.GaugeValue, name, help, value, label...)
}

// emit sends a metric. label is a name and a value, or nothing.
func (e emitter) emit(kind prometheus.ValueType, name, help string, value float64, label ...string) {
	names, values := []string{"repository"}, []string{valid(e.repository)}
	if len(label) > 0 {
		names, values = append(names, label[0]), append(values, valid(label[1]))
	}
	e.out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
}

// valid is what a label can hold: others may have named a role.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
