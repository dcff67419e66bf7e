package verify

import "context"

// memo is something that is got once, by whoever needs it first. Others wait for
// it, each as long as its own context lasts.
type memo[T any] struct {
	turn  chan struct{} // holds a token while nobody is at it
	known bool
	value T
	err   error
}

func newMemo[T any]() *memo[T] {
	m := &memo[T]{turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	return m
}

// get returns what get returned the first time. A failure is remembered as well,
// unless the context ended: that says nothing to those who come after.
func (m *memo[T]) get(ctx context.Context, get func(context.Context) (T, error)) (T, error) {
	select {
	case <-m.turn:
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	defer func() { m.turn <- struct{}{} }()
	if !m.known {
		m.value, m.err = get(ctx)
		m.known = m.err == nil || ctx.Err() == nil
	}
	return m.value, m.err
}
