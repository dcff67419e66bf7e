package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// RefreshOptions steer [Refresh]. Only Keys are needed.
type RefreshOptions struct {
	// Keys sign what is due.
	Keys []metadata.SigningKey
	// Within is the renewal window; default is what each role states.
	Within metadata.Window
	// Force renews every role whose threshold the keys meet, due or not.
	Force bool
	// Leave are roles that are not renewed, since they are staged somewhere.
	Leave []string
	// Proposals folds in what teams have proposed, see [Propose]; that costs one
	// request more, for the list of tags. Proposals of which something is wrong are
	// left out, with a warning, and those for which the keys do not suffice wait.
	Proposals bool
	// Base is what was published from a workspace last: a head that was not
	// built on it is a fork. Nil: nothing is known.
	Base *metadata.Head
	// Seen is what was seen before: the head may be older than none of it. A refresh
	// that remembers nothing signs an old head anew, if the registry offers that.
	Seen []trust.Seen
	// Channel is the tag that moves; default [ociremote.DefaultChannel].
	Channel string
	// Layout of the bundle; default is that of the head.
	Layout ociremote.Layout
	// DryRun makes the plan and writes nothing.
	DryRun bool
	// Concurrency is how many blobs are sent at the same time; default 5.
	Concurrency int
	// MaxFiles is how many target files a bundle may have; default 512.
	MaxFiles int
	// Keep is how many of the newest history tags stay, as of [Options]. 0: all stay.
	Keep int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Progress is told what is being sent; nil: nobody is.
	Progress Progress
	// Warn is given what does not stop a refresh but should be read; nil:
	// nobody is.
	Warn func(string)
}

// Refresh renews the timestamp, the snapshot and every other role that is due
// and whose keys are given, root aside, and moves the channel tag; a workspace
// is not needed. The head is verified from pin, any root of the repository;
// an expired head can be refreshed. Everything else goes as in [Publish]. With
// nothing due nothing is sent, so it can run as often and in as many places as
// one likes: who comes second finds a fresh head.
//
// Errors: those of Publish but for staged changes; [metadata.ErrKeyMissing] if
// the keys cannot sign what is due; [trust.ErrWrongRoot] if the repository does
// not have pin among its roots; [ociremote.ErrNotFound] if there is none.
func Refresh(ctx context.Context, pin []byte, repo ociremote.WritableRepository, o RefreshOptions) (*Result, error) {
	if o.Channel == "" {
		o.Channel = ociremote.DefaultChannel
	}
	from, err := newAnchor(pin)
	if err != nil {
		return nil, err
	}
	from.seen = o.Seen
	maker := &refreshMaker{pin: from, o: o}
	p, err := newPublication(maker, from, o.Base, repo, Options{
		Channel: o.Channel, Layout: o.Layout, DryRun: o.DryRun, Concurrency: o.Concurrency, MaxFiles: o.MaxFiles,
		Keep: o.Keep, Now: o.Now, Progress: o.Progress, Warn: o.Warn,
	})
	if err != nil {
		return nil, err
	}
	if o.Proposals {
		p.fold = func(proposals []metadata.Proposal) { maker.proposals = proposals }
	}
	result, err := p.run(ctx)
	if err != nil {
		return nil, err
	}
	if !result.Unchanged && !o.DryRun {
		p.tidy(ctx)
	}
	result.Lives, err = metadata.LivesAtHand(&metadata.Head{Files: maker.made.Files}, o.Keys)
	return result, err
}

// refreshMaker makes the head with what is due renewed, and what is proposed, the next
// state.
type refreshMaker struct {
	pin       anchor
	o         RefreshOptions
	proposals []metadata.Proposal
	made      *metadata.Release // what was assembled last
}

func (m *refreshMaker) assemble(ctx context.Context, head *metadata.Head, o metadata.AssembleOptions) (*metadata.Release, error) {
	if head == nil {
		return nil, noHead(m.o.Channel)
	}
	var err error
	m.made, err = metadata.Refresh(ctx, head, metadata.RefreshOptions{
		Keys: m.o.Keys, Now: o.Now, TimestampVersion: o.TimestampVersion, Above: o.Above, Within: m.o.Within, Force: m.o.Force, Leave: m.o.Leave,
		Proposals: m.proposals,
	})
	return m.made, err
}

// record: nobody remembers. A workspace takes the head over when it publishes,
// and must not lose what is staged before.
func (*refreshMaker) record(*metadata.Release, digest.Digest, string, time.Time) error { return nil }

func (m *refreshMaker) stranger(channel string, theirs digest.Digest) error {
	return m.pin.wrong(channel, theirs)
}

// overwritten: who overwrote a refresh has renewed the timestamp as well, and
// nothing else was in it.
func (*refreshMaker) overwritten(*ForkError) error { return errMoved }

// noHead says that there is nothing to refresh, or to monitor.
func noHead(channel string) error { return fmt.Errorf("tag %q: %w", channel, ociremote.ErrNotFound) }
