package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// defaultHistory is how many bundles are read if nothing else is said: all
	// that a publisher keeps, and a few that are not yet removed.
	defaultHistory = 50
	// maxHistory is how many are read at the most.
	maxHistory = 1000
)

// HistoryOptions steer [History]. The zero value works.
type HistoryOptions struct {
	// Channel whose history it is; default [ociremote.DefaultChannel].
	Channel string
	// Max is how many history tags are read, the newest first; default 50, at
	// most 1000.
	Max int
	// Seen is what was seen before: the head may be older than none of it.
	Seen []trust.Seen
	// Concurrency is how many bundles are read at the same time; default 5.
	Concurrency int
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// State is what a bundle of the history is.
type State string

const (
	// StateHead is what the channel tag names.
	StateHead State = "head"
	// StateAncestor was the head, and what the head is was built on it.
	StateAncestor State = "ancestor"
	// StateClaim was built on the head by a publisher that may be at work.
	StateClaim State = "claim"
	// StateDead is a claim older than 5 minutes: its publisher died.
	StateDead State = "dead"
	// StateOvertaken is a claim whose head moved on before it was the head. All
	// that it changed is in the history, or there is nothing in it but snapshot
	// and timestamp.
	StateOvertaken State = "overtaken"
	// StateFork verifies and has changes that are in no ancestor of the head: it
	// was the head and was overwritten, or somebody signed one version twice, or a
	// publisher gave up after its claim.
	StateFork State = "fork"
	// StateUnknown verifies, and the bundles that would say what it is are gone.
	StateUnknown State = "unknown"
	// StateUnreadable is nothing that the pinned root vouches for: something else,
	// damaged, or under the tag of another version.
	StateUnreadable State = "unreadable"
)

// HistoryEntry is one bundle of the history.
type HistoryEntry struct {
	// Tag is its history tag; "" if none names it.
	Tag    string
	Digest digest.Digest
	State  State
	// Verified: the pinned root vouches for its top-level roles. Otherwise Versions and
	// Expires are what it says of itself.
	Verified bool
	// Versions of the top-level roles; Timestamp is that of the tag if nothing
	// else is known.
	Versions Versions
	// Expires is when the timestamp does.
	Expires time.Time
	// Made is when it was made: by the timestamp, that is its expiry less the
	// period that it states, or if MadeSigned is false by an annotation that
	// nobody has signed; zero if that is missing too.
	Made       time.Time
	MadeSigned bool
	// Previous is what it says that it was built on; "" for nothing.
	Previous digest.Digest
	// Changed are its roles against Previous, snapshot and timestamp last; nil
	// unless both were read and verify, or Previous is "".
	Changed []RoleChange
	// Lost are the roles of a fork whose content is in no ancestor.
	Lost []string
	// Finishable: the next publisher makes this dead claim the head.
	Finishable bool
	// Err says why it is unreadable, was not verified, or will not be finished.
	Err error
}

// Timeline is the history of a channel.
type Timeline struct {
	// Entries, newest first.
	Entries []HistoryEntry
	// Head is what the channel tag names, View what clients see of it, at the last
	// moment at which all of it was current.
	Head digest.Digest
	View *trust.View
	// Truncated: there are older bundles that were not read.
	Truncated bool
	// Notes say where the chain of ancestors ends too early, and why.
	Notes []string
}

// Of returns the entries of a state, newest first.
func (t *Timeline) Of(state State) []HistoryEntry {
	var out []HistoryEntry
	for _, e := range t.Entries {
		if e.State == state {
			out = append(out, e)
		}
	}
	return out
}

// History reads the history tags of a channel, and says of each bundle what it is.
// The chain of ancestors follows from the head what each says that it was built on.
// That is an annotation, which nobody has signed: whoever can write to the registry
// can hide a fork by it, or invent one out of what was once signed. What does not fit
// the signed versions is not followed.
//
// Everything that is read is verified from pin, any root of the repository, at the
// last moment at which it was current; bundles from before that root cannot be, and
// say so. Delegated roles are not read, snapshots say their versions. It costs a list
// of tags and one request for each bundle, and one more for each file of its top-level
// roles that is not inline.
//
// Errors: those of [Monitor]; [ErrTooManyTags].
func History(ctx context.Context, pin []byte, repo ociremote.Repository, o HistoryOptions) (*Timeline, error) {
	if o.Channel == "" {
		o.Channel = ociremote.DefaultChannel
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h, err := monitoredHead(ctx, pin, repo, MonitorOptions{Channel: o.Channel, Seen: o.Seen, Now: o.Now})
	if err != nil {
		return nil, err
	}
	return historyOf(ctx, pin, repo, h, o)
}

// historyOf is History for a head that was read.
func historyOf(ctx context.Context, pin []byte, repo ociremote.Repository, h *head, o HistoryOptions) (*Timeline, error) {
	reader, err := newHistorian(ctx, pin, repo, h, o)
	if err != nil {
		return nil, err
	}
	tags, err := listHistory(ctx, reader.p.dst.repo, o.Channel)
	if err != nil {
		return nil, err
	}
	if err := reader.read(ctx, tags); err != nil {
		return nil, fmt.Errorf("reading the history of tag %q: %w", o.Channel, err)
	}
	if err := reader.chain(ctx); err != nil {
		return nil, fmt.Errorf("reading the history of tag %q: %w", o.Channel, err)
	}
	if err := reader.judge(ctx); err != nil {
		return nil, err
	}
	return reader.timeline(), nil
}
