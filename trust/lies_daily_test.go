//go:build !e2e

package trust_test

// liesStride lets two of five lies be told, by one kind of source each, in turn: each costs
// several refreshes. With the tag e2e each is told by all.
const liesStride = 13
