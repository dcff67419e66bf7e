package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/internal/pause"
	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
)

var (
	// errMoved ends a plan because another publisher was faster.
	errMoved = errors.New("the head moved after the plan was made")
	// errFinished ends a plan because a dead claim was made the head.
	errFinished = errors.New("the claim of another publisher was finished")
)

// maker makes what is published: a workspace, or a refresh.
type maker interface {
	// assemble makes the next state of the repository out of the head, which is
	// nil if there is none.
	assemble(ctx context.Context, head *metadata.Head, o metadata.AssembleOptions) (*metadata.Release, error)
	// record is told which release the head is now.
	record(r *metadata.Release, d digest.Digest, channel string, at time.Time) error
	// stranger is the error for a repository that does not have the pinned root.
	stranger(channel string, theirs digest.Digest) error
	// overwritten is the error for a head that was overwritten right after it
	// was written.
	overwritten(fork *ForkError) error
}

// publication is one run of [Publish] or [Refresh].
type publication struct {
	by  maker
	dst *destination
	o   Options
	pin anchor
	// base is what was published from here last; nil if nothing was.
	base *published
	// held are the bytes of the base by digest: what did not change since is
	// not asked of the registry.
	held map[digest.Digest][]byte
	// fold hands proposals to the maker; nil: none are looked for. found are those that
	// were found for the newest plan.
	fold  func([]metadata.Proposal)
	found *survey
	// left is what is left of Options.Wait.
	left time.Duration
	// above is the version of a claim that another publisher made above the last
	// one from here; 0 for none.
	above int64
}

func newPublication(by maker, pin anchor, base *metadata.Head, repo ociremote.WritableRepository, o Options) (*publication, error) {
	if o.Channel == "" {
		o.Channel = ociremote.DefaultChannel
	}
	if err := ociremote.ValidateChannel(o.Channel); err != nil {
		return nil, err
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = defaultMaxFiles
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = pause.For
	}
	p := &publication{by: by, o: o, pin: pin, dst: newDestination(repo, o.Channel, o.Concurrency, o.Progress, o.Warn), left: o.Wait}
	return p, p.remember(base)
}

// remember takes down what was published from here last, nil for nothing.
func (p *publication) remember(base *metadata.Head) error {
	p.base, p.held = nil, nil
	if base == nil {
		return nil
	}
	p.held = map[digest.Digest][]byte{}
	for _, f := range base.Files {
		p.held[digest.FromBytes(f.Data)] = f.Data
	}
	var err error
	p.base, err = newPublished(base)
	return err
}

// run makes plans until one is carried out.
func (p *publication) run(ctx context.Context) (*Result, error) {
	for plans := 0; plans <= maxReplans; {
		result, err := p.once(ctx)
		if err == nil && p.above > result.Versions.Timestamp {
			return p.rise(ctx, result)
		}
		switch {
		case errors.Is(err, errWaited): // for no longer than Options.Wait
			continue
		case !errors.Is(err, errMoved) && !errors.Is(err, errFinished):
			return result, err
		}
		p.dst.warn(fmt.Sprintf("planning anew: %v", err))
		switch waited := p.wait(ctx); {
		case waited == nil:
			plans++
		case !errors.Is(waited, errWaited):
			return nil, waited
		}
	}
	return nil, fmt.Errorf("%w: %d plans for tag %q were overtaken", ErrMoving, maxReplans+1, p.dst.channel)
}

// rise publishes once more, above a claim that another publisher made while this
// one was at work: it can have been the head for a moment, and clients that saw it
// take no lower timestamp.
func (p *publication) rise(ctx context.Context, first *Result) (*Result, error) {
	p.dst.warn(fmt.Sprintf("another publisher has claimed %s meanwhile: publishing above it", ociremote.HistoryTag(p.dst.channel, p.above)))
	if by, ok := p.by.(rebaser); ok {
		base, err := by.base()
		if err != nil {
			return nil, err
		}
		if err := p.remember(base); err != nil {
			return nil, err
		}
	}
	again, err := p.once(ctx)
	if errors.Is(err, errMoved) || errors.Is(err, errFinished) {
		return first, nil // the other goes on, and will come above
	}
	if err != nil {
		return nil, fmt.Errorf("%s is published, but not above the claim of another publisher: %w", first.Digest, err)
	}
	both := *first
	both.Digest, both.HistoryTag, both.Versions, both.Expires, both.View = again.Digest, again.HistoryTag, again.Versions, again.Expires, again.View
	both.Plan.Roles = append(both.Plan.Roles, again.Plan.Roles...)
	both.Plan.Digest, both.Plan.Size, both.Plan.HistoryTag = again.Plan.Digest, again.Plan.Size, again.Plan.HistoryTag
	both.Pruned = append(both.Pruned, again.Pruned...)
	return &both, nil
}

// source shows bundles that lie in the registry, or are about to.
func (p *publication) source() *shown {
	return &shown{behind: p.dst.repo, blobs: maps.Clone(p.held)}
}

// once makes one plan and carries it out.
func (p *publication) once(ctx context.Context) (*Result, error) {
	h, known, err := p.takeHead(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.foldIn(ctx, h, known); err != nil {
		return nil, err
	}

	// The next state, under a version that is free.
	r, err := p.nextState(ctx, h, known)
	if err != nil {
		return nil, err
	}
	if r.Unchanged && h != nil {
		return p.unchanged(r, h)
	}
	version, dead, err := p.claims(ctx, r.TimestampVersion, h, r)
	if err != nil {
		return nil, err
	}
	if dead != nil {
		if !p.o.DryRun {
			return nil, p.finish(ctx, dead, h)
		}
		p.dst.warn(fmt.Sprintf("a publish would first finish claim %s of a publisher that died", ociremote.HistoryTag(p.dst.channel, versionOf(dead))))
	}
	if version != r.TimestampVersion {
		if r, err = p.assemble(ctx, known, version); err != nil {
			return nil, err
		}
	}

	// Judge it, pack it, and read it as clients will.
	if err := p.check(ctx, r, h, known); err != nil {
		return nil, err
	}
	c, err := p.pack(r, h)
	if err != nil {
		return nil, err
	}
	view, err := p.verify(ctx, c, h)
	if err != nil {
		return nil, fmt.Errorf("nothing was published, since clients would refuse it: %w", err)
	}
	result, missing, err := p.plan(r, c, h)
	if err != nil {
		return nil, err
	}
	result.View = view
	if p.o.DryRun {
		return result, nil
	}

	// Write it, the channel tag last.
	if err := p.write(ctx, c, missing, h); err != nil {
		return nil, err
	}
	if err := p.by.record(r, result.Digest, p.dst.channel, p.o.Now()); err != nil {
		return nil, fmt.Errorf("%s is published, but the workspace could not record it: %w", result.Digest, err)
	}
	result.Pruned = p.trim(ctx, c, view)
	return result, nil
}

// takeHead reads the head, as a client sees it. One that has overwritten what was
// published from here is refused, or the changes are made again on it.
func (p *publication) takeHead(ctx context.Context) (*head, *metadata.Head, error) {
	h, err := p.readHead(ctx)
	if err != nil {
		return nil, nil, err
	}
	fork := p.checkFork(ctx, h)
	if fork != nil && !p.rebases(fork) {
		return nil, nil, fork
	}
	known, err := h.metadata(ctx)
	if err == nil && fork != nil {
		err = p.rebase(ctx, h, known, true)
	}
	return h, known, err
}

// nextState assembles the next state. Roles that others have published are a conflict,
// or the changes are made again on theirs.
func (p *publication) nextState(ctx context.Context, h *head, known *metadata.Head) (*metadata.Release, error) {
	r, err := p.assemble(ctx, known, 0)
	if !p.rebases(err) {
		return r, err
	}
	if err := p.rebase(ctx, h, known, false); err != nil {
		return nil, err
	}
	return p.assemble(ctx, known, 0)
}

func (p *publication) assemble(ctx context.Context, known *metadata.Head, version int64) (*metadata.Release, error) {
	r, err := p.by.assemble(ctx, known, metadata.AssembleOptions{Now: p.o.Now(), TimestampVersion: version, Above: p.above, DryRun: p.o.DryRun})
	if errors.Is(err, metadata.ErrForeignHead) {
		return nil, &ForeignTagError{Tag: p.dst.channel, Err: err}
	}
	if err != nil {
		return nil, err
	}
	if p.pin.version == 1 {
		p.pin.root = r.Root1 // signed by now, if this is the first publish
	}
	return r, nil
}

// check refuses what must not be published although it is well signed.
func (p *publication) check(ctx context.Context, r *metadata.Release, h *head, known *metadata.Head) error {
	for _, note := range r.Warnings {
		p.dst.warn(note.String())
	}
	findings := metadata.Lint(metadata.LintInput{Files: targetFiles(r.Files), MaxFiles: p.o.MaxFiles})
	if errs := metadata.LintErrors(findings); len(errs) > 0 {
		return &metadata.LintError{Findings: errs}
	}
	if err := p.checkContent(ctx, r, h, known); err != nil {
		return err
	}
	for _, check := range p.o.Checks {
		if err := check(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// plan says what is to be done, and which blobs are to be sent.
func (p *publication) plan(r *metadata.Release, c candidate, h *head) (*Result, []ociremote.Blob, error) {
	result := p.result(r, h)
	there, err := h.named()
	if err != nil {
		return nil, nil, err
	}
	missing, err := p.dst.push.missing(c.blobs, there)
	if err != nil {
		return nil, nil, err
	}
	for _, change := range r.Changed {
		result.Plan.Roles = append(result.Plan.Roles, RoleChange{
			Role: change.Role, From: change.From, To: change.To, Expires: r.Expires[change.Role], Why: change.Why,
		})
	}
	result.Digest = c.bundle.Descriptor.Digest
	result.Plan.Blobs, result.Plan.Bytes = planned(missing), total(missing)
	result.Plan.Digest, result.Plan.Size = c.bundle.Descriptor.Digest, c.bundle.Descriptor.Size
	return result, missing, nil
}

// unchanged ends a publish that has nothing to publish. The workspace may
// still have to learn that the head is what it staged, because an earlier run
// died before it could write that down, or that others have published.
func (p *publication) unchanged(r *metadata.Release, h *head) (*Result, error) {
	result := p.result(r, h)
	result.Unchanged, result.Digest, result.View = true, h.digest(), h.view
	if p.o.DryRun {
		return result, nil
	}
	if p.base != nil && p.base.digest == h.digest() {
		return result, nil
	}
	return result, p.by.record(r, h.digest(), p.dst.channel, p.o.Now())
}

// result is what is known before anything is written.
func (p *publication) result(r *metadata.Release, h *head) *Result {
	sum := sha256.Sum256(r.Root1)
	tag, history := p.dst.channel, ociremote.HistoryTag(p.dst.channel, r.TimestampVersion)
	return &Result{
		Plan:         Plan{Head: h.digest(), HeadVersion: h.version(), Tag: tag, HistoryTag: history},
		Tag:          tag,
		HistoryTag:   history,
		Versions:     Versions{Root: r.RootVersion, Timestamp: r.TimestampVersion, Snapshot: r.SnapshotVersion, Targets: r.TargetsVersion},
		Expires:      r.Expires,
		RootSHA256:   hex.EncodeToString(sum[:]),
		FirstPublish: h == nil,
		Waiting:      r.Waiting,
		Proposals:    p.found.states(),
	}
}

// write sends the blobs, then the claim, then moves the channel tag, and reads
// both tags back. Both are looked at before each is written: no registry
// compares and swaps, so all that can be done is to keep the moments short in
// which another publisher is not seen.
func (p *publication) write(ctx context.Context, c candidate, missing []ociremote.Blob, h *head) error {
	claim, ours := ociremote.HistoryTag(p.dst.channel, c.version), c.bundle.Descriptor.Digest
	if err := p.dst.push.send(ctx, missing); err != nil {
		return err
	}
	tags, err := p.dst.tagged(ctx, claim, p.dst.channel)
	if err != nil {
		return err
	}
	if tags[0] != "" || tags[1] != h.digest() {
		return errMoved
	}
	if err := p.claim(ctx, c, claim); err != nil {
		return err
	}
	if tags, err = p.dst.tagged(ctx, claim, p.dst.channel); err != nil {
		return err
	}
	if tags[0] != ours || tags[1] != h.digest() && tags[1] != ours {
		return errMoved
	}
	if tags[1] != ours { // else another publisher has finished this claim
		if err := p.dst.put(ctx, c, p.dst.channel); err != nil {
			return err
		}
	}
	if tags, err = p.dst.tagged(ctx, claim, p.dst.channel, ociremote.HistoryTag(p.dst.channel, c.version+1)); err != nil {
		return err
	}
	if tags[1] == ours && tags[2] != "" {
		p.above = c.version + 1
	}
	if tags[0] != ours {
		p.dst.warn(fmt.Sprintf("history tag %s was overwritten by another publisher: it names %s", claim, tags[0]))
	}
	if tags[1] != ours {
		return p.overwritten(ctx, c, tags[1])
	}
	return nil
}
