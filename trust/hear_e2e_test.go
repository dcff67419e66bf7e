//go:build e2e

package trust_test

// heardOneIn of the whole test.
const heardOneIn = 1
