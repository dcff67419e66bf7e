//go:build e2e

package metadata

// stride of 1: every step.
const stride = 1
