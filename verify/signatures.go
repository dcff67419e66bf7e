package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// checkSignature looks for one good signature of the image, or of the index that it
// is a platform of.
func (q *inquiry) checkSignature(ctx context.Context) error {
	m, err := q.follower.load(ctx, q.sight)
	if err != nil {
		return err
	}
	statement, err := q.statement(ctx, m)
	if err != nil {
		return err
	}
	subject, err := q.subject(ctx)
	if err != nil {
		return err
	}
	x, err := newExaminer(m, statement, q.v.opts.Online)
	if err != nil {
		return err
	}
	list, err := q.artifact.listReferrers(ctx, subject)
	if err != nil {
		return fmt.Errorf("signatures of %s: %w", subject.Digest, err)
	}
	q.verdict.MoreSignatures = list.Truncated
	return q.tryAll(ctx, x, list.Descriptors, subject)
}

// tryAll examines signatures until one is good. What is wrong with one is wrong
// with that one only.
func (q *inquiry) tryAll(ctx context.Context, x *examiner, referrers []ocispec.Descriptor, subject ocispec.Descriptor) error {
	tried := 0
	for _, referrer := range referrers {
		if referrer.MediaType != ocispec.MediaTypeImageManifest || referrer.ArtifactType == ociremote.MediaTypeBundle {
			continue
		}
		if tried == q.v.opts.MaxSignatures {
			q.verdict.MoreSignatures = true
			break
		}
		tried++
		s, err := q.try(ctx, x, referrer, subject)
		if errors.Is(err, errNotSignature) {
			continue
		}
		q.verdict.Signatures = append(q.verdict.Signatures, s)
		if s.Accepted {
			q.verdict.Warnings = append(q.verdict.Warnings, reservations(s)...)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return q.none(subject)
}

// try examines one signature. The error is that of the signature.
func (q *inquiry) try(ctx context.Context, x *examiner, referrer, subject ocispec.Descriptor) (Signature, error) {
	s := Signature{Digest: referrer.Digest, Subject: subject.Digest}
	e, err := q.artifact.fetchSignature(ctx, referrer, subject.Digest)
	if err == nil {
		err = x.examine(ctx, &s, subject, e)
	}
	s.Err, s.Accepted = q.attribute(err), err == nil
	return s, err
}

// none is the error if no signature is good: the gravest of theirs.
func (q *inquiry) none(subject ocispec.Descriptor) error {
	var errs []error
	for _, s := range q.verdict.Signatures {
		errs = append(errs, s.Err)
	}
	if err := Gravest(errs...); err != nil {
		return err
	}
	detail := q.position()
	if q.verdict.MoreSignatures {
		detail = "among the referrers that were looked at; there are more"
	}
	return &Refusal{Kind: ErrNoSignature, Name: subject.Digest.String(), Detail: detail}
}

// subject describes what must be signed: the image, or the index that its entry
// names, as the index's own entry describes it.
func (q *inquiry) subject(ctx context.Context) (ocispec.Descriptor, error) {
	if q.index == "" || q.index == q.manifest.Descriptor.Digest {
		return q.manifest.Descriptor, nil
	}
	name := trust.ImageDigest(q.repository(), q.index.String())
	t, err := q.sight.view.Lookup(ctx, name)
	if trust.IsUnlisted(err) {
		return ocispec.Descriptor{}, &Refusal{Kind: ErrUnmapped, Name: name, Detail: "the index that the image is a platform of has no entry"}
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	entry, err := newMapping(t)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if entry.Digest != q.index {
		return ocispec.Descriptor{}, &Refusal{
			Kind: ErrDiffers, Name: name, Role: t.Role, RoleVersion: t.RoleVersion, Signed: entry.Digest.String(), Served: q.index.String(),
		}
	}
	return q.listing(ctx, &entry)
}

// listing reads an index and describes it, if it lists the image. Who signs entries
// could else lend an image the signature of any index.
func (q *inquiry) listing(ctx context.Context, entry *Mapping) (ocispec.Descriptor, error) {
	var ahead sync.WaitGroup
	defer ahead.Wait()
	ahead.Go(func() { _, _ = q.artifact.listReferrers(ctx, ocispec.Descriptor{Digest: entry.Digest}) })
	index, err := q.artifact.fetchIndex(ctx, entry.Digest)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("index %s: %w", entry.Digest, err)
	}
	refusal := &Refusal{Kind: ErrDiffers, Name: entry.Name, Role: entry.Role, RoleVersion: entry.RoleVersion}
	if refusal.Signed, refusal.Served = entry.difference(index.Descriptor); refusal.Signed != "" {
		return ocispec.Descriptor{}, refusal
	}
	image := q.manifest.Descriptor.Digest
	if !slices.ContainsFunc(index.Children, func(d ocispec.Descriptor) bool { return d.Digest == image }) {
		refusal.Detail = "it does not list " + image.String() + ", whose entry says so"
		return ocispec.Descriptor{}, refusal
	}
	return index.Descriptor, nil
}

// reservations are warnings about a good signature: checks that failed and were not
// enforced, and CRLs that are past their next update.
func reservations(s Signature) []string {
	var warnings []string
	for _, c := range s.Checks {
		if c.Err != nil {
			warnings = append(warnings, fmt.Sprintf("not enforced: %s: %v", c.Type, c.Err))
		}
	}
	for _, c := range slices.Concat(s.Chain, s.TimestampChain) {
		if c.CRL != nil && c.CRL.Stale {
			warnings = append(warnings, fmt.Sprintf("CRL %s is past its next update of %s; the timestamp of the trust says that there is no newer one",
				c.CRL.Name, c.CRL.NextUpdate.UTC().Format(time.RFC3339)))
		}
	}
	return warnings
}
