package verify

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/material"
)

// NewMaterial makes material without a trust repository.
func NewMaterial(set *material.Set, r *material.Revocations, now func() time.Time) *Material {
	set.Revocations = r
	return &Material{set: set, now: now}
}

// Examine examines an envelope by the only statement of the material's policy.
func Examine(ctx context.Context, m *Material, subject ocispec.Descriptor, mediaType string, data []byte) error {
	x, err := newExaminer(m, &m.set.Policy.TrustPolicies[0], nil)
	if err != nil {
		return err
	}
	return x.examine(ctx, &Signature{Digest: digest.FromBytes(data)}, subject, &envelope{mediaType, data})
}
