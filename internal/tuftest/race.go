//go:build race

package tuftest

// RaceDetector says that the tests were built with it.
const RaceDetector = true
