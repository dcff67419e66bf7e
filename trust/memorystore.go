package trust

import (
	"context"
	"maps"
	"sync"
)

// memoryStore is a state that ends with its client. below, if not nil, is a
// directory that can be read and not written.
type memoryStore struct {
	mu    sync.Mutex
	state *state
	roles map[string][]byte
	below store
}

func newMemoryStore(from *state, below store) *memoryStore {
	if from == nil {
		from = &state{roots: map[int64][]byte{}}
	}
	return &memoryStore{state: from.clone(), roles: map[string][]byte{}, below: below}
}

func (s *memoryStore) load(context.Context) (*state, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone(), nil
}

func (s *memoryStore) role(name string) []byte {
	s.mu.Lock()
	data := s.roles[name]
	s.mu.Unlock()
	if data == nil && s.below != nil {
		data = s.below.role(name)
	}
	return data
}

func (s *memoryStore) seen() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.seen
}

func (s *memoryStore) commit(_ context.Context, decide func(*state) (*change, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := decide(s.state.clone())
	if err != nil {
		return err
	}
	next := s.state.clone()
	maps.Copy(next.roots, c.roots)
	if c.forget != nil {
		next.timestamp, next.snapshot, next.info = nil, nil, *c.forget
	}
	for _, set := range []struct{ to, from *[]byte }{
		{&next.timestamp, &c.timestamp},
		{&next.snapshot, &c.snapshot},
		{&next.targets, &c.targets},
		{&next.bundle, &c.bundle},
		{&next.seen, &c.seen},
	} {
		if *set.from != nil {
			*set.to = *set.from
		}
	}
	if c.info != nil {
		next.info = *c.info
	}
	maps.Copy(s.roles, c.roles)
	if c.keepRole != nil {
		maps.DeleteFunc(s.roles, func(name string, _ []byte) bool { return !c.keepRole(roleFileName(name)) })
	}
	s.state = next
	return nil
}
