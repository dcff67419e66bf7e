package trust

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// FindRoot reads candidate roots from src and returns the one whose bytes have
// this hex sha256, with or without the prefix "sha256:". ErrWrongRoot: the source
// has none. Nothing else about the root is checked; New does.
func FindRoot(ctx context.Context, src Source, client *ociremote.Client, sha256 string, limits Limits) ([]byte, error) {
	want, ok := checksum(sha256)
	if !ok {
		return nil, &VerificationError{Kind: ErrWrongRoot, Detail: fmt.Sprintf("%q is no sha256 of 64 hex digits", sha256)}
	}
	limits, err := limits.Filled()
	if err != nil {
		return nil, err
	}
	view, err := fetcher.Open(ctx, src, fetcher.Options{Client: client, Limits: limits})
	if err != nil {
		return nil, err
	}
	if b := view.Bundle(); b != nil && !b.Legacy {
		for _, f := range b.Files {
			if f.Descriptor.Digest.Encoded() == want && isRootTitle(f.Title) {
				return readRoot(ctx, view, f.Title, want, limits.Root)
			}
		}
		return nil, noSuchRoot(src, want)
	}
	return searchRoots(ctx, view, src, want, limits)
}

// searchRoots reads the roots of a source that does not tell their hashes, up from
// the lowest. Repositories keep all of them; where the first ones are gone, the
// listing says where to start.
func searchRoots(ctx context.Context, view *fetcher.View, src Source, want string, limits Limits) ([]byte, error) {
	first := int64(1)
	if titles := view.Titles(); titles != nil {
		first = 0
		for _, title := range titles {
			if role, version := splitFileName(strings.TrimPrefix(title, metadataDir)); role == "root" && version > 0 && (first == 0 || version < first) {
				first = version
			}
		}
	}
	for version := first; version > 0 && version < first+limits.Roots; version++ {
		data, err := view.File(ctx, metadataDir+rootFileName(version), limits.Root)
		if errors.Is(err, fetcher.ErrFileNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		if hexSum(data) == want {
			return data, nil
		}
	}
	return nil, noSuchRoot(src, want)
}

func readRoot(ctx context.Context, view *fetcher.View, title, want string, max int64) ([]byte, error) {
	data, err := view.File(ctx, title, max)
	if err != nil {
		return nil, err
	}
	if hexSum(data) != want {
		return nil, noSuchRoot(view.Source(), want)
	}
	return data, nil
}

func noSuchRoot(src Source, want string) error {
	return &VerificationError{
		Kind: ErrWrongRoot, Role: "root", Source: src.String(),
		Detail: fmt.Sprintf("%s has no root with sha256 %s", src, want),
	}
}

func isRootTitle(title string) bool {
	role, version := splitFileName(strings.TrimPrefix(title, metadataDir))
	return role == "root" && version > 0
}

func trimSHA256(s string) string { return strings.TrimPrefix(s, "sha256:") }

func isHexSum(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
