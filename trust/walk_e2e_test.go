//go:build e2e

package trust_test

// walkedGraphs of the whole test.
const walkedGraphs = 40
