package fetcher

import (
	"context"
	"errors"
	"sync"
)

var errNotRead = errors.New("the file was not read")

// memo remembers what was read, and lets only one of several callers read it:
// no file is transferred twice.
type memo struct {
	mu      sync.Mutex
	entries map[string]*memoEntry
	ahead   int64 // bytes of the entries that nobody has asked for, at most maxAhead
}

type memoEntry struct {
	done  chan struct{} // closed when the others are set
	data  []byte
	err   error
	again bool // the reader gave up; whoever waits reads for itself

	ahead int64 // bytes that it counts in memo.ahead
}

// do returns the data of key, read by read if nobody did yet. A failure answers
// all who wait for it and is then forgotten: a view may be kept, and a registry
// recovers.
func (m *memo) do(ctx context.Context, key string, read func() ([]byte, error)) ([]byte, error) {
	for {
		m.mu.Lock()
		e, ok := m.entries[key]
		if !ok {
			e = m.add(key)
			m.mu.Unlock()
			m.fill(ctx, e, read)
			if e.err != nil {
				m.forget(key, e)
			}
			return e.data, e.err
		}
		m.taken(e)
		m.mu.Unlock()
		select {
		case <-e.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if e.err == nil {
			return e.data, nil
		}
		m.forget(key, e)
		if !e.again {
			return nil, e.err
		}
	}
}

// start claims key for reading size bytes ahead; no entry if they were read or are
// being read, and no room if there is too much that nobody has asked for. With an
// entry the caller must call fill. A failure stays until somebody asks for the key, so
// that a request that fails is not made twice either.
func (m *memo) start(key string, size int64) (e *memoEntry, room bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.entries[key]; ok {
		return nil, true
	}
	if m.ahead+size > maxAhead {
		return nil, false
	}
	e = m.add(key)
	e.ahead = size
	m.ahead += size
	return e, true
}

// taken notes that an entry counts no more among those that nobody has asked for. The
// caller holds the lock.
func (m *memo) taken(e *memoEntry) {
	m.ahead -= e.ahead
	e.ahead = 0
}

func (m *memo) add(key string) *memoEntry {
	if m.entries == nil {
		m.entries = map[string]*memoEntry{}
	}
	e := &memoEntry{done: make(chan struct{})}
	m.entries[key] = e
	return e
}

// fill reads and publishes the result. That ctx ended is this caller's affair
// and no answer for others.
func (m *memo) fill(ctx context.Context, e *memoEntry, read func() ([]byte, error)) {
	e.err = errNotRead // stands if read panics
	defer func() {
		if e.err != nil { // what failed takes no room
			m.mu.Lock()
			m.taken(e)
			m.mu.Unlock()
		}
		close(e.done)
	}()
	e.data, e.err = read()
	e.again = e.err != nil && ctx.Err() != nil
}

func (m *memo) forget(key string, e *memoEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[key] == e {
		m.taken(e)
		delete(m.entries, key)
	}
}

// release forgets what was read, but not what is being read.
func (m *memo) release(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok {
		select {
		case <-e.done:
			m.taken(e)
			delete(m.entries, key)
		default:
		}
	}
}

// keep hands what was read and asked for on to another memo, if wanted says so of its
// key.
func (m *memo) keep(to *memo, wanted func(key string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, e := range m.entries {
		select {
		case <-e.done:
			if e.err == nil && e.ahead == 0 && wanted(key) {
				if to.entries == nil {
					to.entries = map[string]*memoEntry{}
				}
				to.entries[key] = e
			}
		default:
		}
	}
}
