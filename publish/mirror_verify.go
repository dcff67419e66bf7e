package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// verify holds the copy to a client that starts from the pin, and to one that
// has seen what the destination holds, of which it returns the timestamp version, 0
// if that is nothing.
func (m *mirroring) verify(ctx context.Context, c candidate, old *ociremote.Bundle) (int64, error) {
	now := m.o.Now()
	if m.status.AsOf != nil {
		now = *m.status.AsOf
	}
	at, err := m.accept(ctx, c, m.dst.repo, now)
	if err != nil || old == nil {
		return 0, err
	}
	client, view, err := m.live(ctx, old, at)
	if err != nil {
		return 0, err
	}
	there := view.Status()
	if err := m.notBehind(there, m.dst.channel, c.bundle.Descriptor.Digest, old.Descriptor.Digest); err != nil {
		return 0, err
	}
	client.source.show(c.bundle, c.blobs)
	if _, err := client.see(ctx, c.bundle, at); err != nil {
		return 0, fmt.Errorf("clients of the destination would refuse the copy: %w", err)
	}
	return there.Timestamp.Version, nil
}

// live verifies what the destination holds, and returns a client that has seen it.
// That client must not see its clock run backwards, so it looks at the old state no
// later than at the new one.
func (m *mirroring) live(ctx context.Context, old *ociremote.Bundle, at time.Time) (*consumer, *trust.View, error) {
	anchor, ok := m.anchor(old)
	if !ok {
		return nil, nil, &ForeignTagError{Tag: m.dst.channel, Err: errors.New("a repository with other roots")}
	}
	client, view, err := seeOnce(ctx, anchor, &shown{behind: m.dst.repo, blobs: m.held()}, old, at)
	if err != nil {
		return nil, nil, fmt.Errorf("verifying what tag %q of the destination names: %w", m.dst.channel, err)
	}
	return client, view, nil
}

// notBehind refuses a destination that is not older than the source, or equal to it,
// unless a root of the source has ended what is there.
func (s *original) notBehind(there trust.Status, tag string, ours, theirs digest.Digest) error {
	if err := there.Seen().Check(s.view, "the destination already holds a newer state than the source"); err != nil {
		return err
	}
	here := s.status.Timestamp
	if here.Version == there.Timestamp.Version && here.SHA256 != there.Timestamp.SHA256 && !s.view.Ends(there.Root.Version) {
		return &ForkError{Tag: tag, Ours: ours, Theirs: theirs, OursVersion: here.Version, TheirsVersion: there.Timestamp.Version}
	}
	return nil
}

// anchor is the root from which the destination is verified: the pin if it
// has that, else, for a destination that is older than the pin, its newest
// root that the source has byte for byte. Without either it belongs to others, and
// so it does with another root of any version: that is signed by keys of the root
// too, or else it does not verify.
func (s *original) anchor(old *ociremote.Bundle) ([]byte, bool) {
	var newest trust.File
	pinned := false
	for _, f := range s.set.Files {
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
		pinned = pinned || f.Digest.Encoded() == s.status.RootSHA256
		if f.Version > newest.Version {
			newest = f
		}
	}
	if pinned {
		return s.pin, true
	}
	return newest.Data, newest.Data != nil
}
