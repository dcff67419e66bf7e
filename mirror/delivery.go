package mirror

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	orascontent "oras.land/oras-go/v2/content"

	"github.com/tufoci/tufoci/ociremote"
)

// maxLevels of indexes in indexes, and of referrers of referrers, are followed.
const maxLevels = 8

// ErrCargo says that an archive holds something that nothing in it accounts for: all
// of it is to be verified, so nothing else may lie in it.
var ErrCargo = errors.New("the archive holds something that cannot be verified")

// cargo is one image of a delivery, as the index of the archive claims.
type cargo struct {
	Image
	desc ocispec.Descriptor
	// index is the one that it is a platform of, as its entry says; "" for none.
	index digest.Digest
	// referrers is how many manifests refer to it, to one of its children, or to
	// another one that does.
	referrers int
}

// delivery is an archive as it is carried: a bundle under a tag, images under their
// full names, and what refers to them without a name. Nothing in it is believed.
type delivery struct {
	ociremote.Repository
	images    []*cargo
	tagged    map[string]*cargo // by HOST/REPOSITORY:TAG
	referrers map[digest.Digest][]ocispec.Descriptor
	loose     []ocispec.Descriptor
}

var historyTag = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}\.v[0-9]+$`)

// openDelivery sorts what the index of an archive lists. Whatever is neither the
// bundle under tag, nor its history, nor an image under its full name, nor without a
// name is ErrCargo.
func openDelivery(ctx context.Context, repo ociremote.Repository, tag string) (*delivery, error) {
	entries, err := ociremote.IndexEntries(ctx, repo)
	if err != nil {
		return nil, err
	}
	d := &delivery{Repository: repo, tagged: map[string]*cargo{}, referrers: map[digest.Digest][]ocispec.Descriptor{}}
	seen := map[string]bool{}
	for _, e := range entries {
		if e.Name != "" && seen[e.Name] {
			return nil, fmt.Errorf("%w: %.300q twice", ErrCargo, e.Name)
		}
		seen[e.Name] = true
		switch {
		case e.Name == tag || historyTag.MatchString(e.Name):
		case e.Name == "":
			d.loose = append(d.loose, e.Descriptor)
		default:
			if err := d.addImage(e); err != nil {
				return nil, err
			}
		}
	}
	return d, d.readLoose(ctx)
}

func (d *delivery) addImage(e ociremote.IndexEntry) error {
	name, err := ociremote.ParseImage(e.Name)
	if err != nil || name.Kind != ociremote.KindRegistry || name.String() != e.Name || name.Tag != "" && name.Digest != "" {
		return fmt.Errorf("%w: the entry %.128q is no image under its full name", ErrCargo, e.Name)
	}
	if name.Digest != "" && name.Digest != e.Descriptor.Digest {
		return fmt.Errorf("%w: the entry %.300q names %s", ErrCargo, e.Name, e.Descriptor.Digest)
	}
	image := &cargo{Image: Image{Name: name.Name(), Tag: name.Tag, Digest: name.Digest}, desc: e.Descriptor}
	d.images = append(d.images, image)
	if image.Tag != "" {
		d.tagged[e.Name] = image
	}
	return nil
}

// readLoose reads what has no name, once, to find out what it refers to.
func (d *delivery) readLoose(ctx context.Context) error {
	slices.SortFunc(d.loose, func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	d.loose = slices.CompactFunc(d.loose, func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest })
	for i := range d.loose {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := ociremote.FetchManifest(ctx, d.Repository, d.loose[i].Digest.String())
		if err != nil {
			return fmt.Errorf("manifest %s: %w", d.loose[i].Digest, err)
		}
		if m.Subject == nil {
			return fmt.Errorf("%w: %s has no name and refers to nothing", ErrCargo, m.Descriptor.Digest)
		}
		var typed struct {
			ArtifactType string             `json:"artifactType"`
			Config       ocispec.Descriptor `json:"config"`
			Annotations  map[string]string  `json:"annotations"`
		}
		if err := json.Unmarshal(m.Data, &typed); err != nil {
			return &ociremote.MalformedError{What: "manifest", Err: err}
		}
		desc := m.Descriptor
		desc.ArtifactType, desc.Annotations = cmp.Or(typed.ArtifactType, typed.Config.MediaType), typed.Annotations
		desc = listed(desc)
		d.loose[i] = desc
		d.referrers[m.Subject.Digest] = append(d.referrers[m.Subject.Digest], desc)
	}
	return nil
}

// checkContent reads every blob that a copy of the delivery would send, once, and
// holds it to its digest. What refers to none of the images is ErrCargo.
func (d *delivery) checkContent(ctx context.Context) error {
	walk := &contentWalk{d: d, blobs: map[blobSize]bool{}, manifests: map[digest.Digest]bool{}}
	for _, image := range d.images {
		walk.image, walk.visited = image, map[digest.Digest]bool{}
		err := walk.manifest(ctx, image.desc.Digest, 0)
		if err == nil && image.index != "" {
			err = walk.manifest(ctx, image.index, 0)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", image, err)
		}
	}
	for _, desc := range d.loose {
		if !walk.manifests[desc.Digest] {
			return fmt.Errorf("%w: %s refers to no image of the archive", ErrCargo, desc.Digest)
		}
	}
	return nil
}

// contentWalk goes through all content of a delivery.
type contentWalk struct {
	d         *delivery
	blobs     map[blobSize]bool // that are as they are described
	manifests map[digest.Digest]bool
	image     *cargo
	visited   map[digest.Digest]bool // of that image
}

// blobSize is a blob as a descriptor describes it: another one may give it another
// size, or another type that does not need it to be there.
type blobSize struct {
	dgst digest.Digest
	size int64
}

// manifest reads a manifest with all that belongs to it: its blobs, the manifests of
// an index, and what refers to it.
func (w *contentWalk) manifest(ctx context.Context, dgst digest.Digest, level int) error {
	if level > maxLevels {
		return fmt.Errorf("%w: more than %d levels of indexes and referrers", ErrCargo, maxLevels)
	}
	if w.visited[dgst] {
		return nil
	}
	w.visited[dgst] = true
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := ociremote.FetchManifest(ctx, w.d.Repository, dgst.String())
	if err != nil {
		return fmt.Errorf("manifest %s: %w", dgst, err)
	}
	w.manifests[dgst] = true
	if !m.IsIndex() {
		var parts ocispec.Manifest
		if err := json.Unmarshal(m.Data, &parts); err != nil {
			return &ociremote.MalformedError{What: "manifest", Err: err}
		}
		for _, desc := range append([]ocispec.Descriptor{parts.Config}, parts.Layers...) {
			if err := w.blob(ctx, desc); err != nil {
				return err
			}
		}
	}
	for _, child := range m.Children {
		if err := w.manifest(ctx, child.Digest, level+1); err != nil {
			return err
		}
	}
	for _, referrer := range w.d.referrers[dgst] {
		if !w.visited[referrer.Digest] {
			w.image.referrers++
		}
		if err := w.manifest(ctx, referrer.Digest, level+1); err != nil {
			return err
		}
	}
	return nil
}

// blob reads a blob to its end.
func (w *contentWalk) blob(ctx context.Context, desc ocispec.Descriptor) error {
	described := blobSize{desc.Digest, desc.Size}
	if w.blobs[described] {
		return nil
	}
	rc, err := w.d.Fetch(ctx, desc)
	if isNotFound(err) && isForeign(desc.MediaType) {
		return nil
	}
	if err != nil {
		return err
	}
	defer rc.Close()
	r := orascontent.NewVerifyReader(rc, desc)
	if _, err = io.Copy(io.Discard, &stoppable{ctx, r}); err == nil {
		err = r.Verify()
	}
	if err != nil {
		return &ociremote.MalformedError{What: "blob", Err: fmt.Errorf("%s: %w", desc.Digest, err)}
	}
	w.blobs[described] = true
	return nil
}

// stoppable ends a long read with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// shelf is one repository of a delivery, read as if it were a registry's.
type shelf struct {
	*delivery
	name string // HOST/REPOSITORY
}

// open opens the repository of an image, by its canonical name.
func (d *delivery) open(_ context.Context, image ociremote.ImageReference) (ociremote.Repository, error) {
	return shelf{d, image.Name()}, nil
}

// Resolve finds a manifest by a tag of the repository or by digest.
func (s shelf) Resolve(ctx context.Context, name string) (ocispec.Descriptor, error) {
	if ociremote.IsDigest(name) {
		return s.Repository.Resolve(ctx, name)
	}
	if image := s.tagged[s.name+":"+name]; image != nil {
		return image.desc, nil
	}
	return ocispec.Descriptor{}, fmt.Errorf("%s:%s: %w", s.name, name, ociremote.ErrNotFound)
}

// FetchReference opens what Resolve finds.
func (s shelf) FetchReference(ctx context.Context, name string) (ocispec.Descriptor, io.ReadCloser, error) {
	desc, err := s.Resolve(ctx, name)
	if err != nil {
		return desc, nil, err
	}
	rc, err := s.Fetch(ctx, desc)
	return desc, rc, err
}

// ListReferrers implements [ociremote.ReferrerLister].
func (s shelf) ListReferrers(_ context.Context, subject ocispec.Descriptor, o ociremote.ReferrersOptions) (*ociremote.ReferrerList, error) {
	list := &ociremote.ReferrerList{Descriptors: slices.Clone(s.referrers[subject.Digest])}
	if len(o.ArtifactTypes) > 0 {
		list = ofTypes(list, o.ArtifactTypes)
	}
	if o.Max > 0 && len(list.Descriptors) > o.Max {
		list.Descriptors, list.Truncated = list.Descriptors[:o.Max], true
	}
	return list, nil
}
