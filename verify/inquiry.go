package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// inquiry is what one trust has to say about one image.
type inquiry struct {
	v        *Verifier
	image    ociremote.ImageReference // as it is called
	asked    string                   // as it was asked for
	applies  trust.Applicable
	follower *follower
	sight    *sight  // what is judged by
	copies   *copies // what may be judged by instead
	artifact *artifact
	manifest *ociremote.Manifest
	verdict  *Verdict

	revocations *material.Revocations
	index       digest.Digest // that the entries name; "" for none
}

// run fills in the verdict. failed is why there is no manifest, if there is none.
func (q *inquiry) run(ctx context.Context, failed error) {
	copied := q.follower.wantsCopies(q.sight)
	q.begin(q.sight)
	switch {
	case q.sight.err != nil && !copied:
		q.verdict.Err = q.sight.err
	case failed != nil:
		q.verdict.Err = failed
	case copied:
		q.verdict.Err = q.attribute(q.byCopies(ctx, q.sight))
	default:
		q.verdict.Err = q.attribute(q.judge(ctx))
	}
	if q.sight.view != nil {
		q.verdict.Status = q.sight.view.Status()
	}
}

// begin makes ready to judge by one look at the trust: nothing of an earlier one
// stays.
func (q *inquiry) begin(s *sight) {
	*q.verdict = Verdict{Trust: q.applies.Entry.Name, Canonical: q.applies.Canonical, Scope: q.applies.Scope.String()}
	q.sight, q.revocations, q.index = s, nil, ""
}

// judge applies the checks in their order. Nothing that is found before skips the
// revocations of the image, the gravest reason.
func (q *inquiry) judge(ctx context.Context) error {
	// 1. What must not run, whatever is required.
	var err error
	if q.revocations, err = q.sight.readRevocations(ctx); err != nil {
		return err
	}
	// 2. What is signed about the image.
	mapped := q.checkMapping(ctx)
	// 3. Neither it nor what belongs to it is revoked.
	if err := Gravest(q.checkRevoked(), mapped); err != nil {
		return err
	}
	// 4. Its signature.
	if q.v.requires(q.applies.Entry, trust.RequireSignature) {
		if err := q.checkSignature(ctx); err != nil {
			return err
		}
	}
	// 5. What is revoked deeper within it, now that somebody vouches for it.
	return q.checkNested(ctx)
}

// repository is the image's, without a host, as names of targets have it.
func (q *inquiry) repository() string { return inHost(q.applies.Canonical) }

// attribute notes of which image and trust a refusal is. What was read is shared
// with other images and trusts, so that it is a copy.
func (q *inquiry) attribute(err error) error {
	r, ok := err.(*Refusal)
	if !ok {
		return err
	}
	noted := *r
	noted.Image, noted.Trust = q.asked, q.applies.Entry.Name
	return &noted
}

// checkMapping looks the image up: by tag, by digest, or both, which then have to
// agree (design: a reference with both needs both). An entry that nobody requires
// counts if it is there.
func (q *inquiry) checkMapping(ctx context.Context) error {
	served := q.manifest.Descriptor
	if q.image.Digest != "" && q.image.Digest != served.Digest {
		return &Refusal{Kind: ErrDiffers, Signed: q.image.Digest.String(), Served: served.Digest.String(), Detail: "another digest was asked for"}
	}
	var names []string
	if q.image.Tag != "" {
		names = append(names, trust.ImageTag(q.repository(), q.image.Tag))
	}
	if q.image.Digest != "" {
		names = append(names, trust.ImageDigest(q.repository(), q.image.Digest.String()))
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, q.lookUp(ctx, name))
	}
	return Gravest(errs...)
}

// lookUp takes in one entry.
func (q *inquiry) lookUp(ctx context.Context, name string) error {
	t, err := q.sight.view.Lookup(ctx, name)
	if trust.IsUnlisted(err) {
		if !q.v.requires(q.applies.Entry, trust.RequireMapping) {
			return nil
		}
		return &Refusal{Kind: ErrUnmapped, Name: name, Detail: q.position()}
	}
	if err != nil {
		return err
	}
	m, err := newMapping(t)
	if err != nil {
		return err
	}
	q.verdict.Mappings = append(q.verdict.Mappings, m)
	if m.Index != "" {
		q.index = m.Index
	}
	signed, served := m.difference(q.manifest.Descriptor)
	if signed == "" {
		return nil
	}
	return &Refusal{Kind: ErrDiffers, Name: name, Role: m.Role, RoleVersion: m.RoleVersion, Signed: signed, Served: served}
}

// position says how far the trust is, for who waits for it.
func (q *inquiry) position() string {
	timestamp := q.sight.view.Status().Timestamp
	return fmt.Sprintf("the trust is at timestamp v%d, which expires %s", timestamp.Version, timestamp.Expires.UTC().Format(time.RFC3339))
}

// checkRevoked refuses the image if it is revoked itself, or one of the manifests
// of an index, or the index that a platform belongs to: what runs in the end is
// one of them, or is within one of them: see checkNested.
func (q *inquiry) checkRevoked() error {
	digests := []digest.Digest{q.manifest.Descriptor.Digest}
	for _, m := range q.verdict.Mappings {
		if m.Index != "" {
			digests = append(digests, m.Index)
		}
	}
	for _, child := range q.manifest.Children {
		digests = append(digests, child.Digest)
	}
	revoked := q.revocations.ImagesOf(q.repository())
	for _, dgst := range digests {
		if e := revoked[dgst.String()]; e != nil {
			return revokedBy(e, dgst)
		}
	}
	return nil
}

// byList says which list revokes.
func byList(list string) string {
	if list == "" {
		return ""
	}
	return "by " + list
}
