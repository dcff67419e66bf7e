package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// MirrorOptions steer [Mirror]. The zero value copies to the channel "tuf".
type MirrorOptions struct {
	// Tag is the tag at the destination; default [ociremote.DefaultChannel].
	Tag string
	// Layout re-encodes the bundle; default: a bundle is copied byte for
	// byte, other sources get the default layout.
	Layout ociremote.Layout
	// NoHistory leaves out the history tag "<tag>.v<N>". It is also left out
	// when Tag is no channel.
	NoHistory bool
	// DryRun makes the plan and writes nothing.
	DryRun bool
	// Concurrency is how many blobs are sent at the same time; default 5.
	Concurrency int
	// Now is the clock for the state of the destination and for annotations;
	// default time.Now.
	Now func() time.Time
	// Progress is told what is being sent; nil: nobody is.
	Progress Progress
	// Warn is given what does not stop a copy but should be read; nil:
	// nobody is.
	Warn func(string)
}

// MirrorResult is what a mirror did, or with DryRun would do.
type MirrorResult struct {
	// Plan is empty but for the head and the tags when nothing changed.
	Plan Plan
	// Digest is the manifest that Tag names now.
	Digest digest.Digest
	Tag    string
	// HistoryTag is empty if none was written or found.
	HistoryTag string
	Versions   Versions
	// Verbatim: the manifest of the source was copied byte for byte, so the
	// digest is that of the source.
	Verbatim bool
	// Unchanged: the destination had the same content, nothing was sent.
	Unchanged bool
	// Files are all files of the copy, Targets those that are target files.
	Files, Targets int
	// CarriedRoots are the versions of the roots below the pin. They are
	// copied, but nothing has verified them.
	CarriedRoots []int64
	// SkippedRoles are named by the snapshot, but no delegation leads to
	// them; they are not copied.
	SkippedRoles []string
}

// Mirror copies a verified repository to dst, byte for byte, and moves the tag
// there last. An archive is complete when its Commit is called afterwards.
//
// If the source is a bundle and holds what was verified, all of it and nothing
// else, its manifest is copied too, and the digest stays the same. Otherwise
// the files are packed anew. Roots below the pin are carried, not believed;
// roles that no delegation reaches are left out.
//
// The destination never goes backwards: what it holds is verified from the
// same root, and a newer timestamp there is a [trust.ErrRollback], the same
// version with other bytes an [ErrFork]. A history tag that names something
// else is left as it is, with a warning. Other errors: [ErrPartial],
// [ErrUnverified], [ErrForeignTag], [ErrMoving], those of package trust for
// files that cannot be read, and of package ociremote.
func Mirror(ctx context.Context, view *trust.View, dst ociremote.WritableRepository, o MirrorOptions) (*MirrorResult, error) {
	m, err := newMirroring(ctx, view, dst, o)
	if err != nil {
		return nil, err
	}
	for range maxReplans + 1 {
		result, err := m.once(ctx)
		if !errors.Is(err, errMoved) {
			return result, err
		}
		m.dst.warn(fmt.Sprintf("planning anew: %v", err))
	}
	return nil, fmt.Errorf("%w: %d plans for tag %q were overtaken", ErrMoving, maxReplans+1, m.dst.channel)
}
