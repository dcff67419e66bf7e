package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// maxNesting is how deep indexes within an index are looked into: as deep as a
	// publisher revokes, and a mirror copies.
	maxNesting = 4
	// maxNested is how many of them are read; none at all is what people have.
	maxNested = 32
)

// checkNested refuses an index within which another one lists what is revoked. It reads
// nothing but for an index with indexes in it, of a trust that has revoked something in
// the repository, and comes last: who signs nothing makes nobody read. One that is not
// there is an error, since who runs the image may be served it.
func (q *inquiry) checkNested(ctx context.Context) error {
	level := indexesOf(q.manifest)
	if len(level) == 0 {
		return nil
	}
	revoked := q.revocations.ImagesOf(q.repository())
	if len(revoked) == 0 {
		return nil
	}
	seen := map[digest.Digest]bool{}
	read := 0
	for depth := 1; len(level) > 0; depth++ {
		var below []ocispec.Descriptor
		for _, child := range level {
			if seen[child.Digest] {
				continue
			}
			seen[child.Digest] = true
			if read++; depth > maxNesting || read > maxNested {
				return q.tooMuchWithin()
			}
			index, err := q.artifact.fetchIndex(ctx, child.Digest)
			if err != nil {
				return fmt.Errorf("index %s within the image: %w", child.Digest, err)
			}
			for _, d := range index.Children {
				if e := revoked[d.Digest.String()]; e != nil {
					return revokedBy(e, d.Digest)
				}
			}
			below = append(below, indexesOf(index)...)
		}
		level = below
	}
	return nil
}

// indexesOf are the indexes that a manifest lists.
func indexesOf(m *ociremote.Manifest) []ocispec.Descriptor {
	var all []ocispec.Descriptor
	for _, child := range m.Children {
		if ociremote.IsIndex(child.MediaType) {
			all = append(all, child)
		}
	}
	return all
}

func (q *inquiry) tooMuchWithin() error {
	return fmt.Errorf("image %s: %w", q.manifest.Descriptor.Digest, &ociremote.MalformedError{
		What: "index", Err: fmt.Errorf("indexes in indexes: at most %d, %d deep, are searched for what is revoked", maxNested, maxNesting),
	})
}

// revokedBy is the refusal of what an entry revokes.
func revokedBy(e *material.RevokedImage, dgst digest.Digest) error {
	return &Refusal{Kind: ErrRevoked, Name: dgst.String(), Reason: e.Reason, Time: e.Time.UTC().Format(time.RFC3339), Detail: byList(e.List)}
}
