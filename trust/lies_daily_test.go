//go:build !e2e

package trust_test

const (
	// liesStride lets few lies be told, by one kind of source each, in turn: each
	// costs several refreshes. With the tag e2e each is told by all.
	liesStride = 101
	// oddStride is the same for odd values at all positions.
	oddStride = 797
)
