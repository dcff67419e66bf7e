package trust

import (
	"context"

	"github.com/tufoci/tufoci/material"
)

// Reserved returns the effective targets under reserved names, sorted: those that
// the own list of the role targets has, and of the role revocations what it may
// list. It reads no other role.
func (v *View) Reserved(ctx context.Context) ([]Target, error) { panic("not built") }

// Revocations returns all revocations of the repository: revocations.json and the
// files below revocations/, together. If one that is listed cannot be read or
// parsed, or the role revocations cannot, nothing is returned but an error that is
// ErrRevocations, with what caused it in the chain: an unreadable list fails closed.
//
// The state remembers entries; one that a list no longer has is warned of.
func (v *View) Revocations(ctx context.Context) (*material.Revocations, error) { panic("not built") }
