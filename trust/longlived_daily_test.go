//go:build !e2e

package trust_test

import "github.com/tufoci/tufoci/internal/tuftest"

// Each day one source on the network and one on disk, through every rotation once.
const longRounds = 6

var longKinds = []tuftest.Kind{tuftest.InRegistry, tuftest.InArchive}
