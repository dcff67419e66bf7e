package serve

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// roomTime is how long a request waits for room in memory.
	roomTime = 5 * time.Second
	// failureTime is how long a file that could not be read is not asked for again,
	// so that whoever asks here does not make us ask the source each time.
	failureTime = 10 * time.Second
	// maxFailures bounds what is remembered of them.
	maxFailures = 1024
)

// errNoRoom: the files that are being sent fill the memory.
var errNoRoom = errors.New("too many large files at once")

// memory holds the files that are being sent, each once, and of those that were sent
// as many as there is room for, the last used ones.
type memory struct {
	// life ends the reads. A read goes on without the request that began it, since
	// others wait for it too.
	life context.Context
	max  int64 // bytes
	now  func() time.Time
	work sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	used     int64
	held     map[string]*held
	idle     []*held       // without users, the last used one last
	room     chan struct{} // closed when there is more
	failures map[string]failure
}

// held is one file in memory, or about to be.
type held struct {
	key   string
	size  int64
	keep  bool // its name is that of its content
	users int
	done  chan struct{} // closed when data or err is set
	data  []byte
	err   error
}

type failure struct {
	err   error
	until time.Time
}

func newMemory(life context.Context, max int64, now func() time.Time) *memory {
	return &memory{
		life: life, max: max, now: now,
		held: map[string]*held{}, room: make(chan struct{}), failures: map[string]failure{},
	}
}

// get returns the bytes of a file, which is read if it is not there. The caller has
// to release them.
func (m *memory) get(ctx context.Context, f *file) (data []byte, release func(), err error) {
	h, err := m.take(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	select {
	case <-h.done:
	case <-ctx.Done():
		m.release(h)
		return nil, nil, ctx.Err()
	}
	if h.err != nil {
		m.release(h)
		return nil, nil, h.err
	}
	return h.data, sync.OnceFunc(func() { m.release(h) }), nil
}

// take finds the file, or begins to read it when there is room.
func (m *memory) take(ctx context.Context, f *file) (*held, error) {
	// Who lists a file with the digest of another one, and with a wrong length, fails
	// alone: so the digest is not enough.
	key := f.digest + " " + f.title
	patience := time.NewTimer(roomTime)
	defer patience.Stop()
	for {
		m.mu.Lock()
		if m.closed {
			m.mu.Unlock()
			return nil, context.Canceled
		}
		if last, ok := m.failures[key]; ok && m.now().Before(last.until) {
			m.mu.Unlock()
			return nil, last.err
		}
		h := m.held[key]
		if h == nil && m.makeRoom(f.size) {
			h = m.begin(key, f)
		}
		if h != nil {
			h.users++
			m.idle = slices.DeleteFunc(m.idle, func(other *held) bool { return other == h })
			m.mu.Unlock()
			return h, nil
		}
		room := m.room
		m.mu.Unlock()
		select {
		case <-room:
		case <-patience.C:
			return nil, errNoRoom
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// makeRoom lets go of files that nobody uses until size bytes fit in.
func (m *memory) makeRoom(size int64) bool {
	for m.used+size > m.max && len(m.idle) > 0 {
		m.drop(m.idle[0])
		m.idle = m.idle[1:]
	}
	return m.used+size <= m.max
}

func (m *memory) drop(h *held) {
	m.used -= h.size
	delete(m.held, h.key)
}

func (m *memory) begin(key string, f *file) *held {
	h := &held{key: key, size: f.size, keep: f.digest != "", done: make(chan struct{})}
	m.held[key] = h
	m.used += h.size
	m.work.Go(func() {
		data, err := f.read(m.life)
		m.finish(h, data, err)
	})
	return h
}

func (m *memory) finish(h *held, data []byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h.data, h.err = data, err
	if err != nil {
		m.drop(h)
		m.remember(h.key, err)
	} else {
		m.used -= h.size - int64(len(data))
		h.size = int64(len(data))
		if h.users == 0 { // they have all gone
			m.leave(h)
		}
	}
	close(h.done)
	m.signal()
}

// remember keeps a failure that another request would only repeat.
func (m *memory) remember(key string, err error) {
	if absent(err) || m.life.Err() != nil {
		return
	}
	now := m.now()
	maps.DeleteFunc(m.failures, func(_ string, f failure) bool { return !now.Before(f.until) })
	if len(m.failures) < maxFailures {
		m.failures[key] = failure{err, now.Add(failureTime)}
	}
}

func (m *memory) release(h *held) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h.users--
	if h.users > 0 || m.held[h.key] != h {
		return
	}
	select {
	case <-h.done:
	default:
		return // it is being read; see finish
	}
	m.leave(h)
}

// leave is for a file that nobody uses.
func (m *memory) leave(h *held) {
	if h.keep {
		m.idle = append(m.idle, h)
	} else {
		m.drop(h)
	}
	m.signal()
}

// signal tells those that wait for room to look again.
func (m *memory) signal() {
	close(m.room)
	m.room = make(chan struct{})
}

// close returns when no read is under way, and none begins any more.
func (m *memory) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.work.Wait()
}
