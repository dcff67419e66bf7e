package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// frozen is a client that sees exactly the view that is copied: images are held to
// what the destination will say about them, however the source moves meanwhile.
func frozen(ctx context.Context, o *Options) (*trust.Client, error) {
	view := o.Source.View
	set, err := view.Files(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	contents := make([]ociremote.Content, len(set.Files))
	for i, f := range set.Files {
		contents[i] = ociremote.Content{Title: f.Title, Digest: f.Digest, Size: int64(len(f.Data)), Data: f.Data}
	}
	b, blobs, err := ociremote.Pack(contents, ociremote.PackOptions{})
	if err != nil {
		return nil, fmt.Errorf("packing the metadata: %w", err)
	}
	repo := ociremote.NewMemory()
	for _, blob := range blobs {
		if err := repo.Push(ctx, blob.Descriptor, bytes.NewReader(blob.Data)); err != nil {
			return nil, err
		}
	}
	if err := repo.PushReference(ctx, b.Descriptor, bytes.NewReader(b.Manifest), ociremote.DefaultChannel); err != nil {
		return nil, err
	}
	pin := pinOf(set, view.Status().RootSHA256)
	if pin == nil {
		return nil, errors.New("the source does not hold the pinned root")
	}
	options := trust.Options{
		Source: trust.RepositorySource(repo, ociremote.DefaultChannel), Now: o.Now, MaxStale: o.Source.Entry.MaxStale,
		Limits: view.Limits(),
	}
	if at := view.Status().AsOf; at != nil {
		options.AsOf = *at
	}
	return trust.New(pin, options)
}

// pinOf finds the root that a view was verified from.
func pinOf(set *trust.FileSet, sha256 string) []byte {
	for _, f := range set.Files {
		if f.Role == "root" && f.Digest.Encoded() == sha256 {
			return f.Data
		}
	}
	return nil
}
