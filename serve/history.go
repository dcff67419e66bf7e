package serve

import (
	"sync"
	"time"
)

// Clients in the middle of a refresh, or about to get a target file that they have
// looked up, still find what belongs to the states before the present one.
const (
	keptStates = 8
	keptTime   = 15 * time.Minute // after it was replaced, at the least until the next one is
)

// history has the newest state of a repository and some of those before it.
type history[T any] struct {
	mu     sync.RWMutex
	states []past[T] // newest first
}

type past[T any] struct {
	state    T
	replaced time.Time
}

// put makes a state the newest, and forgets what is too old.
func (h *history[T]) put(s T, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := []past[T]{{state: s}}
	for i, old := range h.states {
		if i == 0 {
			old.replaced = now
		}
		if len(kept) < keptStates && now.Sub(old.replaced) < keptTime {
			kept = append(kept, old)
		}
	}
	h.states = kept
}

// newest is the zero value if there is none yet.
func (h *history[T]) newest() (s T) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.states) > 0 {
		s = h.states[0].state
	}
	return s
}

// all returns the states, the newest first. They are not to be changed.
func (h *history[T]) all() []past[T] {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.states
}
