package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/trust"
)

// byCopies judges by what lies next to the image: copy by copy, until one answers. Only
// a copy that is too old to, also of something that turns out to be needed, lets the
// next one try, which adds to what is stored by then. home is why it comes to that.
func (q *inquiry) byCopies(ctx context.Context, home *sight) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if q.v.opts.Offline {
		q.takeAll(ctx)
	}
	var answer, old error
	answered := false
	index := digest.Digest("") // that a lookup has named, or that is stored
	hint := func() digest.Digest {
		if index == "" {
			if m := q.follower.guess(ctx, q.applies.Canonical, q.image); m != nil {
				index = m.Index
			}
		}
		return index
	}
	err := q.copies.each(ctx, q.manifest.Descriptor.Digest, hint, func(view *trust.View, err error) bool {
		if err == nil {
			q.begin(newSight(view, nil))
			err = q.sight.err
		}
		if err == nil {
			err = q.judge(ctx)
			index = cmp.Or(q.index, index)
		}
		if errors.Is(err, trust.ErrStaleCopy) {
			old = err
			return false
		}
		answer, answered = err, true
		return true
	})
	switch {
	case err != nil:
		return err
	case answered, old != nil:
		q.noteHome(home)
		if answered {
			return answer
		}
		return old
	case home.err == nil: // the state, of a run without the network
		q.begin(home)
		return q.judge(ctx)
	case errors.Is(home.err, trust.ErrNoHome):
		return &NoCopyError{Foreign: q.copies.foreign}
	default:
		return &NoCopyError{Home: home.err, Foreign: q.copies.foreign}
	}
}

// takeAll lets each copy add to the state before any is judged by: no network is
// waited for, so that the newest decides wherever it lies. What cannot be taken is
// met again, and named, if it matters.
func (q *inquiry) takeAll(ctx context.Context) {
	none := func() digest.Digest { return "" }
	all := newCopies(q.follower, q.artifact, q.copies.image)
	_ = all.each(ctx, q.manifest.Descriptor.Digest, none, func(*trust.View, error) bool { return false })
}

// noteHome says why home was not judged by.
func (q *inquiry) noteHome(home *sight) {
	if trust.IsUnreachable(home.err) {
		q.verdict.Warnings = append(q.verdict.Warnings, fmt.Sprintf("home of the trust %s could not be reached: %v", q.verdict.Trust, home.err))
	}
}
