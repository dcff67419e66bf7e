package mirror

import (
	"bytes"
	"context"
	"errors"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/tufoci/tufoci/ociremote"
)

// place is where the images of one canonical repository are written.
type place struct {
	repo ociremote.WritableRepository
	// named is repo, if that lists many repositories.
	named ociremote.NamedWriter
	// host and repository in a registry.
	host, repository string
	canonical        string
}

func (c *copying) openPlace(ctx context.Context, canonical string) (*place, error) {
	repo, err := c.o.Destination.Images(ctx, canonical)
	if err != nil {
		return nil, err
	}
	p := &place{repo: repo, canonical: canonical}
	p.named, _ = repo.(ociremote.NamedWriter)
	p.host, p.repository, _ = ociremote.RegistryName(repo)
	return p, nil
}

// there is what an image's name names now; the zero value for nothing. An image with a
// tag is asked for by that.
func (p *place) there(ctx context.Context, image Image) (ocispec.Descriptor, error) {
	name := image.name()
	if p.named != nil {
		name = fullName(image)
	}
	desc, err := p.repo.Resolve(ctx, name)
	if isNotFound(err) {
		return ocispec.Descriptor{}, nil
	}
	return desc, err
}

// fullName is what an image is called in the index of a layout.
func fullName(image Image) string {
	if image.Tag != "" {
		image.Digest = ""
	}
	return image.String()
}

// push sends a manifest by its digest. In a layout a blob is enough.
func (p *place) push(ctx context.Context, m *ociremote.Manifest) error {
	return accepted(p.repo.Push(ctx, m.Descriptor, bytes.NewReader(m.Data)))
}

// pushReferrer sends a manifest that refers to another one.
func (p *place) pushReferrer(ctx context.Context, m *ociremote.Manifest, artifactType string) error {
	if p.named == nil {
		return p.push(ctx, m)
	}
	desc := m.Descriptor
	desc.ArtifactType = artifactType
	return p.named.PushNamed(ctx, desc, bytes.NewReader(m.Data), "", nil)
}

// name sends a manifest under the name of its image.
func (p *place) name(ctx context.Context, image Image, m *ociremote.Manifest) error {
	if p.named != nil {
		return p.named.PushNamed(ctx, m.Descriptor, bytes.NewReader(m.Data), fullName(image), nil)
	}
	if image.Tag == "" {
		return p.push(ctx, m)
	}
	return accepted(p.repo.PushReference(ctx, m.Descriptor, bytes.NewReader(m.Data), image.Tag))
}

// accepted takes what is there already for sent.
func accepted(err error) error {
	if errors.Is(err, errdef.ErrAlreadyExists) {
		return nil
	}
	return err
}
