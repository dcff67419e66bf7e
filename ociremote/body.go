package ociremote

import (
	"context"
	"io"
)

type bodyKey struct{}

// WithBody returns a context under which the body of every answer to a request
// of a [Client] goes through wrap, so that the caller can watch how fast it
// arrives. Bodies may be read at the same time.
func WithBody(ctx context.Context, wrap func(body io.ReadCloser) io.ReadCloser) context.Context {
	return context.WithValue(ctx, bodyKey{}, wrap)
}

// wrapBody applies the wrap of the context, if there is one.
func wrapBody(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	if wrap, ok := ctx.Value(bodyKey{}).(func(io.ReadCloser) io.ReadCloser); ok {
		return wrap(body)
	}
	return body
}
