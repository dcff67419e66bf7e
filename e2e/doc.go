// Package e2e tests tufoci from outside: stories, foreign programs, attacks,
// faults and benchmarks. It holds no code that ships.
//
// Plain `go test` runs what needs nothing but Go. The build tag e2e adds what
// needs the foreign programs of the nested module e2e/tools, of Debian and of
// npm: `make e2e` builds and finds them.
package e2e
