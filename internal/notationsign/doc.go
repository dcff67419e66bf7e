// Package notationsign makes certificate authorities and signs images as the
// notation command does, for the demo and for tests.
package notationsign
