package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tufoci/tufoci/ociremote"
)

// Names of the checks of a registry.
const (
	nameReach        = "reachable"
	nameTags         = "tag list"
	namePush         = "push"
	nameOverwrite    = "tag overwrite"
	nameImmutable    = "history tags"
	nameReferrers    = "referrers"
	nameSize         = "manifest size"
	nameETag         = "etag"
	nameMetered      = "metering"
	nameMount        = "blob mount"
	nameDeleteTag    = "delete tags"
	nameDeleteDigest = "delete manifests"
	nameLayout       = "variant"
)

// cleanUpWithin bounds what is done about probes after the context has ended.
const cleanUpWithin = 15 * time.Second

// probe is one examination of a registry.
type probe struct {
	o      Options
	r      *Report
	repo   ociremote.Repository
	suffix string
	nonce  int

	fits   []ociremote.Layout // variants that the registry takes
	tags   []string           // that were written
	wrote  []manifest         // manifests that were written
	onHead *manifest          // what the read-only checks look at
}

// run looks at the registry, from what only reads to what writes.
func (p *probe) run(ctx context.Context) {
	if !p.reach(ctx) {
		return
	}
	p.tagList(ctx)
	if p.mayPush(ctx) {
		p.write(ctx)
		p.readBack(ctx)
		p.cleanUp(ctx)
	} else {
		p.r.ReadOnly = true
		p.readBack(ctx)
	}
	p.layout()
}

// ask makes one request below the repository.
func (p *probe) ask(ctx context.Context, method, path string, header http.Header, body []byte) (*ociremote.Answer, error) {
	return ociremote.Ask(ctx, p.repo, ociremote.Question{Method: method, Path: path, Header: header, Body: body})
}

func (p *probe) add(c Check) {
	c.Area = AreaRegistry
	p.r.add(c)
}

// unanswered is the check for a question that got no answer.
func (p *probe) unanswered(name string, err error) {
	p.add(Check{Name: name, Status: Warn, Found: err.Error(), Means: "it could not be found out", Next: "`tufoci doctor`, again"})
}

// reach asks twice: the first answer also costs a connection and a token.
func (p *probe) reach(ctx context.Context) bool {
	c := Check{Name: nameReach, Status: OK}
	var took time.Duration
	for range 2 {
		before := p.o.Now()
		a, err := p.ask(ctx, http.MethodGet, "/tags/list?n=1", nil, nil)
		after := p.o.Now()
		if err == nil && a.Status != http.StatusNotFound {
			err = a.Refusal
		}
		if err != nil {
			c.Status, c.Found, c.Err = Fail, err.Error(), err
			c.Means = "nothing else about it could be found out"
			c.Next = "`tufoci doctor`, when it answers"
			if _, ok := errors.AsType[*ociremote.AuthError](err); ok {
				c.Next = "`tufoci login`, then `tufoci doctor`"
			}
			p.add(c)
			return false
		}
		if took == 0 {
			p.r.add(checkDate(a.Header, before, after))
		}
		took = max(after.Sub(before), 1)
		c.Found = fmt.Sprintf("it answers within %v", took.Round(100*time.Microsecond))
		if a.Status == http.StatusNotFound {
			c.Found += "; there is no repository of this name yet"
		}
	}
	p.add(c)
	return true
}

// tagList asks whether tags can be listed, which history and prune need.
func (p *probe) tagList(ctx context.Context) {
	a, err := p.ask(ctx, http.MethodGet, "/tags/list", nil, nil)
	switch {
	case err != nil:
		p.unanswered(nameTags, err)
	case a.Status == http.StatusOK, a.Status == http.StatusNotFound: // no repository, no tags
		p.add(Check{Name: nameTags, Status: OK, Found: "tags can be listed"})
	default:
		p.add(Check{Name: nameTags, Status: Warn, Found: a.Refusal.Error(), Means: "publishing needs no list; whatever shows or prunes the history does"})
	}
}

// written are the checks that need to write.
var written = []string{namePush, nameOverwrite, nameImmutable, nameSize, nameMount, nameDeleteTag, nameDeleteDigest}

// mayPush sends the two small blobs of the probes.
func (p *probe) mayPush(ctx context.Context) bool {
	to, ok := p.repo.(ociremote.WritableRepository)
	if p.o.ReadOnly || !ok {
		p.r.skip(AreaRegistry, "it was to be read only", written...)
		return false
	}
	for _, data := range [][]byte{emptyConfig, smallPayload} {
		if err := to.Push(ctx, blobOf(data), bytes.NewReader(data)); err != nil {
			p.noPush(err)
			return false
		}
	}
	p.add(Check{Name: namePush, Status: OK, Found: "blobs can be pushed"})
	return true
}

// noPush says why nothing can be pushed. Consumers and monitors need not, so a refusal is no failure.
func (p *probe) noPush(err error) {
	c := Check{Name: namePush, Status: Warn, Found: err.Error(), Means: "publish, refresh and mirrors cannot write here; what else writing would show was left out"}
	switch _, refused := errors.AsType[*ociremote.AuthError](err); {
	case refused:
		c.Next = "where this is to publish: `tufoci login` with the right to push, then `tufoci doctor`"
	case errors.Is(err, ociremote.ErrNotFound):
		c.Next = "some registries want a repository to be made first: make it, then `tufoci doctor`"
	default:
		c.Next = "`tufoci doctor`, again"
	}
	p.add(c)
	p.r.skip(AreaRegistry, "nothing can be pushed", written[1:]...)
}

// put writes a manifest under a tag or its digest.
func (p *probe) put(ctx context.Context, m manifest, name string) (*ociremote.Answer, error) {
	a, err := p.ask(ctx, http.MethodPut, "/manifests/"+name, http.Header{"Content-Type": {m.mediaType}}, m.data)
	if err == nil && a.Refusal == nil {
		p.wrote = append(p.wrote, m)
		if name != m.digest.String() && !slices.Contains(p.tags, name) {
			p.tags = append(p.tags, name)
		}
	}
	return a, err
}

// get reads a manifest.
func (p *probe) get(ctx context.Context, name, etag string) (*ociremote.Answer, error) {
	header := http.Header{"Accept": {mediaTypeManifest}}
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	return p.ask(ctx, http.MethodGet, "/manifests/"+name, header, nil)
}

// holds reports whether a name stands for the very bytes of a manifest.
func (p *probe) holds(ctx context.Context, name string, m manifest) (bool, error) {
	a, err := p.get(ctx, name, "")
	if err != nil {
		return false, err
	}
	return a.Status == http.StatusOK && digest.FromBytes(a.Body) == m.digest, nil
}

func (p *probe) channelTag() string { return p.o.Channel + ".doctor-" + p.suffix }

// historyTag looks like a history tag to a rule of the kind tuf.v*, and is none.
func (p *probe) historyTag() string { return p.o.Channel + ".v0-doctor-" + p.suffix }
