package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// What an image was copied in spite of.
const (
	allowedRevoked  = "revoked"
	allowedUnmapped = "unmapped"
)

// verify decides whether the image may be copied, and notes what is known of it.
func (j *job) verify(ctx context.Context) error {
	result, err := j.permitted(withOverlay(ctx, j.from))
	if err != nil {
		return err
	}
	j.r.Digest, j.r.MediaType = result.Digest, result.MediaType
	j.good = map[digest.Digest]bool{}
	for _, v := range result.Verdicts {
		for _, s := range v.Signatures {
			if s.Accepted {
				j.good[s.Digest] = true
			}
		}
		for _, m := range v.Mappings {
			if m.Index != "" && m.Index != result.Digest {
				j.index = m.Index
			}
		}
	}
	if j.r.Allowed != "" {
		j.c.warn(fmt.Sprintf("%s is copied although it is %s", j.image, j.r.Allowed))
	}
	if j.c.o.accepted != nil {
		j.c.o.accepted(j.image, result)
	}
	return nil
}

// permitted is the answer of package verify about the image, if that is good, or what
// is wrong with it is allowed, and nothing else is.
func (j *job) permitted(ctx context.Context) (*verify.Result, error) {
	ref, err := j.image.reference()
	if err != nil {
		return nil, err
	}
	o := &j.c.o
	result := j.c.strict.Image(ctx, ref, nil)
	switch {
	case result.Err == nil:
		return result, nil
	case o.AllowRevoked && errors.Is(result.Err, verify.ErrRevoked):
		// Revoked is the gravest reason, and hides the others.
		unmapped, err := j.mapped(result)
		if err != nil {
			return nil, err
		}
		if len(unmapped) > 0 && !o.AllowUnmapped {
			return nil, fmt.Errorf("%w; and %w: %s", result.Err, verify.ErrUnmapped, unmapped[0])
		}
		if !vouched(result) {
			return nil, fmt.Errorf("%w; and %w", result.Err, verify.ErrUnmapped)
		}
		j.r.Allowed = allowedRevoked
		return result, nil
	case o.AllowUnmapped && errors.Is(result.Err, verify.ErrUnmapped):
		// A graver reason would have been told, but the signature was not reached.
		j.r.Allowed = allowedUnmapped
		if j.c.lax == nil {
			return result, nil
		}
		result = j.c.lax.Image(ctx, ref, nil)
		return result, result.Err
	}
	return nil, result.Err
}

// vouched reports whether a signed entry names an image of which a certificate is
// revoked, or the image is itself: somebody who knew it then listed it. A signature by a
// revoked certificate says nothing, and whoever can push can attach an old one.
func vouched(result *verify.Result) bool {
	for _, v := range result.Verdicts {
		if len(v.Mappings) == 0 && len(v.Signatures) > 0 {
			return false
		}
	}
	return true
}

// mapped holds what was served to the entries that name it, and returns the required
// names that have none.
func (j *job) mapped(result *verify.Result) (unmapped []string, err error) {
	ref := result.Image
	if ref.Digest != "" && ref.Digest != result.Digest {
		return nil, &verify.Refusal{Kind: verify.ErrDiffers, Image: ref.String(), Signed: ref.Digest.String(), Served: result.Digest.String()}
	}
	var names []string
	if ref.Tag != "" {
		names = append(names, trust.ImageTag(ref.Repository, ref.Tag))
	}
	if ref.Digest != "" {
		names = append(names, trust.ImageDigest(ref.Repository, ref.Digest.String()))
	}
	for _, verdict := range result.Verdicts {
		for _, m := range verdict.Mappings {
			if m.Digest != result.Digest || m.Length != result.Size || m.MediaType != "" && m.MediaType != result.MediaType {
				return nil, &verify.Refusal{
					Kind: verify.ErrDiffers, Image: ref.String(), Name: m.Name, Role: m.Role, RoleVersion: m.RoleVersion,
					Signed: m.Digest.String(), Served: result.Digest.String(),
				}
			}
			names = slices.DeleteFunc(names, func(name string) bool { return name == m.Name })
		}
	}
	if !slices.Contains(j.c.o.Source.Entry.Required(), trust.RequireMapping) {
		names = nil
	}
	return names, nil
}
