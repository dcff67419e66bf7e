package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tufoci/tufoci/ociremote"
)

// readBack are the checks that look at a manifest: that of a probe, else what the channel tag names.
func (p *probe) readBack(ctx context.Context) {
	name := p.o.Channel
	if p.onHead != nil {
		name = p.onHead.digest.String()
	}
	a, err := p.get(ctx, name, "")
	switch {
	case err != nil:
		p.unanswered(nameETag, err)
	case a.Status != http.StatusOK:
		p.r.skip(AreaRegistry, "there is no manifest to look at", nameETag, nameMetered)
	default:
		p.etag(ctx, name, a)
		p.metered(a)
	}
	p.referrers(ctx)
}

// etag asks whether a manifest that is known costs a body.
func (p *probe) etag(ctx context.Context, name string, a *ociremote.Answer) {
	c := Check{Name: nameETag, Status: OK, Found: "manifests have no ETag", Means: "a refresh with nothing new compares digests, for as many requests"}
	if tag := a.Header.Get("ETag"); tag != "" {
		again, err := p.get(ctx, name, tag)
		switch {
		case err != nil:
			p.unanswered(nameETag, err)
			return
		case again.Status == http.StatusNotModified:
			c.Found, c.Means = "manifests have an ETag, and are not sent again", ""
		default:
			c.Found = "manifests have an ETag that is not looked at"
		}
	}
	p.add(c)
}

// meters are the headers by which registries say how many requests are left.
var meters = []string{"RateLimit-Limit", "RateLimit-Remaining", "X-RateLimit-Limit", "X-RateLimit-Remaining"}

// metered asks whether GETs of manifests are counted.
func (p *probe) metered(a *ociremote.Answer) {
	c := Check{Name: nameMetered, Status: OK, Found: "the registry does not say that it counts requests"}
	var said []string
	for _, name := range meters {
		if v := a.Header.Get(name); v != "" {
			said = append(said, name+": "+v)
		}
	}
	if len(said) > 0 {
		c.Status, c.Found = Warn, "requests for manifests are counted: "+strings.Join(said, ", ")
		c.Means = "consumers that refresh often can use them up; log in, or give them a mirror"
	}
	p.add(c)
}

// referrers asks for the referrers API; with a probe there, whether it lists what was pushed.
func (p *probe) referrers(ctx context.Context) {
	subject := digest.FromBytes(nil) // the API answers for what is not there, too
	var pushed *manifest
	if p.onHead != nil {
		subject = p.onHead.digest
		m, err := p.newManifest(p.fits[0], smallPayload, subjectOf(*p.onHead))
		if err == nil {
			if a, err := p.put(ctx, m, m.digest.String()); err == nil && a.Refusal == nil {
				pushed = &m
			}
		}
	}
	c := Check{Name: nameReferrers, Status: OK}
	a, err := p.ask(ctx, http.MethodGet, "/referrers/"+subject.String(), http.Header{"Accept": {ocispec.MediaTypeImageIndex}}, nil)
	switch {
	case err != nil:
		p.unanswered(nameReferrers, err)
		return
	case a.Status == http.StatusNotFound, a.Status == http.StatusMethodNotAllowed:
		c.Found = "no referrers API: lists of referrers are kept in a tag"
		c.Means = "who attaches to one image from two places at once can lose an entry"
	case a.Refusal != nil:
		c.Status, c.Found = Warn, a.Refusal.Error()
	case !isIndex(a.Body):
		c.Status, c.Found = Warn, "the referrers API answers with something else than a list"
	case pushed != nil && !lists(a.Body, pushed.digest):
		c.Status, c.Found = Warn, "the referrers API does not list what was just pushed"
		c.Means = "attached trust may be found late, or not at all"
	default:
		c.Found = "the registry has the referrers API"
	}
	p.add(c)
}

func isIndex(data []byte) bool {
	var index ocispec.Index
	return json.Unmarshal(data, &index) == nil && index.MediaType == ocispec.MediaTypeImageIndex
}

func lists(data []byte, d digest.Digest) bool {
	var index ocispec.Index
	_ = json.Unmarshal(data, &index)
	return slices.ContainsFunc(index.Manifests, func(m ocispec.Descriptor) bool { return m.Digest == d })
}

// layout says which variant of the bundle fits, and whether tufoci.yaml has it.
func (p *probe) layout() {
	c := Check{Area: AreaLayout, Name: nameLayout, Status: OK}
	switch has := p.configured(); {
	case p.r.ReadOnly:
		c.Status, c.Found = Skipped, "which variant fits shows in writing alone"
	case len(p.fits) == 0:
		c.Status, c.Found = Fail, "the registry takes no variant of the bundle"
		c.Err = fmt.Errorf("%w: it takes no variant of the bundle", ErrUnfit)
		c.Means = "a trust repository cannot lie here"
		c.Next = "choose another registry"
	case p.o.Workspace == nil:
		p.r.Layout = string(p.fits[0])
		c.Found = fmt.Sprintf("the variant %s fits", p.fits[0])
	case slices.Contains(p.fits, has):
		p.r.Layout = string(p.fits[0])
		c.Found = fmt.Sprintf("the variant %s, which tufoci.yaml has, fits", has)
	default:
		p.r.Layout = string(p.fits[0])
		c.Status, c.Found = Fail, fmt.Sprintf("the variant %s, which tufoci.yaml has, does not fit, and %s does", has, p.fits[0])
		c.Err = fmt.Errorf("%w: %s", ErrUnfit, c.Found)
		c.Next = fmt.Sprintf("set `layout: %s` in tufoci.yaml, then `tufoci publish`", p.fits[0])
	}
	p.r.add(c)
}
