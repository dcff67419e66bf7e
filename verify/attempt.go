package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// attempt fills in the result of one try. seen are the looks at trusts that the
// tries before it had; those of this one replace them.
func (v *Verifier) attempt(ctx context.Context, r *Result, seen map[string]*sight) {
	*r = Result{Image: r.Image, As: r.As}
	// 1. The trusts that decide.
	selected, err := trust.Select(v.entries, r.As.Name())
	if err != nil {
		r.Err = err
		return
	}
	repo, err := v.opts.Open(ctx, r.Image)
	if err != nil {
		r.Err = v.notRead(r, err)
		return
	}
	// 2. All that needs nothing else, at the same time.
	copied := slices.ContainsFunc(selected, func(s trust.Applicable) bool { return v.followers[s.Entry.Name].expectsCopies(ctx) })
	limits := v.limits(selected)
	watch, err := limits.Watch()
	if err != nil {
		r.Err = err
		return
	}
	artifact := newArtifact(repo, r.Image.Reference().Name(), len(selected), max(int(limits.Referrers), v.opts.MaxSignatures), copied, watch)
	found := make([]*copies, len(selected))
	for i, s := range selected {
		found[i] = newCopies(v.followers[s.Entry.Name], artifact, r.Image)
	}
	manifest, err := v.gather(ctx, r.As, selected, artifact, found, seen)
	if err != nil {
		r.Err = v.notRead(r, err)
	} else {
		r.Digest, r.MediaType, r.Size = manifest.Descriptor.Digest, manifest.Descriptor.MediaType, manifest.Descriptor.Size
	}
	// 3. Each trust for itself.
	r.Verdicts = make([]Verdict, len(selected))
	var all sync.WaitGroup
	for i, s := range selected {
		all.Go(func() {
			q := &inquiry{
				v: v, image: r.As, asked: r.Image.String(), applies: s, follower: v.followers[s.Entry.Name],
				sight: seen[s.Entry.Name], copies: found[i], artifact: artifact, manifest: manifest, verdict: &r.Verdicts[i],
			}
			q.run(ctx, r.Err)
		})
	}
	all.Wait()
	// 4. All of them must accept.
	errs := []error{r.Err}
	for _, verdict := range r.Verdicts {
		errs = append(errs, verdict.Err)
		if verdict.Level != "" && (r.Level == "" || weaker(verdict.Level, r.Level)) {
			r.Level = verdict.Level
		}
	}
	r.Err = Gravest(errs...)
}

// limits are those for what is read of an image: of the trusts that decide, the
// tightest on the way, and for the list that all of them share the longest.
func (v *Verifier) limits(selected []trust.Applicable) trust.Limits {
	all := v.followers[selected[0].Entry.Name].Client.Limits()
	for _, s := range selected[1:] {
		own := v.followers[s.Entry.Name].Client.Limits()
		all.Operation, all.Redirects = min(all.Operation, own.Operation), min(all.Redirects, own.Redirects)
		all.MinThroughput, all.StallWindow = max(all.MinThroughput, own.MinThroughput), min(all.StallWindow, own.StallWindow)
		all.Referrers = max(all.Referrers, own.Referrers)
	}
	return all
}

// notRead is the error for an image that could not be read.
func (v *Verifier) notRead(r *Result, err error) error {
	if errors.Is(err, ociremote.ErrNotFound) {
		return &Refusal{Kind: ErrImageNotFound, Image: r.Image.String(), Err: err}
	}
	return fmt.Errorf("image %s: %w", r.Image, err)
}

// gather makes the requests of the first round trip: the bundles of the trusts (those
// beside the image of trusts that cannot be read at home), the image's manifest, and
// what refers to it, if its digest can be told.
func (v *Verifier) gather(ctx context.Context, as ociremote.ImageReference, selected []trust.Applicable, a *artifact, found []*copies, seen map[string]*sight) (*ociremote.Manifest, error) {
	var round sync.WaitGroup
	for _, subject := range v.guesses(ctx, as, selected) {
		// An error is that of who needs the answer, if it turns out to be the right
		// one.
		round.Go(func() { _, _ = a.listReferrers(ctx, ocispec.Descriptor{Digest: subject.digest}) })
		if subject.index {
			round.Go(func() { _, _ = a.fetchIndex(ctx, subject.digest) })
		}
	}
	looks := make([]*sight, len(selected))
	for i, s := range selected {
		round.Go(func() {
			f := v.followers[s.Entry.Name]
			looks[i] = f.see(ctx, seen[s.Entry.Name])
			if !v.opts.Offline && f.wantsCopies(looks[i]) {
				_, _ = found[i].beside(ctx) // for who needs the answer
			}
		})
	}
	manifest, err := a.fetch(ctx)
	round.Wait()
	for i, s := range selected {
		seen[s.Entry.Name] = looks[i]
	}
	return manifest, err
}

// guess is a digest whose signatures will probably be needed.
type guess struct {
	digest digest.Digest
	index  bool // it is the index that an image is a platform of
}

// guesses are the digests whose signatures will probably be needed: what the
// stored state signs as this tag, the index that it names, or what was asked for.
func (v *Verifier) guesses(ctx context.Context, as ociremote.ImageReference, selected []trust.Applicable) []guess {
	var subjects []guess
	known := map[guess]bool{}
	for _, s := range selected {
		if !v.requires(s.Entry, trust.RequireSignature) {
			continue
		}
		subject := guess{digest: as.Digest}
		if m := v.followers[s.Entry.Name].guess(ctx, s.Canonical, as); m != nil {
			subject = guess{m.subject(), m.Index != "" && m.Index != m.Digest}
		}
		if subject.digest != "" && !known[subject] {
			known[subject] = true
			subjects = append(subjects, subject)
		}
	}
	return subjects
}
