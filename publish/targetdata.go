package publish

import (
	"context"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// TargetData returns the bytes of a target that a role of the workspace lists: from the workspace, or of a published one
// that is not small from its repository, which open opens. They are what the entry says: it is the publisher's own.
// [metadata.ErrNoTarget], [metadata.ErrNoRole], [ociremote.ErrBlobNotFound], and the errors of the registry.
func TargetData(ctx context.Context, w *metadata.Workspace, role, path string, open func() (ociremote.Repository, error)) ([]byte, error) {
	data, err := w.TargetData(path)
	if !errors.Is(err, metadata.ErrNotAtHand) {
		return data, err
	}
	targets, err := w.Targets(metadata.TargetFilter{Role: role})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(targets, func(t metadata.Target) bool { return t.Path == path })
	if i < 0 {
		return nil, metadata.ErrNoTarget
	}
	repo, err := open()
	if err != nil {
		return nil, err
	}
	desc := ocispec.Descriptor{
		MediaType: "application/octet-stream", Digest: digest.NewDigestFromEncoded(digest.SHA256, targets[i].SHA256), Size: targets[i].Length,
	}
	return ociremote.FetchBlob(ctx, repo, desc, metadata.MaxTargetFile)
}
