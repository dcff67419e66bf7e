package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/content"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxCulprits is how many proposals are found out one by one that spoil what is
	// otherwise good. After that none is folded in.
	maxCulprits = 16
	// maxRefusals is how many are named in warnings.
	maxRefusals = 12
	// maxTidied is how many proposals of the past are looked at, to remove them, after
	// one refresh; maxTagsCompared how many tags a repository may have for that, each
	// of which costs a request.
	maxTidied       = 16
	maxTagsCompared = 256
)

// foldIn finds what is proposed and hands it to the maker, as far as a bundle with it
// is one that clients take. A proposal can make a refresh neither fail nor hang.
func (p *publication) foldIn(ctx context.Context, h *head, known *metadata.Head) error {
	if p.fold == nil || h == nil {
		return nil
	}
	p.fold(nil)
	p.found = &survey{repo: p.dst.repo, channel: p.dst.channel, head: h, known: known, now: p.o.Now(), warn: p.dst.warn}
	if err := p.found.look(ctx); err != nil {
		return err
	}
	err := p.choose(ctx, h, known)
	p.warnRefused()
	return err
}

// choose hands over what is good, without those that spoil the rest: more files than a
// bundle may have, certificates or revocations that clients would refuse.
func (p *publication) choose(ctx context.Context, h *head, known *metadata.Head) error {
	for tries := 0; ; tries++ {
		good := p.found.good()
		if len(good) == 0 {
			return nil
		}
		p.fold(proposalsOf(good))
		err := p.rehearse(ctx, h, known)
		if err == nil {
			p.take(good)
			return nil
		}
		p.fold(nil)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, metadata.ErrKeyMissing) {
			p.postpone(good, err)
			return nil
		}
		if tries == 0 && p.rehearse(ctx, h, known) != nil {
			return nil // not their fault: what follows runs into the same
		}
		if tries == maxCulprits {
			for _, g := range good {
				g.Err = err
			}
			return nil
		}
		blame(err, good).Err = err
		if err := p.found.judge(); err != nil { // others may lean on it
			return err
		}
	}
}

// take notes proposals as folded in. Their blobs are in the registry.
func (p *publication) take(good []*proposed) {
	for _, g := range good {
		g.Folded = true
		p.dst.push.sent[digest.FromBytes(g.proposal.Data)] = true
		for _, f := range g.proposal.Files {
			p.dst.push.sent[digest.NewDigestFromEncoded(digest.SHA256, f.SHA256)] = true
		}
	}
}

// postpone notes that proposals cannot be folded in with the keys that were given.
func (p *publication) postpone(good []*proposed, err error) {
	for _, g := range good {
		g.Waiting = true
		p.dst.warn(fmt.Sprintf("proposal %s waits: %v", g.Tag, err))
	}
}

// rehearse makes the next state as a plan does, and shows it to clients.
func (p *publication) rehearse(ctx context.Context, h *head, known *metadata.Head) error {
	warn := p.dst.warn
	p.dst.warn = func(string) {} // the plan itself will say it
	defer func() { p.dst.warn = warn }()
	r, err := p.assemble(ctx, known, 0)
	if err != nil || r.Unchanged {
		return err
	}
	if err := p.check(ctx, r, h, known); err != nil {
		return err
	}
	c, err := p.pack(r, h)
	if err != nil {
		return err
	}
	_, err = p.verify(ctx, c, h)
	return err
}

// blame finds the proposal that an error speaks of. Where it names none, too much was
// proposed at once, and the largest goes.
func blame(err error, good []*proposed) *proposed {
	var roles []string
	if e, ok := errors.AsType[*metadata.LintError](err); ok {
		for _, f := range e.Findings {
			roles = append(roles, f.Role)
		}
	}
	if e, ok := errors.AsType[*trust.VerificationError](err); ok {
		roles = append(roles, e.Role)
	}
	for _, g := range good {
		if slices.Contains(roles, g.Role) {
			return g
		}
	}
	return slices.MaxFunc(good, func(a, b *proposed) int { return a.weight() - b.weight() })
}

// weight is how much a proposal brings.
func (p *proposed) weight() int { return len(p.proposal.Data) + len(p.proposal.Files)<<10 }

// warnRefused names what was not folded in, and why.
func (p *publication) warnRefused() {
	refused := 0
	for _, g := range p.found.found {
		if g.Err == nil {
			continue
		}
		if refused++; refused <= maxRefusals {
			p.dst.warn(fmt.Sprintf("proposal %s (%s) is not folded in: %v", g.Tag, g.digestOr("not read"), g.Err))
		}
	}
	if refused > maxRefusals {
		p.dst.warn(fmt.Sprintf("%d more proposals are not folded in", refused-maxRefusals))
	}
}

func (p *proposed) digestOr(none string) string {
	if p.Digest == "" {
		return none
	}
	return p.Digest.String()
}

// tidy removes the proposals that the head has, or has left behind, where the registry
// deletes. It removes manifests, which take their tags along, and not tags as a [remover]
// does: under the tag there can be another proposal by now. A manifest that another tag
// names too stays, and so does what is no proposal. None of that is needed: what fails is
// left.
func (p *publication) tidy(ctx context.Context) {
	deleter, ok := p.dst.repo.(content.Deleter)
	if !ok || p.found == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, allProposalsTime)
	defer cancel()
	done := map[string]*ociremote.Proposal{}
	for _, g := range p.found.found {
		if g.Folded {
			done[g.Tag] = g.content
		}
	}
	for _, tag := range p.found.past[:min(len(p.found.past), maxTidied)] {
		role, version, _ := ociremote.ParseProposalTag(p.dst.channel, tag)
		there, err := ociremote.FetchProposal(ctx, p.dst.repo, tag)
		if err == nil && there.Title == metadata.Title(role, version) {
			done[tag] = there
		}
	}
	if len(done) == 0 {
		return
	}
	named, err := namedBy(ctx, p.dst.repo, maxTagsCompared)
	if err != nil {
		return
	}
	for _, there := range done {
		desc := there.Descriptor()
		if !slices.ContainsFunc(named[desc.Digest], func(tag string) bool { return done[tag] == nil }) {
			_ = deleter.Delete(ctx, *bare(desc))
		}
	}
}
