package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"

	"github.com/tufoci/tufoci/ociremote"
)

const (
	defaultConcurrency = 5
	// askFirst is the size in bytes from which a blob is asked for before it
	// is sent: a question costs one request, and nearly every new blob is
	// missing, so it pays only where much would be sent in vain.
	askFirst = 1 << 20
)

// pusher sends blobs. It remembers what it has sent, so that a plan that is
// made anew sends nothing twice.
type pusher struct {
	repo        ociremote.WritableRepository
	concurrency int
	progress    Progress
	sent        map[digest.Digest]bool
	// mountFrom is a repository of the same registry that has all blobs; "" for none.
	mountFrom string
}

func newPusher(repo ociremote.WritableRepository, concurrency int, progress Progress) pusher {
	if concurrency <= 0 {
		concurrency = defaultConcurrency
	}
	return pusher{repo: repo, concurrency: concurrency, progress: progress, sent: map[digest.Digest]bool{}}
}

// missing are the blobs that neither the head names nor this run has sent.
func (p *pusher) missing(all []ociremote.Blob, head map[digest.Digest]bool) ([]ociremote.Blob, error) {
	var missing []ociremote.Blob
	for _, b := range all {
		d := b.Descriptor.Digest
		if head[d] || p.sent[d] {
			continue
		}
		if b.Data == nil && b.Descriptor.Size > 0 {
			return nil, fmt.Errorf("the bytes of %s are neither here nor in the head", blobName(b.Descriptor))
		}
		missing = append(missing, b)
	}
	return missing, nil
}

// send sends blobs, several at a time. After the first failure it starts no
// more and returns that error once all have ended.
func (p *pusher) send(ctx context.Context, blobs []ociremote.Blob) error {
	if len(blobs) == 0 {
		return nil
	}
	var mu sync.Mutex
	tell := func(f func(Progress)) {
		if p.progress != nil {
			mu.Lock()
			defer mu.Unlock()
			f(p.progress)
		}
	}
	tell(func(pr Progress) { pr.Begin(len(blobs), total(blobs)) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.concurrency)
	for _, b := range blobs {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			name, size := blobName(b.Descriptor), b.Descriptor.Size
			tell(func(pr Progress) { pr.Start(name, size) })
			err := p.sendOne(ctx, b)
			tell(func(pr Progress) { pr.Done(name, size, err) })
			if err != nil {
				return fmt.Errorf("sending %s: %w", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			p.sent[b.Descriptor.Digest] = true
			return nil
		})
	}
	return group.Wait()
}

func (p *pusher) sendOne(ctx context.Context, b ociremote.Blob) error {
	desc := ocispec.Descriptor{MediaType: b.Descriptor.MediaType, Digest: b.Descriptor.Digest, Size: b.Descriptor.Size}
	if p.mount(ctx, desc, b.Data) {
		return nil
	}
	if desc.Size >= askFirst {
		switch there, err := p.repo.Exists(ctx, desc); {
		case err != nil:
			return err
		case there:
			return nil
		}
	}
	err := p.repo.Push(ctx, desc, bytes.NewReader(b.Data))
	if errors.Is(err, errdef.ErrAlreadyExists) {
		return nil
	}
	return err
}

// mount makes a blob of the other repository appear in this one, and reports
// whether it did. A registry that can do no such thing opens an upload in its place,
// which is then used. Whatever else it answers, as where the account may not read
// the other repository, an upload will tell.
func (p *pusher) mount(ctx context.Context, desc ocispec.Descriptor, data []byte) bool {
	mounter, ok := p.repo.(registry.Mounter)
	if !ok || p.mountFrom == "" {
		return false
	}
	return mounter.Mount(ctx, desc, p.mountFrom, func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}) == nil
}

// restore sends the blobs that a registry has lost although a manifest of it
// names them, and reports whether there were any.
func (p *pusher) restore(ctx context.Context, all []ociremote.Blob) bool {
	var lost []ociremote.Blob
	for _, b := range all {
		if there, err := p.repo.Exists(ctx, b.Descriptor); err == nil && !there && int64(len(b.Data)) == b.Descriptor.Size {
			lost = append(lost, b)
		}
	}
	return len(lost) > 0 && p.send(ctx, lost) == nil
}

func total(blobs []ociremote.Blob) int64 {
	var sum int64
	for _, b := range blobs {
		sum += b.Descriptor.Size
	}
	return sum
}

// blobName is the title of a blob, or its digest.
func blobName(desc ocispec.Descriptor) string {
	if title := desc.Annotations[ocispec.AnnotationTitle]; title != "" {
		return title
	}
	return desc.Digest.String()
}

// planned lists blobs for a plan.
func planned(blobs []ociremote.Blob) []BlobPlan {
	list := make([]BlobPlan, len(blobs))
	for i, b := range blobs {
		list[i] = BlobPlan{Title: b.Descriptor.Annotations[ocispec.AnnotationTitle], Digest: b.Descriptor.Digest, Size: b.Descriptor.Size}
	}
	return list
}
