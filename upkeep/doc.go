// Package upkeep runs a refresh for years. A [Loop] runs it now and then every
// so often, earlier where something would end before the next run, and again
// soon after a failure. It says over http whether somebody has to look after it
// ([Loop.Handler]): /healthz, and /metrics for Prometheus.
//
// What a run does is the caller's, most often [publish.Refresh] and
// [publish.Beside]. The clock and the waiting are the caller's too, where they
// are given: a simulation steps through a year without sleeping.
//
// Two loops on one repository are safe, as two refreshes are: who comes second
// finds a fresh head.
//
// [publish.Refresh]: https://pkg.go.dev/github.com/tufoci/tufoci/publish#Refresh
// [publish.Beside]: https://pkg.go.dev/github.com/tufoci/tufoci/publish#Beside
package upkeep
