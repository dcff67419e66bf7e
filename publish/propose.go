package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// ProposeOptions steer [Propose]. The zero value takes all from the workspace.
type ProposeOptions struct {
	// Channel is the one that is proposed to; default is that of the workspace.
	Channel string
	// Layout of the proposal; default is that of the workspace.
	Layout ociremote.Layout
	// DryRun judges and writes nothing, neither to the registry nor to the workspace.
	DryRun bool
	// Concurrency is how many blobs are sent at the same time; default 5.
	Concurrency int
	// MaxFiles is how many target files the bundle may have with it; default 512.
	MaxFiles int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Progress is told what is being sent; nil: nobody is.
	Progress Progress
	// Warn is given what does not stop it but should be read; nil: nobody is.
	Warn func(string)
}

// Proposed is what was proposed, or with DryRun would be.
type Proposed struct {
	Role     string
	From, To int64
	Expires  time.Time
	Tag      string
	Digest   digest.Digest
	// Head is the bundle that it follows.
	Head digest.Digest
	// Blobs are those that were sent.
	Blobs []BlobPlan
	Bytes int64
	// Unchanged: it is proposed already, nothing was sent.
	Unchanged bool
	// Published: the head has what is staged, nothing is left to propose. Then there
	// is no tag.
	Published bool
	// Replaced is what this workspace had proposed as the same version before, "" for
	// nothing.
	Replaced digest.Digest
}

// ErrPending is what a [PendingError] is.
var ErrPending = errors.New("another proposal of this version is pending")

// PendingError says that somebody else has proposed the same version of a role. It is
// left as it is.
type PendingError struct {
	Role    string
	Version int64
	Tag     string
	Theirs  digest.Digest
	Since   time.Time // what it says of itself, zero if it does not
}

// Error states the facts in one line.
func (e *PendingError) Error() string {
	since := ""
	if !e.Since.IsZero() {
		since = " since " + stamp(e.Since)
	}
	return fmt.Sprintf("another %s v%d is proposed already under tag %q%s: %s", e.Role, e.Version, e.Tag, since, e.Theirs)
}

// Is reports that the error is an [ErrPending].
func (e *PendingError) Is(target error) bool { return target == ErrPending }

// Propose sends what is staged of one role, and signed, for a refresh to fold in: its
// file and the target files that are new with it, under a tag of their own
// ([ociremote.ProposalTag]). No other key than that of the role is needed, and nothing
// else that is staged is sent. It is judged first as the refresh will: the head is read
// and verified from the first root of the workspace, and what it has published of what
// is staged here is taken over. The same again sends nothing; what this workspace has
// proposed as the same version is replaced.
//
// Errors: [ErrPending] for a proposal of somebody else; [ociremote.ErrNotFound] if
// nothing was published yet; [ociremote.ErrInvalidReference] for a role whose name is
// no part of a tag; those of [metadata.Workspace.Propose]; [ErrForeignTag], [ErrFork],
// [ErrHeadMissing]; of package trust whatever keeps the head from verifying.
func Propose(ctx context.Context, ws *metadata.Workspace, repo ociremote.WritableRepository, role string, o ProposeOptions) (*Proposed, error) {
	p, err := fromWorkspace(ws, repo, Options{
		Channel: o.Channel, Layout: o.Layout, DryRun: o.DryRun, Concurrency: o.Concurrency, MaxFiles: o.MaxFiles,
		Now: o.Now, Progress: o.Progress, Warn: o.Warn,
	})
	if err != nil {
		return nil, err
	}
	if _, err := ociremote.ProposalTag(p.dst.channel, role, 1); err != nil {
		return nil, err
	}
	return (&proposing{p, ws, role}).run(ctx)
}

// proposing is one run of [Propose].
type proposing struct {
	*publication
	ws   *metadata.Workspace
	role string
}

func (p *proposing) run(ctx context.Context) (*Proposed, error) {
	h, err := p.readHead(ctx)
	switch {
	case err != nil:
		return nil, err
	case h == nil:
		return nil, noHead(p.dst.channel)
	}
	if err := p.checkFork(ctx, h); err != nil {
		return nil, err
	}
	known, err := h.metadata(ctx)
	if err != nil {
		return nil, err
	}
	proposal, err := p.ws.Propose(ctx, known, p.role, p.o.Now())
	if err != nil {
		return nil, err
	}
	result := &Proposed{Role: p.role, From: proposal.From, To: proposal.Version, Head: h.digest()}
	if proposal.Published {
		result.Published = true
		return result, p.takeOver(known)
	}
	if err := trust.Precheck(p.role, proposal.Data); err != nil {
		return nil, err
	}
	result.Expires = proposal.Release.Expires[p.role]
	if err := p.check(ctx, proposal.Release, h, known); err != nil {
		return nil, err
	}
	if err := p.takeOver(known); err != nil {
		return nil, err
	}
	if len(proposal.Missing) > 0 {
		p.dst.warn(fmt.Sprintf("%s delegates to %s, which nobody has made yet: propose that too, they are folded in together",
			p.role, strings.Join(proposal.Missing, ", ")))
	}
	return result, p.send(ctx, proposal, h, result)
}

// takeOver brings the base of the workspace up to the head. Other roles that are staged
// and have moved are for who publishes them; they keep nobody from proposing this one.
func (p *proposing) takeOver(known *metadata.Head) error {
	if p.o.DryRun {
		return nil
	}
	err := p.ws.TakeOver(known, p.dst.channel, p.o.Now())
	if errors.Is(err, ErrConflict) {
		p.dst.warn(fmt.Sprintf("the head is not taken over into the workspace: %v", err))
		return nil
	}
	return err
}

// send packs a proposal and puts it under its tag, unless it is there.
func (p *proposing) send(ctx context.Context, proposal *metadata.RoleProposal, h *head, result *Proposed) error {
	packed, blobs, err := p.packProposal(proposal, h)
	if err != nil {
		return err
	}
	if result.Tag, err = ociremote.ProposalTag(p.dst.channel, p.role, proposal.Version); err != nil {
		return err
	}
	result.Digest = packed.Descriptor().Digest
	there, err := p.pending(ctx, result, proposal)
	if err != nil {
		return err
	}
	if there != nil && there.SameContent(packed) {
		result.Unchanged, result.Digest = true, there.Descriptor().Digest
		return p.record(proposal, result, true)
	}
	if there != nil {
		result.Replaced = there.Descriptor().Digest
	}
	inHead, err := h.named()
	if err != nil {
		return err
	}
	missing, err := p.dst.push.missing(blobs, inHead)
	if err != nil {
		return err
	}
	result.Blobs, result.Bytes = planned(missing), total(missing)
	if p.o.DryRun {
		return nil
	}
	if err := p.dst.push.send(ctx, missing); err != nil {
		return err
	}
	return p.put(ctx, packed, blobs, proposal, result)
}

// put writes the tag, and reads it back: another one of the team may have been at it
// at the same time.
func (p *proposing) put(ctx context.Context, packed *ociremote.Proposal, blobs []ociremote.Blob, proposal *metadata.RoleProposal, result *Proposed) error {
	if err := p.record(proposal, result, false); err != nil {
		return err
	}
	desc := *bare(packed.Descriptor())
	write := func() error {
		return p.dst.repo.PushReference(ctx, desc, bytes.NewReader(packed.Manifest()), result.Tag)
	}
	err := write()
	if refused(err) && p.dst.push.restore(ctx, blobs) {
		err = write()
	}
	now, lookErr := p.dst.digest(ctx, result.Tag)
	switch {
	case lookErr == nil && now == desc.Digest:
		return p.record(proposal, result, true)
	case err != nil:
		return fmt.Errorf("writing tag %q: %w", result.Tag, err)
	case lookErr != nil:
		return lookErr
	}
	return &PendingError{Role: p.role, Version: proposal.Version, Tag: result.Tag, Theirs: now}
}

func (p *proposing) record(proposal *metadata.RoleProposal, result *Proposed, sent bool) error {
	if p.o.DryRun {
		return nil
	}
	return p.ws.RecordProposal(proposal, result.Tag, result.Digest.String(), sent, p.o.Now())
}

// pending is what is under the tag: nil for nothing. What is not of this workspace is a
// [PendingError], but for the very same content, which two of a team may have signed
// alike; what is no proposal at all is a [ForeignTagError].
func (p *proposing) pending(ctx context.Context, result *Proposed, proposal *metadata.RoleProposal) (*ociremote.Proposal, error) {
	there, err := ociremote.FetchProposal(ctx, p.dst.repo, result.Tag)
	switch {
	case isNotFound(err):
		return nil, nil
	case unreadable(err):
		return nil, &ForeignTagError{Tag: result.Tag, Err: err}
	case err != nil:
		return nil, fmt.Errorf("reading tag %q: %w", result.Tag, err)
	}
	f, _ := there.File(there.Title)
	if there.Title == metadata.Title(p.role, proposal.Version) && f.Descriptor.Digest == digest.FromBytes(proposal.Data) {
		return there, nil
	}
	records, err := p.ws.Proposed()
	if err != nil {
		return nil, err
	}
	theirs := there.Descriptor().Digest
	for _, r := range records {
		if r.Role == p.role && r.Version == proposal.Version && slices.Contains(r.Manifests, theirs.String()) {
			return there, nil
		}
	}
	return nil, &PendingError{Role: p.role, Version: proposal.Version, Tag: result.Tag, Theirs: theirs, Since: since(there)}
}

// packProposal makes the manifest of a proposal.
func (p *proposing) packProposal(proposal *metadata.RoleProposal, h *head) (*ociremote.Proposal, []ociremote.Blob, error) {
	contents := []ociremote.Content{{Title: metadata.Title(p.role, proposal.Version), Data: proposal.Data}}
	for _, f := range proposal.Files {
		contents = append(contents, ociremote.Content{Title: f.Name, Data: f.Data})
	}
	layout := p.o.Layout
	if layout == "" {
		layout = h.bundle.Layout
	}
	packed, blobs, err := ociremote.PackProposal(contents, ociremote.PackOptions{
		Layout: layout,
		Annotations: map[string]string{
			ocispec.AnnotationCreated:    stamp(p.o.Now()),
			ociremote.AnnotationPrevious: h.digest().String(),
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("packing the proposal: %w", err)
	}
	return packed, blobs, nil
}

// since is when a proposal says that it was made. Nobody has signed that.
func since(p *ociremote.Proposal) time.Time {
	t, _ := time.Parse(time.RFC3339, p.Annotations()[ocispec.AnnotationCreated])
	return t
}
