package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

// rebaser is a maker whose changes can be made again on another head.
type rebaser interface {
	rebase(head *metadata.Head, o metadata.RebaseOptions) (*metadata.Rebased, error)
	// earlier are the states before the base that are remembered, newest first.
	earlier() []metadata.Earlier
	// base is what the changes stand on now.
	base() (*metadata.Head, error)
}

func (m workspaceMaker) rebase(head *metadata.Head, o metadata.RebaseOptions) (*metadata.Rebased, error) {
	return m.ws.Rebase(head, o)
}

func (m workspaceMaker) earlier() []metadata.Earlier { return m.ws.Earlier() }

func (m workspaceMaker) base() (*metadata.Head, error) { return m.ws.Base() }

// rebases reports that an error may be answered by making the changes again.
func (p *publication) rebases(err error) bool {
	_, can := p.by.(rebaser)
	return can && p.o.Rebase && (errors.Is(err, ErrFork) || errors.Is(err, ErrConflict))
}

// rebase makes the changes again on the head: those that are staged, and with a
// fork those that were published from here and overwritten.
func (p *publication) rebase(ctx context.Context, h *head, known *metadata.Head, fork bool) error {
	by := p.by.(rebaser)
	o := metadata.RebaseOptions{DryRun: p.o.DryRun, Blob: p.lostBlob(ctx)}
	if fork {
		var err error
		if o.Ancestor, err = p.forkPoint(ctx, h, by.earlier()); err != nil {
			return err
		}
	}
	rebased, err := by.rebase(known, o)
	if err != nil {
		return err
	}
	if p.o.Rebased != nil {
		p.o.Rebased(rebased)
	}
	base, err := by.base()
	if err != nil {
		return err
	}
	return p.remember(base)
}

// forkPoint finds out on what the head was built among the states that this
// workspace remembers: by the annotations, from bundle to bundle. What is gone
// from the registry on the way leaves the newest of them, on which this
// workspace published last; an older one could bring back what was removed since.
//
// Whoever can write to the registry can forge annotations: such a one can choose
// which of the changes that were published from here are made again, and the
// workspace passes over states that the head cannot have been built on.
func (p *publication) forkPoint(ctx context.Context, h *head, earlier []metadata.Earlier) (string, error) {
	remembered := func(d digest.Digest) bool {
		return slices.ContainsFunc(earlier, func(e metadata.Earlier) bool { return e.Digest == d.String() })
	}
	if remembered(h.digest()) {
		return h.digest().String(), nil // it went back
	}
	b := h.bundle
	for range maxAncestors {
		previous := previousOf(b)
		switch {
		case remembered(previous):
			return previous.String(), nil
		case previous == "" && len(earlier) == 0:
			return metadata.FromNothing, nil // two first publishes
		case previous.Validate() != nil:
			return p.guess(h, earlier, "it does not say on what it was built"), nil
		}
		older, err := ociremote.FetchBundle(ctx, p.dst.repo, previous.String(), ociremote.Known{})
		switch {
		case isNotFound(err):
			return p.guess(h, earlier, "the bundles on which it was built are gone"), nil
		case err != nil:
			return "", fmt.Errorf("reading the history of tag %q: %w", p.dst.channel, err)
		case len(earlier) > 0 && versionOf(older) < earlier[len(earlier)-1].Timestamp:
			return p.guess(h, earlier, "it was built on something older"), nil
		}
		b = older
	}
	return p.guess(h, earlier, fmt.Sprintf("the last %d bundles were built on others", maxAncestors)), nil
}

// guess is the fork point of a head whose history says nothing. That this can
// leave changes out is said, with what they are in.
func (p *publication) guess(h *head, earlier []metadata.Earlier, why string) string {
	if len(earlier) == 0 {
		p.dst.warn(fmt.Sprintf("%s: %s; what %s had changed is not known here and is not made again: only what is staged is", h.digest(), why, p.base.digest))
		return ""
	}
	p.dst.warn(fmt.Sprintf("%s: %s; what this workspace published after %s is made again: look for what it published before in `tufoci diff` and in %s",
		h.digest(), why, earlier[0].Digest, p.base.digest))
	return earlier[0].Digest
}

// lostBlob reads target files that were published from here once: no tag may
// lead to them any more, but their digest does.
func (p *publication) lostBlob(ctx context.Context) func(string, int64) ([]byte, error) {
	return func(sum string, length int64) ([]byte, error) {
		desc := ocispec.Descriptor{MediaType: ociremote.MediaTypeTarget, Digest: digest.NewDigestFromEncoded(digest.SHA256, sum), Size: length}
		return ociremote.FetchBlob(ctx, p.dst.repo, desc, metadata.MaxTargetFile)
	}
}
