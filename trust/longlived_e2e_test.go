//go:build e2e

package trust_test

import "github.com/tufoci/tufoci/internal/tuftest"

const longRounds = 18

var longKinds = tuftest.Kinds
