package publish

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// ProposalState is a proposal that is in the registry.
type ProposalState struct {
	Role string
	// From is the version of the head, Version the one that is proposed.
	From, Version int64
	Tag           string
	// Digest of its manifest, "" if that was not read.
	Digest digest.Digest
	// Since is when it says that it was made, which nobody has signed; zero if it does
	// not say.
	Since time.Time
	// Folded: it is part of what was published, of [Refresh].
	Folded bool
	// Waiting: nothing is wrong with it, but the keys that were given cannot sign what
	// follows from it; of [Refresh].
	Waiting bool
	// Err is why it cannot be folded in; nil if it can.
	Err error
}

// ProposalOptions steer [Proposals]. The zero value works.
type ProposalOptions struct {
	// Channel is the one that is proposed to; default [ociremote.DefaultChannel].
	Channel string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what could not be looked at; nil: nobody is.
	Warn func(string)
}

// Proposals lists what is proposed to the repository of a view and not in it yet,
// judged as [Refresh] does, sorted by tag. It writes nothing. What it reads is bounded.
// The view has to be of a bundle in repo. The error is that of the context, or of a head
// that cannot be read; a proposal that cannot be read has an Err.
func Proposals(ctx context.Context, view *trust.View, repo ociremote.Repository, o ProposalOptions) ([]ProposalState, error) {
	if o.Channel == "" {
		o.Channel = ociremote.DefaultChannel
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	bundle := view.Bundle()
	if bundle == nil {
		return nil, nil // no channel that anything could be proposed to
	}
	h := &head{bundle: bundle, view: view, source: &shown{behind: repo}}
	h.source.show(bundle, nil)
	known, err := h.metadata(ctx)
	if err != nil {
		return nil, err
	}
	s := &survey{repo: repo, channel: o.Channel, head: h, known: known, now: o.Now(), warn: o.Warn}
	if err := s.look(ctx); err != nil {
		return nil, err
	}
	return s.states(), nil
}
