//go:build !e2e

package trust_test

import "github.com/tufoci/tufoci/internal/tuftest"

// suiteKinds are the kinds of source that an entry of a table is tried in: always, or
// else one in turn. With the tag e2e they are all. Under the race detector, which
// makes this costly and finds nothing in it, that is done for some entries.
func suiteKinds(entry int, always ...tuftest.Kind) []tuftest.Kind {
	switch {
	case raceDetector && entry%11 != 0:
		return nil
	case len(always) > 0:
		return always
	}
	return tuftest.Kinds[entry%len(tuftest.Kinds):][:1]
}
