package ociremote

import (
	"context"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry"
)

// Repository is one repository to read: in a registry, a layout directory, an
// archive or memory.
type Repository interface {
	oras.ReadOnlyTarget
	registry.ReferenceFetcher
}

// WritableRepository is one to write to. Push takes blobs, PushReference a
// manifest together with its tag; both accept what is there already.
//
// A value may also be a [registry.Mounter], a [content.Deleter] or a
// [content.Untagger].
type WritableRepository interface {
	Repository
	content.Pusher
	registry.ReferencePusher
	// Tags calls fn with the tags after last, in lexical order, page by page.
	Tags(ctx context.Context, last string, fn func(tags []string) error) error
}
