package mirror

import (
	"context"
	"sync"
)

// opened are places by the canonical name of a repository, each opened once.
type opened[T any] struct {
	open func(ctx context.Context, canonical string) (T, error)

	mu    sync.Mutex
	known map[string]T
}

func newOpened[T any](open func(context.Context, string) (T, error)) *opened[T] {
	return &opened[T]{open: open, known: map[string]T{}}
}

// get opens a place. Opening makes no request, so that one after the other will do.
func (o *opened[T]) get(ctx context.Context, canonical string) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v, ok := o.known[canonical]; ok {
		return v, nil
	}
	v, err := o.open(ctx, canonical)
	if err == nil {
		o.known[canonical] = v
	}
	return v, err
}

func (o *opened[T]) all() []T {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []T
	for _, v := range o.known {
		all = append(all, v)
	}
	return all
}
