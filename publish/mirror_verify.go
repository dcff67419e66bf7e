package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// verify holds the copy to a client that starts from the pin, and to one that
// has seen what the destination holds.
func (m *mirroring) verify(ctx context.Context, c candidate, old *ociremote.Bundle) error {
	now := m.o.Now()
	if m.status.AsOf != nil {
		now = *m.status.AsOf
	}
	copied := &shown{behind: m.dst.repo}
	copied.show(c.bundle, c.blobs)
	fresh, _, err := seeOnce(ctx, m.pin, copied, c.bundle, now)
	if err != nil {
		return fmt.Errorf("verifying the copy: %w", err)
	}
	if old == nil {
		return nil
	}
	anchor, ok := m.anchor(old)
	if !ok {
		return &ForeignTagError{Tag: m.dst.channel, Err: errors.New("a repository with other roots")}
	}
	// The client of the destination must not see its clock run backwards,
	// so it looks at the old state no later than at the new one.
	at := *fresh.clock.Load()
	client, view, err := seeOnce(ctx, anchor, &shown{behind: m.dst.repo}, old, at)
	if err != nil {
		return fmt.Errorf("verifying what tag %q of the destination names: %w", m.dst.channel, err)
	}
	there := view.Status().Timestamp
	switch {
	case there.Version > m.status.Timestamp.Version:
		return &trust.VerificationError{
			Kind: trust.ErrRollback, Role: "timestamp", Version: m.status.Timestamp.Version, Want: there.Version,
			Detail: "the destination already holds a newer state than the source",
		}
	case there.Version == m.status.Timestamp.Version && there.SHA256 != m.status.Timestamp.SHA256:
		return &ForkError{
			Tag: m.dst.channel, Ours: c.bundle.Descriptor.Digest, Theirs: old.Descriptor.Digest,
			OursVersion: m.status.Timestamp.Version, TheirsVersion: there.Version,
		}
	}
	client.source.show(c.bundle, c.blobs)
	if _, err := client.see(ctx, c.bundle, at); err != nil {
		return fmt.Errorf("clients of the destination would refuse the copy: %w", err)
	}
	return nil
}

// anchor is the root from which the destination is verified: the pin if it
// has that, else, for a destination that is older than the pin, its newest
// root that the source has byte for byte. Without either it belongs to others.
func (m *mirroring) anchor(old *ociremote.Bundle) ([]byte, bool) {
	var newest trust.File
	for _, f := range m.set.Files {
		if f.Role != "root" {
			continue
		}
		there, ok := old.File(f.Title)
		if !ok {
			continue
		}
		if there.Descriptor.Digest != f.Digest {
			return nil, false
		}
		if f.Digest.Encoded() == m.status.RootSHA256 {
			return m.pin, true
		}
		if f.Version > newest.Version {
			newest = f
		}
	}
	return newest.Data, newest.Data != nil
}
