package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// candidate is a bundle that may become the head.
type candidate struct {
	bundle *ociremote.Bundle
	// blobs are all of the bundle; those without data are in the registry.
	blobs []ociremote.Blob
	// version is that of its timestamp.
	version int64
}

// verify holds a candidate to what clients will do with it: those that have
// seen the head, and those that start from nothing but the pinned root. It
// returns what the latter see. Delegated roles that have expired in the head
// stop nobody: the names behind them have no answer either way, and all others
// would soon have none.
func (p *publication) verify(ctx context.Context, c candidate, h *head) (*trust.View, error) {
	now := p.o.Now()
	source := p.source()
	var clients []*consumer
	if h != nil {
		source = h.source
		live, err := h.client(ctx, p.pin.root, now)
		if err != nil {
			return nil, err
		}
		clients = append(clients, live)
	}
	fresh, err := newConsumer(p.pin.root, source)
	if err != nil {
		return nil, err
	}
	source.show(c.bundle, c.blobs)
	var view *trust.View
	for _, client := range append(clients, fresh) {
		if view, err = client.see(ctx, c.bundle, now); err != nil && !lapsed(err) {
			return nil, err
		}
	}
	if err != nil {
		p.dst.warn(fmt.Sprintf("%v: what it lists cannot be verified until it is renewed", err))
		if view, err = p.whole(ctx, c, h); err != nil {
			return nil, err
		}
	}
	if got := view.Status().Timestamp.Version; got != c.version {
		return nil, fmt.Errorf("its timestamp is v%d, not v%d", got, c.version)
	}
	return view, complete(ctx, view, c.bundle, h)
}

// lapsed reports that an error is no more than the expiry of a delegated role.
func lapsed(err error) bool {
	evidence, ok := errors.AsType[*trust.VerificationError](err)
	if !ok || evidence.Kind != trust.ErrExpired {
		return false
	}
	switch evidence.Role {
	case "root", "timestamp", "snapshot", "targets":
		return false
	}
	return true
}

// has reports whether the file of a role in a bundle is that of the head.
func (h *head) has(b *ociremote.Bundle, role string, version int64) bool {
	if h == nil {
		return false
	}
	title := metadata.Title(role, version)
	ours, ok := h.bundle.File(title)
	theirs, _ := b.File(title)
	return ok && ours.Descriptor.Digest == theirs.Descriptor.Digest
}

// whole is what a client from nothing sees of a candidate before roles that
// have expired in the head did. No other role may have expired.
func (p *publication) whole(ctx context.Context, c candidate, h *head) (*trust.View, error) {
	source := p.source()
	source.show(c.bundle, c.blobs)
	_, view, err := seeOnce(ctx, p.pin.root, source, c.bundle, p.o.Now())
	if err != nil {
		return nil, err
	}
	roles, err := view.Roles(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range roles {
		if !r.Expires.After(p.o.Now()) && !h.has(c.bundle, r.Name, r.Version) {
			return nil, &trust.VerificationError{Kind: trust.ErrExpired, Role: r.Name, Version: r.Version, Expires: r.Expires, Now: p.o.Now()}
		}
	}
	return view, nil
}

// pack makes the bundle of a release.
func (p *publication) pack(r *metadata.Release, h *head) (candidate, error) {
	contents := make([]ociremote.Content, len(r.Files))
	for i, f := range r.Files {
		contents[i] = ociremote.Content{Title: f.Name, Digest: digest.NewDigestFromEncoded(digest.SHA256, f.SHA256), Size: f.Length, Data: f.Data}
	}
	versions := Versions{Root: r.RootVersion, Timestamp: r.TimestampVersion, Snapshot: r.SnapshotVersion, Targets: r.TargetsVersion}
	layout := p.o.Layout
	if layout == "" && h != nil {
		layout = h.bundle.Layout
	}
	b, blobs, err := ociremote.Pack(contents, ociremote.PackOptions{
		Layout:      layout,
		Annotations: annotations(versions, r.Expires, h.digest(), p.o.Now()),
	})
	if err != nil {
		return candidate{}, fmt.Errorf("packing the bundle: %w", err)
	}
	return candidate{bundle: b, blobs: blobs, version: r.TimestampVersion}, nil
}

// annotations of a bundle: what a person wants to see in a registry, and the
// bundle that it replaces. Times are whole seconds in UTC.
func annotations(v Versions, expires map[string]time.Time, previous digest.Digest, now time.Time) map[string]string {
	a := map[string]string{ocispec.AnnotationCreated: stamp(now)}
	if previous != "" {
		a[ociremote.AnnotationPrevious] = previous.String()
	}
	for _, role := range []struct {
		name                string
		version             int64
		versionKey, expires string
	}{
		{"root", v.Root, ociremote.AnnotationRootVersion, ociremote.AnnotationRootExpires},
		{"timestamp", v.Timestamp, ociremote.AnnotationTimestampVersion, ociremote.AnnotationTimestampExpires},
		{"snapshot", v.Snapshot, ociremote.AnnotationSnapshotVersion, ociremote.AnnotationSnapshotExpires},
		{"targets", v.Targets, ociremote.AnnotationTargetsVersion, ociremote.AnnotationTargetsExpires},
	} {
		a[role.versionKey] = strconv.FormatInt(role.version, 10)
		if t, ok := expires[role.name]; ok {
			a[role.expires] = stamp(t)
		}
	}
	return a
}

func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// targetFiles counts the target files among titles.
func targetFiles(files []metadata.File) int {
	n := 0
	for _, f := range files {
		if strings.HasPrefix(f.Name, "targets/") {
			n++
		}
	}
	return n
}
