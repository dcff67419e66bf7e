package trust

import (
	"slices"
	"sync"
)

// warnings collects what a person should read, each text once.
type warnings struct {
	mu   sync.Mutex
	list []string
	tell func(string)
}

func (w *warnings) add(text string) {
	w.mu.Lock()
	known := slices.Contains(w.list, text)
	if !known {
		w.list = append(w.list, text)
	}
	w.mu.Unlock()
	if !known && w.tell != nil {
		w.tell(text)
	}
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}
