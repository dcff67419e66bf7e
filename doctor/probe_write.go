package doctor

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// sizes of manifests that are tried, in bytes, and what they are called. A bundle fills up to the first; GitLab.com stops
// at the second; the last is the most that readers take.
var sizes = []struct {
	bytes int
	name  string
}{
	{ociremote.DefaultMaxManifest, "200 KiB"}, {256_000, "256 kB"}, {1 << 20, "1 MiB"}, {ociremote.MaxManifest, "4 MiB"},
}

// write are the checks that write.
func (p *probe) write(ctx context.Context) {
	first := p.variants(ctx)
	if first == nil {
		p.r.skip(AreaRegistry, "it takes no manifest of a bundle", nameOverwrite, nameImmutable, nameSize)
	} else {
		p.onHead = first
		p.overwrite(ctx)
		p.immutable(ctx, *first)
		p.size(ctx)
	}
	p.mount(ctx)
}

// variants finds which layouts the registry takes and gives back byte for byte: down to the first, and the one that the
// workspace has. It returns the manifest that stands under the tag of the channel's stead.
func (p *probe) variants(ctx context.Context) *manifest {
	var first *manifest
	for _, layout := range []ociremote.Layout{ociremote.LayoutDefault, ociremote.LayoutNoData, ociremote.LayoutGitLab} {
		if len(p.fits) > 0 && layout != p.configured() {
			continue
		}
		m, err := p.newManifest(layout, smallPayload, nil)
		if err != nil {
			p.unanswered("layout "+string(layout), err)
			continue
		}
		name := p.channelTag()
		if first != nil {
			name = m.digest.String()
		}
		c := Check{Name: "layout " + string(layout), Status: OK, Found: "taken, and given back byte for byte"}
		a, err := p.put(ctx, m, name)
		if err == nil && a.Refusal == nil {
			var same bool
			if same, err = p.holds(ctx, name, m); err == nil && !same {
				c.Status, c.Found = Warn, "given back with other bytes"
			}
		}
		switch {
		case err != nil:
			p.unanswered(c.Name, err)
			continue
		case a.Refusal != nil:
			c.Status, c.Found = Warn, a.Refusal.Error()
		}
		if c.Status == OK {
			p.fits = append(p.fits, layout)
			if first == nil {
				first = &m
			}
		} else {
			c.Means = "bundles need another variant here"
		}
		p.add(c)
	}
	return first
}

// configured is the layout that the workspace has, the default without one.
func (p *probe) configured() ociremote.Layout {
	if p.o.Workspace == nil || p.o.Workspace.Config().Layout == "" {
		return ociremote.LayoutDefault
	}
	return ociremote.Layout(p.o.Workspace.Config().Layout)
}

// overwrite asks whether a tag moves: the channel tag has to, at every publish.
func (p *probe) overwrite(ctx context.Context) {
	c := Check{Name: nameOverwrite, Status: OK, Found: "a tag can be moved"}
	moved, why, err := p.moves(ctx, p.channelTag())
	switch {
	case err != nil:
		p.unanswered(nameOverwrite, err)
		return
	case !moved:
		c.Status, c.Found = Fail, "a tag that is there cannot be moved: "+why
		c.Err = fmt.Errorf("%w: %s", ErrUnfit, c.Found)
		c.Means = "every publish and refresh moves the channel tag"
		c.Next = fmt.Sprintf("let the rule that makes tags immutable leave out %s; then `tufoci doctor`", p.o.Channel)
	}
	p.add(c)
}

// immutable asks whether a tag that looks like one of the history can be moved. Either will do.
func (p *probe) immutable(ctx context.Context, first manifest) {
	c := Check{Name: nameImmutable, Status: OK}
	a, err := p.put(ctx, first, p.historyTag())
	if err != nil {
		p.unanswered(nameImmutable, err)
		return
	}
	if a.Refusal != nil {
		c.Status, c.Found = Fail, "a tag "+p.o.Channel+".v… cannot be made: "+a.Refusal.Error()
		c.Err = fmt.Errorf("%w: %s", ErrUnfit, c.Found)
		c.Means = "every publish claims its version under such a tag"
		c.Next = "let the rule that forbids the name leave it out; then `tufoci doctor`"
		p.add(c)
		return
	}
	moved, _, err := p.moves(ctx, p.historyTag())
	switch {
	case err != nil:
		p.unanswered(nameImmutable, err)
		return
	case moved:
		c.Found = "tags " + p.o.Channel + ".v… can be moved"
		c.Means = "who can push can overwrite the history; consumers do not read it"
	default:
		c.Found = "tags " + p.o.Channel + ".v… are immutable"
		c.Means = "what is claimed cannot be overwritten, and perhaps not be pruned"
	}
	p.add(c)
}

// moves puts another manifest under a tag.
func (p *probe) moves(ctx context.Context, tag string) (moved bool, why string, err error) {
	m, err := p.newManifest(p.fits[0], smallPayload, nil)
	if err != nil {
		return false, "", err
	}
	a, err := p.put(ctx, m, tag)
	if err != nil {
		return false, "", err
	}
	if a.Refusal != nil {
		return false, a.Refusal.Error(), nil
	}
	moved, err = p.holds(ctx, tag, m)
	return moved, "the registry takes the new manifest and keeps the old one", err
}

// size finds how large a manifest may be, of the sizes above.
func (p *probe) size(ctx context.Context) {
	c := Check{Name: nameSize, Status: OK}
	taken, why := "", ""
	for _, size := range sizes {
		refused, err := p.sized(ctx, size.bytes)
		if err != nil {
			p.unanswered(nameSize, err)
			return
		}
		if refused != nil {
			why = fmt.Sprintf("; %s: %v", size.name, refused)
			break
		}
		taken = size.name
	}
	if taken != "" {
		c.Found = "manifests of up to " + taken + " are taken" + why
	} else {
		c.Status, c.Found = Warn, "manifests of "+strings.TrimPrefix(why, "; ")
		c.Means = "a bundle with much inline is refused"
		c.Next = "set `layout: nodata` in tufoci.yaml, and have few target files"
		p.fits = slices.DeleteFunc(p.fits, func(l ociremote.Layout) bool { return l == ociremote.LayoutDefault })
		p.mayBeNoData(ctx)
	}
	p.add(c)
}

// sized sends a manifest of a size. refused is why the registry does not take it.
func (p *probe) sized(ctx context.Context, size int) (refused, err error) {
	m, payload, err := p.newManifestOf(size, p.fits[0])
	if err != nil {
		return nil, err
	}
	to := p.repo.(ociremote.WritableRepository)
	if err := to.Push(ctx, blobOf(payload), bytes.NewReader(payload)); err != nil {
		return nil, err
	}
	a, err := p.put(ctx, m, m.digest.String())
	if err != nil {
		return nil, err
	}
	return a.Refusal, nil
}

// mayBeNoData adds the layout without data to those that fit, if the registry takes it.
func (p *probe) mayBeNoData(ctx context.Context) {
	if slices.Contains(p.fits, ociremote.LayoutNoData) {
		return
	}
	m, err := p.newManifest(ociremote.LayoutNoData, smallPayload, nil)
	if err != nil {
		return
	}
	if a, err := p.put(ctx, m, m.digest.String()); err == nil && a.Refusal == nil {
		p.fits = slices.Insert(p.fits, 0, ociremote.LayoutNoData)
	}
}

// mount asks for a blob of the very same repository: who can mount at all does that with no upload.
func (p *probe) mount(ctx context.Context) {
	_, repository, _ := ociremote.RegistryName(p.repo)
	c := Check{Name: nameMount, Status: OK, Found: "blobs can be mounted"}
	a, err := p.ask(ctx, http.MethodPost, "/blobs/uploads/?mount="+blobOf(smallPayload).Digest.String()+"&from="+repository, nil, []byte{})
	switch {
	case err != nil:
		p.unanswered(nameMount, err)
		return
	case a.Status != http.StatusCreated:
		c.Status, c.Found = Warn, "blobs cannot be mounted"
		c.Means = "copies next to images send every blob"
		p.forget(ctx, repository, a)
	}
	p.add(c)
}

// forget gives up an upload that a mount became. A registry that does not hear of it forgets it too.
func (p *probe) forget(ctx context.Context, repository string, a *ociremote.Answer) {
	_, path, ok := strings.Cut(a.Header.Get("Location"), "/v2/"+repository)
	if a.Status == http.StatusAccepted && ok {
		_, _ = p.ask(ctx, http.MethodDelete, path, nil, nil)
	}
}

// subjectOf is a manifest as others refer to it.
func subjectOf(m manifest) *ocispec.Descriptor {
	return &ocispec.Descriptor{MediaType: m.mediaType, Digest: m.digest, Size: int64(len(m.data))}
}
