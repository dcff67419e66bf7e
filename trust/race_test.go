//go:build race

package trust_test

// raceDetector: the tests were built with it.
const raceDetector = true
