//go:build !e2e

package metadata

// stride is how far apart the steps are at which a change is killed: each costs a few publishes under the race detector.
// With the tag e2e every step has its turn.
const stride = 8
