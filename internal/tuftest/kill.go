package tuftest

// When says how far the request gets at which a registry dies.
type When int

const (
	// Before drops the request without acting on it.
	Before When = iota
	// After acts on the request and drops the answer.
	After
	// Mid acts on the request and cuts the answer in the middle.
	Mid
)

func (w When) String() string { return [...]string{"before", "after", "mid"}[w] }

// Whens are all of them, for loops.
var Whens = []When{Before, After, Mid}

// KillAt lets the registry die at the n-th request from now, 1 being the next:
// that one ends as when says, every later one is dropped until Revive.
func (g *Registry) KillAt(n int, when When) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kill = kill{armed: true, left: n, when: when}
}

// Killed reports whether the request that KillAt waits for has come.
func (g *Registry) Killed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kill.armed && g.kill.left <= 0
}

// Revive lets the registry answer again, with all that it had stored.
func (g *Registry) Revive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kill = kill{}
}

// fate is what happens to one request.
type fate int

const (
	alive fate = iota
	cutAfter
	cutMid
	dead
)

// kill counts down to the death of a registry.
type kill struct {
	armed bool
	left  int
	when  When
}

// next is the fate of the request that has just come.
func (k *kill) next() fate {
	if !k.armed {
		return alive
	}
	k.left--
	switch {
	case k.left > 0:
		return alive
	case k.left < 0 || k.when == Before:
		return dead
	case k.when == After:
		return cutAfter
	}
	return cutMid
}
