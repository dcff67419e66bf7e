package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxListedTags are gone through for the history of a channel: many times what
	// publishers make in the life of a repository.
	maxListedTags = 100_000
	// maxHistoryBytes bounds the manifests that are read of one history, together.
	maxHistoryBytes = 64 << 20
)

// readOnly is a repository that is not written to, where one that can be is asked for.
type readOnly struct{ ociremote.Repository }

var errReadOnly = errors.New("a repository that is only read was to be written to")

// Push implements [ociremote.WritableRepository].
func (readOnly) Push(context.Context, ocispec.Descriptor, io.Reader) error { return errReadOnly }

// PushReference implements [ociremote.WritableRepository].
func (readOnly) PushReference(context.Context, ocispec.Descriptor, io.Reader, string) error {
	return errReadOnly
}

// Tags implements [ociremote.WritableRepository].
func (r readOnly) Tags(ctx context.Context, last string, fn func([]string) error) error {
	lister, ok := r.Repository.(interface {
		Tags(ctx context.Context, last string, fn func([]string) error) error
	})
	if !ok {
		return fmt.Errorf("%w: it has no list of tags", ociremote.ErrForeign)
	}
	return lister.Tags(ctx, last, fn)
}

// historyTags are the versions of the history tags of a channel, newest first.
type historyTags []int64

// listHistory lists the history tags of a channel: they follow one another in a list of
// tags, which is read from there on and to their end.
func listHistory(ctx context.Context, repo ociremote.WritableRepository, channel string) (historyTags, error) {
	first := channel + ".v"
	var versions historyTags
	listed := 0
	err := repo.Tags(ctx, first, func(tags []string) error {
		if listed += len(tags); listed > maxListedTags {
			return fmt.Errorf("%w: more than %d", ErrTooManyTags, maxListedTags)
		}
		for _, tag := range tags {
			if v, ok := ociremote.ParseHistoryTag(channel, tag); ok {
				versions = append(versions, v)
			} else if tag > first && !strings.HasPrefix(tag, first) {
				return errEnough
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) && !isNotFound(err) {
		return nil, fmt.Errorf("listing the history of tag %q: %w", channel, err)
	}
	slices.SortFunc(versions, func(a, b int64) int { return cmp.Compare(b, a) })
	return slices.Compact(versions), nil
}

// past is a bundle of the history as it was read.
type past struct {
	HistoryEntry
	version  int64 // of the tag, or of the timestamp
	manifest ocispec.Descriptor
	bundle   bool // it is the bundle of a whole repository, of whomever
	before   bool // it is from before the pinned root
	// files are the metadata files that it names, but for snapshot and timestamp.
	files     map[string]ocispec.Descriptor
	timestamp digest.Digest
	roles     map[string]int64 // signed versions, nil unless Verified
}

// historian reads a history.
type historian struct {
	p    *publication
	h    *head
	o    HistoryOptions
	held map[digest.Digest][]byte // what the head has of the roots and top-level roles

	entries   []*past // in the order of the tags, newest first
	head      *past
	ancestors []*past // of the head, newest first
	complete  bool    // the oldest of them was built on nothing
	truncated bool
	notes     []string
	compared  int
}

func newHistorian(ctx context.Context, pin []byte, repo ociremote.Repository, h *head, o HistoryOptions) (*historian, error) {
	if o.Max <= 0 {
		o.Max = defaultHistory
	}
	o.Max = min(o.Max, maxHistory)
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	from, err := newAnchor(pin)
	if err != nil {
		return nil, err
	}
	p, err := newPublication(nil, from, nil, readOnly{repo}, Options{Channel: o.Channel, Now: o.Now})
	if err != nil {
		return nil, err
	}
	held := map[digest.Digest][]byte{}
	for v := from.version; v <= h.view.Status().Root.Version; v++ {
		if data, ok := h.view.RootVersion(v); ok {
			held[digest.FromBytes(data)] = data
		}
	}
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		data, err := h.view.Metadata(ctx, role)
		if err != nil {
			return nil, err
		}
		held[digest.FromBytes(data)] = data
	}
	r := &historian{p: p, h: h, o: o, held: held}
	r.head, err = r.describe(ctx, h.bundle, h.version())
	if err != nil {
		return nil, err
	}
	r.head.State = StateHead
	return r, nil
}

// read reads the newest bundles, a few at a time.
func (r *historian) read(ctx context.Context, tags historyTags) error {
	newest := tags[:min(len(tags), r.o.Max)]
	r.truncated = len(newest) < len(tags)
	var size int64
	for batch := range slices.Chunk(newest, r.o.Concurrency) {
		found, err := r.readTags(ctx, batch)
		if err != nil {
			return err
		}
		for _, e := range found {
			if e != nil {
				r.add(e)
				size += e.manifest.Size
			}
		}
		if size > maxHistoryBytes {
			r.truncated = true
			r.notes = append(r.notes, fmt.Sprintf("the bundles have more than %d bytes: those before v%d were not read", maxHistoryBytes, batch[len(batch)-1]))
			break
		}
	}
	return nil
}

// readTags reads the bundles under history tags, at the same time; nil for a tag that is
// gone.
func (r *historian) readTags(ctx context.Context, versions []int64) ([]*past, error) {
	found := make([]*past, len(versions))
	group, ctx := errgroup.WithContext(ctx)
	for i, version := range versions {
		group.Go(func() (err error) {
			found[i], err = r.readTag(ctx, version)
			return err
		})
	}
	return found, group.Wait()
}

// add notes a bundle that was read; that of the head is known.
func (r *historian) add(e *past) {
	if e.Digest == r.head.Digest && e.version == r.head.version {
		r.head.Tag = e.Tag
		return
	}
	r.entries = append(r.entries, e)
}

// readTag reads the bundle under a history tag, nil if the tag is gone.
func (r *historian) readTag(ctx context.Context, version int64) (*past, error) {
	tag := ociremote.HistoryTag(r.o.Channel, version)
	var known ociremote.Known
	if version == r.head.version {
		known.Digest = r.head.Digest
	}
	b, err := ociremote.FetchBundle(ctx, r.p.dst.repo, tag, known)
	switch {
	case errors.Is(err, ociremote.ErrNotModified):
		return &past{HistoryEntry: HistoryEntry{Tag: tag, Digest: r.head.Digest}, version: version}, nil
	case isNotFound(err):
		return nil, nil
	case unreadable(err):
		return &past{HistoryEntry: HistoryEntry{Tag: tag, State: StateUnreadable, Versions: Versions{Timestamp: version}, Err: err}, version: version}, nil
	case err != nil:
		return nil, err
	}
	e, err := r.describe(ctx, b, version)
	if err != nil {
		return nil, err
	}
	e.Tag = tag
	return e, nil
}

// describe verifies the top-level roles of a bundle and keeps what is needed of it. What
// keeps it from verifying is in the entry; an error is one of the way to it.
func (r *historian) describe(ctx context.Context, b *ociremote.Bundle, version int64) (*past, error) {
	e := &past{version: version, bundle: !b.Partial && !b.Legacy, files: map[string]ocispec.Descriptor{}}
	e.manifest = *bare(b.Descriptor)
	e.Digest, e.Previous = b.Descriptor.Digest, previousOf(b)
	e.Versions, e.Expires = said(b)
	e.Made, _ = time.Parse(time.RFC3339, b.Annotations[ocispec.AnnotationCreated])
	if e.Err = r.verify(ctx, b, e); e.Err == nil {
		e.Verified = true
	}
	if e.Err != nil && (unreachable(e.Err) || ctx.Err() != nil) {
		return nil, e.Err
	}
	if e.Verified || e.before {
		e.note(b)
	}
	if !e.Verified {
		e.State, e.roles = StateUnreadable, nil
	}
	return e, nil
}

// note keeps which metadata files a bundle has: the bundle itself is not held, since there
// can be very many.
func (e *past) note(b *ociremote.Bundle) {
	for _, f := range b.Files {
		role, _, ok := metadata.ParseTitle(f.Title)
		switch {
		case !ok:
		case role == "timestamp":
			e.timestamp = f.Descriptor.Digest
		case role != "snapshot":
			e.files[f.Title] = *bare(f.Descriptor)
		}
	}
}

// verify reads the top-level roles of a bundle from the pin.
func (r *historian) verify(ctx context.Context, b *ociremote.Bundle, e *past) error {
	if !e.bundle {
		return errors.New("not the bundle of a whole repository")
	}
	if theirs, ok := r.p.pin.in(b); !ok {
		if e.before = theirs == "" && e.Versions.Root < r.p.pin.version; e.before {
			return fmt.Errorf("it is from before the pinned root v%d, and cannot be verified from that", r.p.pin.version)
		}
		return r.p.pin.wrong(r.o.Channel, theirs)
	}
	source := &shown{behind: r.p.dst.repo, blobs: maps.Clone(r.held)}
	view, err := glanceOnce(ctx, r.p.pin.root, source, b, r.o.Now())
	if err != nil {
		return err
	}
	st := view.Status()
	e.Versions = Versions{Root: st.Root.Version, Timestamp: st.Timestamp.Version, Snapshot: st.Snapshot.Version, Targets: st.Targets.Version}
	e.Expires = st.Timestamp.Expires
	if e.roles, err = signedRoles(ctx, view); err != nil {
		return err
	}
	timestamp, err := view.Metadata(ctx, "timestamp")
	if err != nil {
		return err
	}
	if at, _, ok := metadata.MadeAt(timestamp); ok {
		e.Made, e.MadeSigned = at, true
	}
	if got := e.Versions.Timestamp; got != e.version {
		return fmt.Errorf("it is the bundle of timestamp v%d", got)
	}
	return nil
}

// signedRoles are the versions of all roles that the snapshot of a view names, and of
// those above it.
func signedRoles(ctx context.Context, view *trust.View) (map[string]int64, error) {
	data, err := view.Metadata(ctx, "snapshot")
	if err != nil {
		return nil, err
	}
	var snapshot struct {
		Signed struct {
			Meta map[string]struct {
				Version int64 `json:"version"`
			} `json:"meta"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &snapshot); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	st := view.Status()
	roles := map[string]int64{"root": st.Root.Version, "snapshot": st.Snapshot.Version, "timestamp": st.Timestamp.Version}
	for file, m := range snapshot.Signed.Meta {
		roles[strings.TrimSuffix(file, ".json")] = m.Version
	}
	return roles, nil
}
