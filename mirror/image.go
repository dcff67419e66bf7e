package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

const (
	// maxDepth is how deep indexes stand in indexes, and maxManifests how many one
	// image has with all that refers to it.
	maxDepth     = 4
	maxManifests = 4096
	// parallelBlobs of one image are sent at the same time.
	parallelBlobs = 3
)

// job is the copying of one image.
type job struct {
	c     *copying
	image Image
	from  *overlay
	to    *place
	r     *ImageResult
	// good are the signatures that were accepted.
	good map[digest.Digest]bool
	// index is the one that the image is a platform of, "" for none.
	index digest.Digest

	manifests atomic.Int64
	sent      atomic.Int64 // bytes
	written   atomic.Int64 // blobs and manifests
	mu        sync.Mutex
	unsigned  int64 // bytes that may still be sent of what nothing has signed
}

// copyImage verifies one image and copies it.
func (c *copying) copyImage(ctx context.Context, r *ImageResult) error {
	source, err := c.sources.get(ctx, r.Name)
	if err != nil {
		return err
	}
	j := &job{c: c, image: r.Image, r: r, from: newOverlay(source, c.finder(source, r.Image)), unsigned: maxUnsigned}
	if err := j.verify(ctx); err != nil {
		return err
	}
	if j.to, err = c.places.get(ctx, r.Name); err != nil {
		return err
	}
	there, err := j.to.there(ctx, r.Image)
	if err != nil {
		return fmt.Errorf("at the destination: %w", err)
	}
	if c.o.DryRun {
		r.Unchanged = there.Digest == r.Digest
		return nil
	}
	err = j.copy(ctx, there.Digest)
	r.Bytes = j.sent.Load()
	return err
}

// copy sends what is not there: the image, what refers to it, and then its tag.
func (j *job) copy(ctx context.Context, there digest.Digest) error {
	image, err := ociremote.FetchManifest(ctx, j.from, j.r.Digest.String())
	if err != nil {
		return err
	}
	subjects := j.subjects(image)
	if there != j.r.Digest {
		if err := j.content(ctx, image, 0, j.free); err != nil {
			return err
		}
		if err := j.push(ctx, image); err != nil {
			return err
		}
	}
	if j.index != "" {
		// Its platform is signed through it.
		index, err := j.graft(ctx, ocispec.Descriptor{Digest: j.index, Size: -1}, 0, j.free)
		if err != nil {
			return fmt.Errorf("its index: %w", err)
		}
		subjects = append(subjects, j.subjects(index)...)
	}
	for _, subject := range subjects {
		if err := j.refer(ctx, subject, 1, there == j.r.Digest); err != nil {
			return err
		}
	}
	switch there {
	case j.r.Digest:
		j.r.Unchanged = j.written.Load() == 0
		return nil
	case "":
		return j.to.name(ctx, j.image, image)
	}
	// Clients of the destination know what it names now: it moves with the metadata.
	j.c.mu.Lock()
	defer j.c.mu.Unlock()
	j.c.moves = append(j.c.moves, move{j.r, j.to})
	return nil
}

// subjects are the manifests of which referrers are looked for: signatures and
// attachments are on the image itself, others may be on its platforms too.
func (j *job) subjects(m *ociremote.Manifest) []ocispec.Descriptor {
	subjects := []ocispec.Descriptor{m.Descriptor}
	if j.c.o.Referrers {
		subjects = append(subjects, m.Children...)
	}
	return subjects
}

// free spends nothing: what is signed may be as large as it is.
func (j *job) free(int64) error { return nil }

// graft makes a manifest be there, with all that it names.
func (j *job) graft(ctx context.Context, desc ocispec.Descriptor, depth int, spend func(int64) error) (*ociremote.Manifest, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d indexes within each other: %w", maxDepth, ErrEndless)
	}
	if !ociremote.IsDigest(desc.Digest.String()) {
		return nil, &ociremote.MalformedError{What: "index", Err: errors.New("a manifest without a sha256 digest")}
	}
	m, err := ociremote.FetchManifest(ctx, j.from, desc.Digest.String())
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	if desc.Size >= 0 && desc.Size != m.Descriptor.Size {
		return nil, &ociremote.MalformedError{What: "manifest", Err: fmt.Errorf("%s of %d bytes is described with %d", desc.Digest, m.Descriptor.Size, desc.Size)}
	}
	if err := j.content(ctx, m, depth, spend); err != nil {
		return nil, err
	}
	return m, j.push(ctx, m)
}

// content makes what a manifest names be there.
func (j *job) content(ctx context.Context, m *ociremote.Manifest, depth int, spend func(int64) error) error {
	if j.manifests.Add(1) > maxManifests {
		return fmt.Errorf("more than %d manifests: %w", maxManifests, ErrEndless)
	}
	if err := spend(m.Descriptor.Size); err != nil {
		return err
	}
	for _, child := range m.Children {
		if err := j.child(ctx, child, depth+1, spend); err != nil {
			return err
		}
	}
	if m.IsIndex() {
		return nil
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Data, &manifest); err != nil {
		return &ociremote.MalformedError{What: "manifest", Err: err}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelBlobs)
	for _, desc := range append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...) {
		if err := spend(desc.Size); err != nil {
			_ = group.Wait()
			return err
		}
		group.Go(func() error { return j.blob(ctx, desc) })
	}
	return group.Wait()
}

// child makes one manifest of an index be there. What the destination has already has
// its content.
func (j *job) child(ctx context.Context, desc ocispec.Descriptor, depth int, spend func(int64) error) error {
	plain := ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}
	if j.to.named == nil {
		if there, err := j.to.repo.Exists(ctx, plain); err != nil || there {
			return err
		}
	}
	_, err := j.graft(ctx, plain, depth, spend)
	return err
}

func (j *job) blob(ctx context.Context, desc ocispec.Descriptor) error {
	sent, err := j.c.sendBlob(ctx, j.from, j.to, desc)
	if isNotFound(err) && isForeign(desc.MediaType) {
		return nil
	}
	if sent > 0 {
		j.sent.Add(sent)
		j.written.Add(1)
		j.c.sentBlobs.Add(1)
	}
	return err
}

// isForeign reports whether layers of a type lie elsewhere, so that no registry needs
// to have them.
func isForeign(mediaType string) bool {
	return strings.Contains(mediaType, ".nondistributable.") || strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.foreign.")
}

func (j *job) push(ctx context.Context, m *ociremote.Manifest) error {
	if err := j.to.push(ctx, m); err != nil {
		return fmt.Errorf("manifest %s: %w", m.Descriptor.Digest, err)
	}
	j.wrote(m)
	return nil
}

func (j *job) wrote(m *ociremote.Manifest) {
	j.sent.Add(m.Descriptor.Size)
	j.written.Add(1)
}

// finder says what the tag of an image is called at its source. In a layout, which may
// hold images of many repositories, it is found by its full name, or by the digest
// that is signed.
func (c *copying) finder(source ociremote.Repository, image Image) func(ctx context.Context, tag string) (string, error) {
	return func(ctx context.Context, tag string) (string, error) {
		if c.located(image.Name).Kind == ociremote.KindRegistry {
			return tag, nil
		}
		full := image.Name + ":" + tag
		switch _, err := source.Resolve(ctx, full); {
		case err == nil:
			return full, nil
		case !isNotFound(err):
			return "", err
		}
		_, repository, _ := ociremote.ParseImageName(image.Name)
		t, err := c.o.Source.View.Lookup(ctx, trust.ImageTag(repository, tag))
		if trust.IsUnlisted(err) {
			return full, nil // which is not there
		}
		if err != nil {
			return "", err
		}
		return digest.NewDigestFromEncoded(digest.SHA256, t.Hashes["sha256"]).String(), nil
	}
}
