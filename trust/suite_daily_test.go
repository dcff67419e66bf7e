//go:build !e2e

package trust_test

import "github.com/tufoci/tufoci/internal/tuftest"

// suiteKinds are the kinds of source that the entry of a table is tried in: one, in turn. With the tag e2e they are all.
func suiteKinds(entry int, kinds []tuftest.Kind) []tuftest.Kind {
	return kinds[entry%len(kinds):][:1]
}
