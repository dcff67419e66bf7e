//go:build !race && !e2e

package trust_test

// raceDetector: the tests were built without it.
const raceDetector = false
