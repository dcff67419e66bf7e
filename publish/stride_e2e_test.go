//go:build e2e

package publish_test

// stride of 1: every request.
const stride = 1

const (
	raceStride = 1
	pairStride = 3
)
