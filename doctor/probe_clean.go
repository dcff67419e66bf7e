package doctor

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// cleanUp deletes what was written, which shows what can be deleted, also when the context has ended meanwhile.
func (p *probe) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	p.deleteTags(ctx)
	p.deleteManifests(ctx)
	for _, tag := range p.tags {
		if a, err := p.get(ctx, tag, ""); err != nil || a.Status != http.StatusNotFound {
			p.r.Left = append(p.r.Left, tag)
		}
	}
}

// deleteTags deletes the tags, and sees whether they are gone while their manifests stay.
func (p *probe) deleteTags(ctx context.Context) {
	c := Check{Name: nameDeleteTag, Status: OK, Found: "tags can be deleted"}
	if len(p.tags) == 0 {
		p.r.skip(AreaRegistry, "there was none to delete", nameDeleteTag)
		return
	}
	var refusals []string
	for _, tag := range p.tags {
		if a, err := p.ask(ctx, http.MethodDelete, "/manifests/"+tag, nil, nil); err != nil {
			refusals = append(refusals, err.Error())
		} else if a.Refusal != nil {
			refusals = append(refusals, a.Refusal.Error())
		}
	}
	if len(refusals) > 0 {
		c.Found = "not all tags can be deleted: " + strings.Join(slices.Compact(refusals), "; ")
		c.Means = "the history is not pruned tag by tag; nothing else needs it"
	}
	p.add(c)
}

// deleteManifests deletes the manifests by digest. No other run, and nobody else, has the same.
func (p *probe) deleteManifests(ctx context.Context) {
	c := Check{Name: nameDeleteDigest, Status: OK, Found: "manifests can be deleted"}
	if len(p.wrote) == 0 {
		p.r.skip(AreaRegistry, "there was none to delete", nameDeleteDigest)
		return
	}
	var refusals []string
	var done []manifest
	for _, m := range p.wrote {
		if slices.ContainsFunc(done, func(d manifest) bool { return d.digest == m.digest }) {
			continue
		}
		done = append(done, m)
		a, err := p.ask(ctx, http.MethodDelete, "/manifests/"+m.digest.String(), nil, nil)
		switch {
		case err != nil:
			refusals = append(refusals, err.Error())
		case a.Refusal != nil && a.Status != http.StatusNotFound: // gone with its last tag
			refusals = append(refusals, a.Refusal.Error())
		default:
			continue
		}
		p.r.Left = append(p.r.Left, m.digest.String())
	}
	if len(refusals) > 0 {
		c.Found = "manifests cannot be deleted: " + strings.Join(slices.Compact(refusals), "; ")
		c.Means = "what attachments and history leave behind stays, until the registry collects it"
	}
	p.add(c)
}
