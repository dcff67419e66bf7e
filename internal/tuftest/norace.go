//go:build !race

package tuftest

// RaceDetector: built without it.
const RaceDetector = false
