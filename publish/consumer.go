package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// imagesPrefix begins the target names whose bytes are images, which no
// bundle holds.
const imagesPrefix = "images/"

// consumer is a client with its state in memory, which is shown one bundle
// after the other.
type consumer struct {
	source *shown
	client *trust.Client
	clock  atomic.Pointer[time.Time]
}

// newConsumer makes a client that has seen nothing and is pinned to root.
func newConsumer(root []byte, source *shown) (*consumer, error) {
	c := &consumer{source: source}
	client, err := trust.New(root, trust.Options{
		Source: trust.RepositorySource(source, ociremote.DefaultChannel),
		Now:    func() time.Time { return *c.clock.Load() },
	})
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	c.client = client
	return c, nil
}

// see verifies a bundle, all its roles included, at a time, as a client does
// that has seen what this one saw before.
func (c *consumer) see(ctx context.Context, b *ociremote.Bundle, at time.Time) (*trust.View, error) {
	view, err := c.glance(ctx, b, at)
	if err != nil {
		return nil, err
	}
	roles, err := view.Roles(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range roles {
		if r.Err != nil {
			return nil, fmt.Errorf("role %q: %w", r.Name, r.Err)
		}
	}
	return view, nil
}

// glance is see without the delegated roles, of which a partial bundle lacks some.
func (c *consumer) glance(ctx context.Context, b *ociremote.Bundle, at time.Time) (*trust.View, error) {
	c.clock.Store(&at)
	view, err := c.client.Refresh(ctx)
	if err != nil {
		return nil, err
	}
	status := view.Status()
	timestamp, _ := b.File(timestampTitle)
	if timestamp.Descriptor.Digest != digest.NewDigestFromEncoded(digest.SHA256, status.Timestamp.SHA256) {
		return nil, &trust.VerificationError{
			Kind: trust.ErrRollback, Role: "timestamp", Version: status.Timestamp.Version,
			Detail: fmt.Sprintf("a client that has seen what is live keeps it and does not take %s", timestamp.Descriptor.Digest),
		}
	}
	return view, nil
}

// timeTravels bounds how often a bundle is looked at again at an earlier time:
// once for each of the top-level roles, and for as many delegated roles.
const timeTravels = 64

// seeOnce verifies a bundle from nothing but root. If some of it has expired
// by now, it is judged at the last moment at which it had not: a publisher
// must be able to follow up a head that has lapsed, and to hold what comes
// next against the state of the clients that read it in time.
func seeOnce(ctx context.Context, root []byte, source *shown, b *ociremote.Bundle, now time.Time) (*consumer, *trust.View, error) {
	return once(ctx, root, source, b, now, (*consumer).see)
}

// glanceOnce is seeOnce for a partial bundle.
func glanceOnce(ctx context.Context, root []byte, source *shown, b *ociremote.Bundle, now time.Time) (*trust.View, error) {
	_, view, err := once(ctx, root, source, b, now, (*consumer).glance)
	return view, err
}

// sight is a way to look at a bundle.
type sight func(c *consumer, ctx context.Context, b *ociremote.Bundle, at time.Time) (*trust.View, error)

func once(ctx context.Context, root []byte, source *shown, b *ociremote.Bundle, now time.Time, by sight) (*consumer, *trust.View, error) {
	source.show(b, nil)
	at := now
	for range timeTravels {
		c, err := newConsumer(root, source)
		if err != nil {
			return nil, nil, err
		}
		view, err := by(c, ctx, b, at)
		if err == nil {
			return c, view, nil
		}
		evidence, ok := errors.AsType[*trust.VerificationError](err)
		if !ok || !errors.Is(err, trust.ErrExpired) || evidence.Expires.IsZero() || evidence.Expires.After(at) {
			return nil, nil, err
		}
		at = evidence.Expires.Add(-time.Second)
	}
	return nil, nil, fmt.Errorf("more than %d roles have expired one after the other", timeTravels)
}

// complete says which file its bundle lacks for the consumers of a view: every
// root from the first one, which those who start from the newest do not read,
// and every target file. Roots below the pin are those of the head, or in an empty
// channel what the workspace has.
func complete(ctx context.Context, view *trust.View, b *ociremote.Bundle, h *head) error {
	for v := int64(1); v <= view.Status().Root.Version; v++ {
		f, there := b.File(metadata.Title("root", v))
		want := f.Descriptor.Digest
		if data, verified := view.RootVersion(v); verified {
			want = digest.FromBytes(data)
		} else if h != nil {
			old, _ := h.bundle.File(metadata.Title("root", v))
			want = old.Descriptor.Digest
		}
		if !there || f.Descriptor.Digest != want {
			return fmt.Errorf("the bundle lacks root v%d", v)
		}
	}
	targets, err := view.List(ctx)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if strings.HasPrefix(t.Path, imagesPrefix) {
			continue
		}
		title := metadata.TargetTitle(t.Path, metadata.FileHash(t.Hashes))
		f, there := b.File(title)
		sum := t.Hashes["sha256"] // other programs sign other hashes, which the title has
		if !there || f.Descriptor.Size != t.Length || sum != "" && f.Descriptor.Digest.Encoded() != sum {
			return fmt.Errorf("target %q of role %q: the bundle lacks its file %q", t.Path, t.Role, title)
		}
	}
	return nil
}

const timestampTitle = "metadata/timestamp.json"

// online reports that a title is of the snapshot or the timestamp, which every
// publish makes anew.
func online(title string) bool {
	role, _, ok := metadata.ParseTitle(title)
	return ok && (role == "timestamp" || role == "snapshot")
}
