package upkeep

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tufoci/tufoci/internal/stranger"
)

// Handler answers /healthz and /metrics of the loop.
func (l *Loop) Handler() http.Handler { return Handler(l.Health, l.Metrics()) }

// Handler answers GET /healthz, with 503 and the reason while healthy returns one,
// and GET /metrics with what the collectors have. It is for any program that goes on.
// Collectors that clash make it panic, as [prometheus.Registry.MustRegister] does.
func Handler(healthy func() error, metrics ...prometheus.Collector) http.Handler {
	// Of its own: the default one is shared with whatever else is linked in.
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics...)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := healthy(); err != nil {
			http.Error(w, oneLine(err.Error()), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// oneLine keeps what a registry has said from passing for lines of ours: no control
// characters, line breaks, or marks that change the direction of text.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if stranger.Obeyed(r) {
			return ' '
		}
		return r
	}, s)
}
