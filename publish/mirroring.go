package publish

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// mirroring is one run of [Mirror].
type mirroring struct {
	*original
	o   MirrorOptions
	dst *destination
}

func newMirroring(ctx context.Context, view *trust.View, dst ociremote.WritableRepository, o MirrorOptions) (*mirroring, error) {
	if o.Tag == "" {
		o.Tag = ociremote.DefaultChannel
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	from, err := newOriginal(ctx, view)
	if err != nil {
		return nil, err
	}
	return &mirroring{from, o, newDestination(dst, o.Tag, o.Concurrency, o.Progress, o.Warn)}, nil
}

// once makes one plan and carries it out.
func (m *mirroring) once(ctx context.Context) (*MirrorResult, error) {
	old, err := m.dst.head(ctx)
	if err != nil {
		return nil, err
	}
	var previous digest.Digest
	if old != nil {
		previous = old.Descriptor.Digest
	}
	c, verbatim, err := m.candidate(m.o.Layout, previous, m.o.Now(), m.dst.warn)
	if err != nil {
		return nil, err
	}
	return m.over(ctx, old, c, verbatim)
}

// over puts a candidate in the place of what is at the destination, nil for nothing.
func (m *mirroring) over(ctx context.Context, old *ociremote.Bundle, c candidate, verbatim bool) (*MirrorResult, error) {
	result := m.result(c, verbatim, old)
	if old != nil && old.SameContent(c.bundle) {
		result.Unchanged, result.Digest, result.HistoryTag = true, old.Descriptor.Digest, ""
		return result, nil
	}

	// Read it as clients will, those of the destination too.
	version, err := m.verify(ctx, c, old)
	if err != nil {
		return nil, err
	}
	result.Plan.HeadVersion = version
	there, err := named(old)
	if err != nil {
		return nil, err
	}
	missing, err := m.dst.push.missing(c.blobs, there)
	if err != nil {
		return nil, err
	}
	result.Plan.Blobs, result.Plan.Bytes = planned(missing), total(missing)
	if m.o.DryRun {
		return result, nil
	}

	// Write it, the tag last. What is not there in the end is no result.
	if err := m.write(ctx, c, missing, old, result); err != nil {
		return nil, err
	}
	return result, nil
}

// write sends the blobs, then the history tag, then moves the tag, and reads
// it back.
func (m *mirroring) write(ctx context.Context, c candidate, missing []ociremote.Blob, old *ociremote.Bundle, result *MirrorResult) error {
	if err := m.dst.push.send(ctx, missing); err != nil {
		return err
	}
	ours, tags := c.bundle.Descriptor.Digest, []string{m.dst.channel}
	if result.HistoryTag != "" {
		tags = append(tags, result.HistoryTag)
	}
	before, err := m.dst.tagged(ctx, tags...)
	if err != nil {
		return err
	}
	if head := result.Plan.Head; before[0] != head {
		return errMoved
	}
	if len(tags) > 1 {
		if err := m.writeHistory(ctx, c, before[1], result); err != nil {
			return err
		}
	}
	if err := m.dst.put(ctx, c, m.dst.channel); err != nil {
		return err
	}
	after, err := m.dst.digest(ctx, m.dst.channel)
	if err != nil {
		return err
	}
	if after != ours {
		return &ForkError{Tag: m.dst.channel, Ours: ours, OursVersion: c.version, Theirs: after}
	}
	return nil
}

// writeHistory writes the history tag if it does not exist.
func (m *mirroring) writeHistory(ctx context.Context, c candidate, there digest.Digest, result *MirrorResult) error {
	switch there {
	case c.bundle.Descriptor.Digest:
		return nil
	case "":
		return m.dst.put(ctx, c, result.HistoryTag)
	}
	m.dst.warn(fmt.Sprintf("history tag %s is left as it is: it names %s, not %s", result.HistoryTag, there, c.bundle.Descriptor.Digest))
	result.HistoryTag = ""
	return nil
}

// result is what is known before anything is written.
func (m *mirroring) result(c candidate, verbatim bool, old *ociremote.Bundle) *MirrorResult {
	r := &MirrorResult{
		Plan:         Plan{Tag: m.dst.channel, Digest: c.bundle.Descriptor.Digest, Size: c.bundle.Descriptor.Size},
		Digest:       c.bundle.Descriptor.Digest,
		Tag:          m.dst.channel,
		Versions:     m.versions(),
		Verbatim:     verbatim,
		Files:        len(m.set.Files),
		CarriedRoots: m.set.Carried,
		SkippedRoles: m.set.Unreached,
	}
	if old != nil {
		r.Plan.Head, r.Plan.HeadVersion = old.Descriptor.Digest, versionOf(old)
	}
	if !m.o.NoHistory && ociremote.ValidateChannel(m.dst.channel) == nil {
		r.HistoryTag = ociremote.HistoryTag(m.dst.channel, c.version)
		r.Plan.HistoryTag = r.HistoryTag
	}
	for _, f := range m.set.Files {
		if strings.HasPrefix(f.Title, "targets/") {
			r.Targets++
		}
		if f.Role == "" {
			continue
		}
		if _, ok := fileOf(old, f); !ok {
			r.Plan.Roles = append(r.Plan.Roles, RoleChange{Role: f.Role, From: versionAt(old, f.Role), To: f.Version, Why: "copied"})
		}
	}
	return r
}

// fileOf finds the same file in a bundle, which may be nil.
func fileOf(b *ociremote.Bundle, f trust.File) (ociremote.File, bool) {
	if b == nil {
		return ociremote.File{}, false
	}
	there, ok := b.File(f.Title)
	return there, ok && there.Descriptor.Digest == f.Digest
}

// versionAt is the newest version of a role among the titles of a bundle; 0 if
// there is none, or for the timestamp, whose title has no version.
func versionAt(b *ociremote.Bundle, role string) int64 {
	if b == nil {
		return 0
	}
	if role == "timestamp" {
		return versionOf(b)
	}
	var newest int64
	for _, f := range b.Files {
		if name, version, ok := metadata.ParseTitle(f.Title); ok && name == role {
			newest = max(newest, version)
		}
	}
	return newest
}
