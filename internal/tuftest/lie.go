package tuftest

import (
	"slices"
	"testing"
)

// Lie is one way in which a source, or whoever stands before it, deviates from what
// was published. Lies are made in catalogues ([States], [Bundles], [Wires], [TLSWires]), so that
// tests of different things go through all of them.
type Lie struct {
	// Name is in kebab case and unique among all catalogues. It says what is done, as
	// "timestamp-of-an-older-version".
	Name string
	// Keys are the roles whose keys it takes; none: anybody who can write to the
	// source, or stands before it, can tell it.
	Keys []string
	// Kinds of sources that can express it; none: all.
	Kinds []Kind
	// HTTP1: it is told in the bytes of HTTP/1.1, and cannot be over TLS.
	HTTP1 bool
	// Tell makes a place lie, which serves what repo has published, after clients
	// have seen that. It must not change repo: what is forged is forged in a Fork.
	// Put of the files of repo, and Intercept(nil) where the place has that, make it
	// honest again.
	Tell func(t testing.TB, p *Place, repo *Repo)
}

// In reports whether a kind of source can express the lie.
func (l Lie) In(kind Kind) bool { return len(l.Kinds) == 0 || slices.Contains(l.Kinds, kind) }
