//go:build !e2e

package publish_test

// stride is how far apart the requests are at which a run is killed or overtaken: each
// costs a registry and three publishes under the race detector. The kinds of death begin
// at different requests; with the tag e2e every one has its turn.
const stride = 9

// raceStride is the same for two publishers, where each pair of requests costs three times as much.
const (
	raceStride = 37
	pairStride = 53
)
