//go:build !e2e

package trust_test

// heardOneIn is how many of the lies of a catalogue are told once, which costs most of
// the time: one in so many. With the tag e2e all of them are.
const heardOneIn = 12
