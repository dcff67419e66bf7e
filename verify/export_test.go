package verify

import (
	"time"

	"github.com/tufoci/tufoci/material"
)

// NewMaterial makes material without a trust repository.
func NewMaterial(set *material.Set, r *material.Revocations, now func() time.Time) *Material {
	set.Revocations = r
	return &Material{set: set, now: now}
}
