package tuftest

import "testing"

// Scale is how much of a costly test is done, or how far apart the entries of a large
// table are that are tried: under the race detector, which makes all of it many times
// slower and finds little in what runs one after the other; in a plain run; and with the
// tag e2e, where everything has its turn.
func Scale[T any](race, plain, e2e T) T {
	switch {
	case whole:
		return e2e
	case RaceDetector:
		return race
	}
	return plain
}

// Sequential skips a costly test under the race detector, which has nothing to find in
// it. Plain go test runs it, and make e2e.
func Sequential(t testing.TB) {
	t.Helper()
	if RaceDetector {
		t.Skip("costly and without concurrency: not under the race detector, but in plain go test, and in make e2e")
	}
}
