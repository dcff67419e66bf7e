//go:build e2e

package trust_test

const (
	// liesStride of 1: every lie, by every kind of source.
	liesStride = 1
	// oddStride leaves out what TestMalformedMetadataIsRefused shows at every position.
	oddStride = 19
)
