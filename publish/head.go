package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// head is what the channel tag names, verified as a client does from the root
// of the workspace. A nil head is a tag that does not exist.
type head struct {
	bundle *ociremote.Bundle
	view   *trust.View
	source *shown
	// live is a client that has seen this head and nothing after it; nil
	// once it has been shown more.
	live *consumer
}

// client returns a client that has seen this head and nothing after it.
func (h *head) client(ctx context.Context, root1 []byte, now time.Time) (*consumer, error) {
	if c := h.live; c != nil {
		h.live = nil
		return c, nil
	}
	c, _, err := seeOnce(ctx, root1, h.source, h.bundle, now)
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
	if f, ok := b.File(metadata.Title("root", 1)); !ok || f.Descriptor.Digest != digest.FromBytes(p.root1) {
		return nil, &ForeignTagError{Tag: p.dst.channel, Err: errors.New("a repository with another first root")}
	}
	source := p.source()
	live, view, err := seeOnce(ctx, p.root1, source, b, p.o.Now())
	if err != nil {
		return nil, fmt.Errorf("verifying %s under tag %q: %w", b.Descriptor.Digest, p.dst.channel, err)
	}
	return &head{bundle: b, view: view, source: source, live: live}, nil
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

// files are the verified metadata of the head with its bytes, and its target
// files without.
func (h *head) files(ctx context.Context) ([]metadata.File, error) {
	var files []metadata.File
	add := func(title string, data []byte) {
		d := digest.FromBytes(data)
		files = append(files, metadata.File{Name: title, Data: data, SHA256: d.Encoded(), Length: int64(len(data))})
	}
	for v := int64(1); v <= h.view.Status().Root.Version; v++ {
		data, ok := h.view.RootVersion(v)
		if !ok {
			return nil, fmt.Errorf("the head lacks root v%d", v)
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
			files = append(files, metadata.File{Name: f.Title, SHA256: f.Descriptor.Digest.Encoded(), Length: f.Descriptor.Size})
		}
	}
	return files, nil
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
