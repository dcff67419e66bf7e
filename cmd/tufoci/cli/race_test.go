//go:build race

package cli

// raceDetector: the tests were built with it.
const raceDetector = true
