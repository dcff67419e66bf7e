package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxProposals is how many proposals are read in one run, one for each role at
	// most. maxNewRoles of them are of roles that the head does not delegate to yet.
	maxProposals = 256
	maxNewRoles  = 16
	// maxProposedRole bounds the file of a role, in bytes: lint takes no larger one.
	// maxProposedFiles bounds the target files of one proposal together, which are only
	// read once its signatures hold.
	maxProposedRole  = 5_000_000
	maxProposedFiles = 64 << 20
	// maxAllRoles and maxAllFiles bound those of all proposals: they are in memory at
	// the same time. The manifests, with what is inline, count as roles.
	maxAllRoles = 128 << 20
	maxAllFiles = 256 << 20
	// proposalTime is how long the registry may take for one proposal, and for the list
	// of tags.
	proposalTime = 30 * time.Second
	// allProposalsTime is how long it may take for all of them.
	allProposalsTime = 2 * time.Minute
)

// proposed is a proposal that was found.
type proposed struct {
	ProposalState
	content  *ociremote.Proposal // nil if it could not be read
	proposal metadata.Proposal
}

// survey is one look at what is proposed. Nothing that it reads is believed before it is
// judged, and nothing that it meets ends it but the end of the context.
type survey struct {
	repo    ociremote.Repository
	channel string
	head    *head
	known   *metadata.Head
	now     time.Time
	warn    func(string)

	// found are the proposals that can follow the head, by tag; past are the tags of
	// those that it has left behind.
	found []*proposed
	past  []string
	// roles and files count the bytes that were read.
	roles, files room
}

// look lists, reads and judges.
func (s *survey) look(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, allProposalsTime)
	defer cancel()
	if err := s.list(bounded); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.warn(fmt.Sprintf("the tags cannot be listed, what teams have proposed may be left out: %v", err))
	}
	if err := s.each(bounded, s.fetch); err != nil {
		return err
	}
	if err := s.judge(); err != nil {
		return err
	}
	if err := s.each(bounded, s.fetchFiles); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.judge() // without those whose files are not there
}

// list finds the tags of proposals. Those that follow the head come first, of every
// role one, and no number of others can push them out.
func (s *survey) list(ctx context.Context) error {
	next, err := metadata.NextVersions(s.known)
	if err != nil {
		return err
	}
	all, err := listTags(ctx, s.repo, s.channel)
	switch {
	case errors.Is(err, errEnough):
		s.warn(fmt.Sprintf("there are more than %d tags: proposals may be left out", maxTagsSeen))
	case err != nil:
		return err
	}
	strangers := 0
	for _, tag := range all {
		role, version, ok := ociremote.ParseProposalTag(s.channel, tag)
		if !ok {
			continue
		}
		p := &proposed{ProposalState: ProposalState{Role: role, Version: version, Tag: tag, From: max(next[role]-1, 0)}}
		switch want, known := next[role]; {
		case known && version < want:
			s.past = append(s.past, tag)
			continue
		case known && version > want:
			p.Err = fmt.Errorf("%w: v%d does not follow v%d of the head", metadata.ErrProposal, version, want-1)
		case !known:
			if strangers++; strangers > maxNewRoles {
				p.Err = fmt.Errorf("%w: the head does not delegate to %q, and there are more than %d such proposals", metadata.ErrProposal, role, maxNewRoles)
			}
		}
		s.found = append(s.found, p)
	}
	s.bound()
	return nil
}

// bound keeps as many as are read, those first that may be good.
func (s *survey) bound() {
	slices.SortStableFunc(s.found, func(a, b *proposed) int {
		return cmp.Or(cmp.Compare(badness(a), badness(b)), cmp.Compare(a.Tag, b.Tag))
	})
	if more := len(s.found) - maxProposals; more > 0 {
		s.warn(fmt.Sprintf("%d proposals are left out, after the first %d", more, maxProposals))
		s.found = s.found[:maxProposals]
	}
}

// badness is 0 for the next version of a role that there is.
func badness(p *proposed) int {
	switch {
	case p.Err != nil:
		return 2
	case p.From == 0:
		return 1
	}
	return 0
}

// listTags lists the tags after last: behind a channel are all that belong to it.
// errEnough: there are more.
func listTags(ctx context.Context, repo ociremote.Repository, last string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, proposalTime)
	defer cancel()
	lister, ok := repo.(tagLister)
	if !ok {
		return nil, nil
	}
	var all []string
	err := lister.Tags(ctx, last, func(tags []string) error {
		if all = append(all, tags...); len(all) > maxTagsSeen {
			all = all[:maxTagsSeen]
			return errEnough
		}
		return nil
	})
	if isNotFound(err) {
		err = nil
	}
	return all, err
}

// each does something for every proposal that may still be good, several at a time.
// What goes wrong is why that one is not folded in.
func (s *survey) each(ctx context.Context, do func(context.Context, *proposed) error) error {
	var group errgroup.Group
	group.SetLimit(defaultConcurrency)
	for _, p := range s.found {
		if p.Err != nil {
			continue
		}
		group.Go(func() error {
			one, cancel := context.WithTimeout(ctx, proposalTime)
			defer cancel()
			p.Err = do(one, p)
			return nil
		})
	}
	return group.Wait()
}

// fetch reads the manifest of a proposal and the file of its role.
func (s *survey) fetch(ctx context.Context, p *proposed) error {
	content, err := ociremote.FetchProposal(ctx, s.repo, p.Tag)
	if err != nil {
		return err
	}
	p.content, p.Digest, p.Since = content, content.Descriptor().Digest, since(content)
	if want := metadata.Title(p.Role, p.Version); content.Title != want {
		return fmt.Errorf("%w: the tag holds %q, not %q", metadata.ErrProposal, content.Title, want)
	}
	f, _ := content.File(content.Title)
	size := content.Held()
	if f.Descriptor.Size <= maxProposedRole {
		size += f.Descriptor.Size
	}
	if !s.roles.take(size, maxAllRoles) {
		p.content = nil
		return fmt.Errorf("%w: the roles of all proposals together have more than %d bytes", ociremote.ErrTooLarge, maxAllRoles)
	}
	data, err := content.Read(ctx, s.repo, f, maxProposedRole)
	if err != nil {
		return err
	}
	p.proposal = metadata.Proposal{Role: p.Role, Data: data}
	return trust.Precheck(p.Role, data)
}

// fetchFiles reads the target files that the head does not have, of a role whose
// signatures hold. They are in the registry already; but what is folded in must be what
// the role lists.
func (s *survey) fetchFiles(ctx context.Context, p *proposed) error {
	listed, err := metadata.ListedFiles(p.Role, p.proposal.Data)
	if err != nil {
		return err
	}
	var size int64
	for _, f := range listed {
		want := digest.NewDigestFromEncoded(digest.SHA256, f.SHA256)
		if there, _ := s.head.bundle.File(f.Name); there.Descriptor.Digest == want && there.Descriptor.Size == f.Length {
			continue
		}
		layer, ok := p.content.File(f.Name)
		if !ok || layer.Descriptor.Digest != want || layer.Descriptor.Size != f.Length {
			return fmt.Errorf("%w: %q is neither in the head nor in the proposal, as %s lists it", metadata.ErrProposal, f.Name, p.Role)
		}
		if f.Length > maxProposedFiles-size {
			return fmt.Errorf("%w: its target files have more than %d bytes together", ociremote.ErrTooLarge, maxProposedFiles)
		}
		if size += f.Length; !s.files.take(f.Length, maxAllFiles) {
			return fmt.Errorf("%w: the target files of all proposals together have more than %d bytes", ociremote.ErrTooLarge, maxAllFiles)
		}
		if f.Data, err = p.content.Read(ctx, s.repo, layer, maxProposedFiles); err != nil {
			return err
		}
		p.proposal.Files = append(p.proposal.Files, f)
	}
	return nil
}

// room counts bytes against a bound.
type room struct{ taken atomic.Int64 }

// take takes some, or nothing where that would be too much.
func (r *room) take(n, most int64) bool {
	if r.taken.Add(n) <= most {
		return true
	}
	r.taken.Add(-n)
	return false
}

// judge holds what is left to the head, all together.
func (s *survey) judge() error {
	left := s.good()
	if len(left) == 0 {
		return nil
	}
	errs, err := metadata.JudgeProposals(s.known, proposalsOf(left), s.now)
	if err != nil {
		return err
	}
	for i, p := range left {
		p.Err = errs[i]
	}
	return nil
}

// good are those that nothing speaks against.
func (s *survey) good() []*proposed {
	return slices.DeleteFunc(slices.Clone(s.found), func(p *proposed) bool { return p.Err != nil })
}

func proposalsOf(list []*proposed) []metadata.Proposal {
	proposals := make([]metadata.Proposal, len(list))
	for i, p := range list {
		proposals[i] = p.proposal
	}
	return proposals
}

// states is what is told of a survey; nil of none.
func (s *survey) states() []ProposalState {
	if s == nil {
		return nil
	}
	states := make([]ProposalState, len(s.found))
	for i, p := range s.found {
		states[i] = p.ProposalState
	}
	slices.SortFunc(states, func(a, b ProposalState) int { return cmp.Compare(a.Tag, b.Tag) })
	return states
}
