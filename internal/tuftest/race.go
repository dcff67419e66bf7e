//go:build race

package tuftest

// RaceDetector: built with it.
const RaceDetector = true
