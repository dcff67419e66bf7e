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

// head is what the channel tag names, verified as a client does from the pinned
// root. A nil head is a tag that does not exist.
type head struct {
	bundle *ociremote.Bundle
	view   *trust.View
	source *shown
	// live is a client that has seen this head and nothing after it; nil
	// once it has been shown more.
	live *consumer
}

// client returns a client that has seen this head and nothing after it.
func (h *head) client(ctx context.Context, pin []byte, now time.Time) (*consumer, error) {
	if c := h.live; c != nil {
		h.live = nil
		return c, nil
	}
	c, _, err := seeOnce(ctx, pin, h.source, h.bundle, now)
	return c, err
}

// readHead reads and verifies the head.
func (p *publication) readHead(ctx context.Context) (*head, error) {
	b, err := p.dst.head(ctx)
	if err != nil {
		return nil, err
	}
	if b == nil {
		if p.base != nil {
			return nil, fmt.Errorf("%w: tag %q is not there, but this workspace published %s under it", ErrHeadMissing, p.dst.channel, p.base.digest)
		}
		return nil, nil
	}
	if theirs, ok := p.pin.in(b); !ok {
		return nil, p.by.stranger(p.dst.channel, theirs)
	}
	return p.pin.verify(ctx, b, p.source(), p.dst.channel, p.o.Now())
}

func (h *head) digest() digest.Digest {
	if h == nil {
		return ""
	}
	return h.bundle.Descriptor.Digest
}

func (h *head) version() int64 {
	if h == nil {
		return 0
	}
	return h.view.Status().Timestamp.Version
}

// named are the blobs of the head.
func (h *head) named() (map[digest.Digest]bool, error) {
	if h == nil {
		return nil, nil
	}
	return named(h.bundle)
}

// files are the verified metadata of the head with its bytes, its roots below
// the pin, which are carried as they are, and its target files, with bytes
// where they are inline: so they can be inline again.
func (h *head) files(ctx context.Context) ([]metadata.File, error) {
	var files []metadata.File
	add := func(title string, data []byte) {
		d := digest.FromBytes(data)
		files = append(files, metadata.File{Name: title, Data: data, SHA256: d.Encoded(), Length: int64(len(data))})
	}
	for v := int64(1); v <= h.view.Status().Root.Version; v++ {
		data, ok := h.view.RootVersion(v)
		if !ok {
			var err error
			if data, err = h.carriedRoot(ctx, v); err != nil {
				return nil, err
			}
		}
		add(metadata.Title("root", v), data)
	}
	roles, err := h.view.Roles(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range roles {
		if r.Name == "root" {
			continue
		}
		data, err := h.view.Metadata(ctx, r.Name)
		if err != nil {
			return nil, fmt.Errorf("role %q: %w", r.Name, err)
		}
		add(metadata.Title(r.Name, r.Version), data)
	}
	for _, f := range h.bundle.Files {
		if strings.HasPrefix(f.Title, "targets/") {
			data, _ := h.bundle.Inline(f.Title)
			files = append(files, metadata.File{Name: f.Title, Data: data, SHA256: f.Descriptor.Digest.Encoded(), Length: f.Descriptor.Size})
		}
	}
	return files, nil
}

// maxCarriedRoot bounds a root below the pin, in bytes: a hundred times what
// ordinary ones have.
const maxCarriedRoot = 1 << 20

// carriedRoot reads a root below the pin.
func (h *head) carriedRoot(ctx context.Context, version int64) ([]byte, error) {
	title := metadata.Title("root", version)
	f, ok := h.bundle.File(title)
	if !ok {
		return nil, lacksRoot(version)
	}
	return h.file(ctx, title, f.Descriptor.Digest, maxCarriedRoot)
}

// lacksRoot says that clients are cut off.
func lacksRoot(version int64) error {
	return &trust.VerificationError{Kind: trust.ErrMalformed, Role: "root", Version: version, Detail: "the head lacks it: clients with an older root stop before it"}
}

// metadata is the head as a workspace takes it, nil for no head.
func (h *head) metadata(ctx context.Context) (*metadata.Head, error) {
	if h == nil {
		return nil, nil
	}
	files, err := h.files(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the head: %w", err)
	}
	return &metadata.Head{Digest: h.digest().String(), Files: files}, nil
}
