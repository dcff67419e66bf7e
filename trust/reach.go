package trust

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// unreachableFor is how long a home that could not be reached is not asked again
	// where copies can answer.
	unreachableFor = 5 * time.Minute
	// maxReason bounds what is stored of why, in bytes.
	maxReason = 300
)

// IsUnreachable reports whether an error says that a source could not be reached, or
// could not answer: DNS, connecting, TLS, a time-out, a status of 500 or more. All
// else is an answer, also that access is refused, that nothing is there, that too
// much is asked, or something that does not verify.
func IsUnreachable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, ociremote.ErrRedirect) || isType[*ociremote.AuthError](err) {
		return false
	}
	if isType[*VerificationError](err) || errors.Is(err, ociremote.ErrMalformed) {
		return false
	}
	if errors.Is(err, fetcher.ErrTimeout) || errors.Is(err, fetcher.ErrTooSlow) || isType[*UnreachableError](err) {
		return true
	}
	failed, ok := errors.AsType[*ociremote.TransportError](err)
	return ok && (failed.Status == 0 || failed.Status >= http.StatusInternalServerError)
}

// UnreachableError says that a home was not asked, since it could not be reached a
// moment ago.
type UnreachableError struct {
	Source string
	At     time.Time // when it could not be reached
	Until  time.Time // when it is asked again
	Reason string    // why it could not be reached then
}

// Error states the facts in one line.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s could not be reached at %s, and is not asked again until %s: %s",
		e.Source, e.At.UTC().Format(time.RFC3339), e.Until.UTC().Format(time.RFC3339), e.Reason)
}

// unreachable is what the state says of a home that could not be reached.
type unreachable struct {
	Source string    `json:"source"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// HasHome reports whether there is a source to refresh from. Without one a trust is
// read next to images alone.
func (c *Client) HasHome() bool { return c.opts.Source.Kind != "" }

// Unreachable returns why home would not be asked by RefreshIfReachable; nil if it
// would.
func (c *Client) Unreachable(ctx context.Context) *UnreachableError {
	st, err := c.currentStore().load(ctx)
	if err != nil || !c.HasHome() {
		return nil
	}
	note, now := st.info.Unreachable, c.opts.Now()
	// A note from the future is from a clock that was wrong.
	if note.Source != c.opts.Source.String() || now.Before(note.At) || !now.Before(note.At.Add(unreachableFor)) {
		return nil
	}
	return &UnreachableError{Source: note.Source, At: note.At, Until: note.At.Add(unreachableFor), Reason: note.Reason}
}

// RefreshIfReachable is Refresh for callers who can go on with a copy next to an
// image: a home that could not be reached in the last 5 minutes, also by another
// process, is not asked but is an [UnreachableError]; one that cannot be reached now
// is remembered. Any refresh from home that succeeds ends that.
func (c *Client) RefreshIfReachable(ctx context.Context) (*View, error) {
	if e := c.Unreachable(ctx); e != nil {
		return nil, e
	}
	view, err := c.Refresh(ctx)
	if ctx.Err() == nil && IsUnreachable(err) {
		c.noteUnreachable(ctx, err)
	}
	return view, err
}

// noteUnreachable remembers it. That it cannot is no reason to fail: home is asked
// once more.
func (c *Client) noteUnreachable(ctx context.Context, why error) {
	reason := why.Error()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	_ = c.save(ctx, func(now *state) (*change, error) {
		in := now.info
		in.Unreachable = unreachable{Source: c.opts.Source.String(), At: c.opts.Now().UTC(), Reason: reason}
		return &change{info: &in}, nil
	})
}
