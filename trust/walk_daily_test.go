//go:build !e2e

package trust_test

// walkedGraphs is how many random graphs of delegations are walked as go-tuf does, which costs most of the time of this
// package under the race detector. With the tag e2e there are more.
const walkedGraphs = 16
