//go:build e2e

package trust_test

import "github.com/tufoci/tufoci/internal/tuftest"

// suiteKinds are all kinds.
func suiteKinds(int, ...tuftest.Kind) []tuftest.Kind { return tuftest.Kinds }
