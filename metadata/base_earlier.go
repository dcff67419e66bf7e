package metadata

import (
	"maps"
	"slices"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxEarlier is how many states before the base are kept. A head that overwrites what was published from here was built
// on one of them, unless its publisher slept through that many publishes between two of its requests.
const maxEarlier = 3

// Earlier is a state of the repository on which what this workspace published last was built.
type Earlier struct {
	Digest    string // of the bundle
	Timestamp int64  // version
}

// Earlier lists the states before the base that are still known here, newest first.
func (w *Workspace) Earlier() []Earlier {
	if w.base == nil {
		return nil
	}
	var out []Earlier
	for _, e := range w.base.earlier {
		out = append(out, Earlier{Digest: e.info.Digest, Timestamp: e.version(tuf.TIMESTAMP)})
	}
	return out
}

// before lists what the next base, with the digest given, was built on: the head that the release changed, then the base
// and what came before it. A base that was given up is no state to go back to.
func (b *base) before(onto *headState, digest string) []*base {
	var out []*base
	add := func(e *base) {
		known := slices.ContainsFunc(out, func(o *base) bool { return o.info.Digest == e.info.Digest })
		if !known && e.info.Digest != digest && len(out) < maxEarlier {
			out = append(out, &base{info: BaseInfo{Digest: e.info.Digest}, roots: e.roots, roles: e.roles})
		}
	}
	if onto != nil {
		add(onto.base())
	}
	if b != nil && !b.adopt {
		for _, e := range append([]*base{b}, b.earlier...) {
			add(e)
		}
	}
	return out
}

// base is the head as a state to be kept.
func (h *headState) base() *base {
	b := &base{info: BaseInfo{Digest: h.digest}, roles: map[string]*roleFile{}}
	for _, f := range h.roots {
		b.roots = append(b.roots, f.athome())
	}
	for role, f := range h.roles {
		b.roles[role] = f.athome()
	}
	return b
}

// athome is the file as the base has it, whether a head came with its bytes or not.
func (f *roleFile) athome() *roleFile {
	same := *f
	same.away = false
	return &same
}

// leastAfter is what is left of the least versions once there is another base.
func (b *base) leastAfter(next *base) map[string]int64 {
	if b == nil {
		return nil
	}
	least := maps.Clone(b.least)
	maps.DeleteFunc(least, func(role string, version int64) bool { return version <= next.version(role)+1 })
	return least
}
