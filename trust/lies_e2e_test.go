//go:build e2e

package trust_test

// liesStride of 1: every lie, by every kind of source.
const liesStride = 1
