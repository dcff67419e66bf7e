package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

const (
	// maxTries bounds how often a refresh starts again because another process
	// committed first. Each time the state has moved on to what was published since,
	// so that many need a publisher as fast as they are.
	maxTries = 100
	// successInterval is how much newer a success has to be to be written down
	// when nothing else is.
	successInterval = time.Minute
)

// errBehind: a copy is older than what is known, which decides.
var errBehind = errors.New("the copy is older than the stored state")

// errOvertaken: another process has committed since the state was read.
var errOvertaken = errors.New("the state was changed by another process")

// Refresh asks the source for its newest state, verifies it from the pinned root
// and commits what verified, also if the refresh as a whole fails (TUF spec 5). It
// returns the view of the newest verified state. Nothing is asked twice; a bundle
// that did not change costs one request.
//
// A source that offers an older timestamp than the stored one is ErrRollback, and
// the state stays as it is; see LoadFrom for reading such a copy.
func (c *Client) Refresh(ctx context.Context) (*View, error) {
	if !c.HasHome() {
		return nil, ErrNoHome
	}
	done, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return (&refresh{c: c, judge: c.judge()}).run(ctx)
}

// begin waits for the refresh that is under way, as long as ctx lasts.
func (c *Client) begin(ctx context.Context) (done func(), err error) {
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run tries until it has an answer.
func (r *refresh) run(ctx context.Context) (*View, error) {
	startedOver := false
	for try := 1; ; try++ {
		view, err := r.once(ctx)
		switch {
		case errors.Is(err, errOvertaken) && try < maxTries:
			// It begins anew, also its time: the other one may have begun much later.
			r.overtaken, r.judge = true, r.c.judge()
		case errors.Is(err, fetcher.ErrMoved) && !startedOver:
			// The bundle was replaced in the middle: once more, with the new one.
			startedOver = true
			r.startOver()
		case errors.Is(err, errBehind) && !r.older:
			r.older = true
		default:
			return view, err
		}
	}
}

// startOver lets the next try resolve the source anew. What was read counts in the limits
// all the same: they are those of the refresh.
func (r *refresh) startOver() { r.before, r.origin = r.origin.newest(), nil }

// refresh is one call of Refresh or RefreshFrom.
type refresh struct {
	c         *Client
	judge     judge
	origin    *origin       // opened once, also if the work starts again
	before    *fetcher.View // of the origin before, if it was resolved anew
	overtaken bool
	// outrun: origin was resolved before another process committed the state.
	outrun bool

	copied *Copy // what is read; nil: home
	// older: the copy is older than the stored state, whose timestamp is taken for
	// the copy's own.
	older bool
}

// open opens the source when it is first needed.
func (r *refresh) open(st *state) *origin {
	if r.copied != nil {
		return r.c.copyOrigin(r.copied, st)
	}
	return r.c.origin(st)
}

func (r *refresh) once(ctx context.Context) (*View, error) {
	// 1. The stored state, from the pin.
	asRead, base, roots, err := r.c.stored(ctx, r.judge)
	if err != nil {
		return nil, err
	}
	if r.older && base.timestamp == nil {
		return nil, r.beforeRoot(roots)
	}
	// 2. One resolution of the source.
	if r.origin == nil {
		r.origin = r.open(base)
		r.origin.before = r.before
	}
	source, err := r.origin.current(ctx)
	if err != nil {
		return nil, err
	}
	// 3. The bundle of the last success: the stored state says it all.
	if source.Unchanged() && !r.overtaken && isOf(source.Bundle(), base.timestamp) {
		s, err := verifyStored(roots, base, r.judge, r.c.parsed)
		if err == nil {
			return r.unchanged(ctx, asRead, s)
		}
		if !errors.Is(err, errIncomplete) {
			return nil, err
		}
	}
	// 4. The workflow of TUF; what came of it is committed, whatever it was.
	u := &update{parsed: r.c.parsed, base: base, roots: roots, judge: r.judge, spare: r.c.spare, keepTimestamp: r.older, kept: r.c.keeps()}
	failure := u.run(ctx, r.origin, r.c.limits, r.c.parsed.known(tuf.TARGETS, base.targets))
	if err := r.c.below(u); failure == nil {
		failure = err
	}
	if r.copied != nil && failure != nil && u.timestamp != nil {
		// Half a copy would take the whole state away from all other images.
		u.timestamp, u.snapshot, u.targets = nil, nil, nil
	}
	if err := r.commit(ctx, asRead, u, failure == nil); err != nil {
		return nil, err
	}
	switch {
	case failure == nil:
	case r.older:
		return nil, r.tellOlder(ctx, base, failure)
	case r.copied != nil && r.behind(u, failure):
		return nil, errBehind
	case r.copied != nil:
		return nil, failure
	case r.outrun && (isOlder(failure) || errors.Is(failure, ErrThreshold)):
		// Of before what the other one has found, perhaps under keys that are replaced
		// since. By now the source may have it as well.
		r.outrun = false
		r.startOver()
		return nil, errOvertaken
	case r.overtaken && isOlder(failure):
		return r.adopt(roots, base)
	default:
		return nil, r.lineage(ctx, roots.pin(), failure)
	}
	// 5. The view.
	view, err := r.view(u.set, u.fork, false)
	if err != nil || r.copied == nil {
		return view, err
	}
	return r.marks(view, base), nil
}

// isOf reports whether a timestamp is the one of a bundle. The stored one is not if
// a process died between storing a newer one and noting where that came from.
func isOf(bundle *ociremote.Bundle, timestamp []byte) bool {
	file, ok := bundle.File(metadataDir + "timestamp.json")
	return ok && file.Descriptor.Digest.Encoded() == hexSum(timestamp)
}

// below refuses a timestamp under the floor, and takes back its acceptance.
func (c *Client) below(u *update) error {
	if u.set == nil || u.set.timestamp.Signed.Version >= c.opts.MinTimestamp {
		return nil
	}
	version := u.set.timestamp.Signed.Version
	u.timestamp, u.snapshot, u.targets, u.set = nil, nil, nil, nil
	return &VerificationError{
		Kind: ErrMinTimestamp, Role: tuf.TIMESTAMP, Version: version, Want: c.opts.MinTimestamp,
		Source: u.adapter.origin.source.String(),
	}
}

// isOlder reports whether a source was refused for offering an older timestamp.
func isOlder(err error) bool {
	e, ok := errors.AsType[*VerificationError](err)
	return ok && e.Kind == ErrRollback && e.Role == tuf.TIMESTAMP
}

// adopt is for the state that another process has committed meanwhile, and that the
// source does not have: the stored state is the answer.
func (r *refresh) adopt(roots chain, base *state) (*View, error) {
	s, err := verifyStored(roots, base, r.judge, r.c.parsed)
	if errors.Is(err, errIncomplete) {
		return nil, errOvertaken
	}
	if err != nil {
		return nil, err
	}
	return r.view(s, nil, false)
}

func (r *refresh) unchanged(ctx context.Context, asRead *state, s *set) (*View, error) {
	view, err := r.view(s, nil, true)
	if err != nil {
		return nil, err
	}
	noted := r.judge.now.Sub(asRead.info.Success) < successInterval && asRead.info.Unreachable == (unreachable{})
	if noted || r.judge.allowExpired {
		return view, nil
	}
	err = r.c.save(ctx, func(now *state) (*change, error) {
		in := now.info
		in.Success, in.Unreachable = latest(in.Success, r.judge.now), unreachable{}
		return &change{info: &in}, nil
	})
	if err != nil {
		return nil, err
	}
	return view, nil
}

func (r *refresh) view(s *set, fork *Fork, unchanged bool) (*View, error) {
	view, err := r.c.view(s, r.judge, r.origin, fork)
	if err != nil {
		return nil, err
	}
	view.status.Unchanged = unchanged
	return view, nil
}

// commit writes what was accepted, if the state is still what it was. Otherwise
// another process was faster, and the work starts again on its state: so a state
// only ever moves forward, by the same rules as with one process.
func (r *refresh) commit(ctx context.Context, asRead *state, u *update, success bool) error {
	if r.judge.allowExpired {
		return nil
	}
	return r.c.save(ctx, func(now *state) (*change, error) {
		if !now.sameTrust(asRead) {
			r.outrun = true
			return nil, errOvertaken
		}
		return r.change(now, u, success), nil
	})
}

func (r *refresh) change(now *state, u *update, success bool) *change {
	c := &change{roots: map[int64][]byte{}}
	for _, root := range u.roots {
		if _, ok := now.roots[root.version]; !ok {
			c.roots[root.version] = root.data
		}
	}
	in := now.info
	newest := u.roots.last().version
	if u.forget {
		c.forget = &info{Success: in.Success, Root: newest}
		in = *c.forget
	}
	c.timestamp, c.snapshot, c.targets = u.timestamp, u.snapshot, u.targets
	if u.timestamp != nil {
		in.Root = newest
	}
	if u.snapshot != nil {
		c.keepRole = keepListed(u.trusted.Snapshot)
	}
	switch {
	case !success:
	case r.copied == nil:
		in.Root, in.Success, in.Unreachable = newest, latest(in.Success, r.judge.now), unreachable{}
		r.remember(c, &in)
	case u.timestamp != nil:
		in.Root, in.Success = newest, latest(in.Success, r.judge.now)
		r.remember(c, &in)
		// Not a form that a source has: home is never asked whether it has changed
		// since a copy.
		in.Source, in.ETag = r.copied.Place+" "+r.copied.Reference, ""
	case r.judge.now.Sub(in.Success) >= successInterval:
		in.Success = latest(in.Success, r.judge.now)
	}
	if in != now.info {
		c.info = &in
	}
	return c
}

// remember notes the bundle, so that the next refresh can ask whether it is still
// the same.
func (r *refresh) remember(c *change, in *info) {
	in.Source, in.Digest, in.ETag, in.Size = "", "", "", 0
	bundle := r.origin.bundle()
	if bundle == nil {
		return
	}
	c.bundle = bundle.Manifest
	in.Source, in.ETag = r.origin.source.String(), bundle.ETag
	in.Digest, in.Size = digest.NewDigestFromEncoded(digest.SHA256, hexSum(bundle.Manifest)), int64(len(bundle.Manifest))
}

// keepListed keeps the stored roles that a snapshot lists.
func keepListed(snapshot *tuf.Metadata[tuf.SnapshotType]) func(string) bool {
	names := map[string]bool{}
	for file := range snapshot.Signed.Meta {
		names[roleFileName(strings.TrimSuffix(file, ".json"))] = true
	}
	return func(name string) bool { return names[name] }
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b.UTC()
}

// save commits to the store. If it turns out that the directory cannot be written,
// the state lives in memory from then on.
func (c *Client) save(ctx context.Context, decide func(*state) (*change, error)) error {
	err := c.currentStore().commit(ctx, decide)
	if err == nil || !isReadOnly(err) {
		if err != nil && !errors.Is(err, errOvertaken) {
			return fmt.Errorf("the state could not be stored: %w", err)
		}
		return err
	}
	below := c.currentStore()
	st, err := below.load(ctx)
	if err != nil {
		return err
	}
	memory := newMemoryStore(st, below)
	c.storeMu.Lock()
	c.store, c.readOnly = memory, true
	c.storeMu.Unlock()
	return memory.commit(ctx, decide)
}

// have returns the content that is at hand without the source, by digest and size.
func (c *Client) have(st *state) func(digest.Digest, int64) []byte {
	byDigest := map[string][]byte{}
	for _, data := range st.roots {
		byDigest[hexSum(data)] = data
	}
	for _, data := range [][]byte{st.timestamp, st.snapshot, st.targets} {
		if data != nil {
			byDigest[hexSum(data)] = data
		}
	}
	return func(d digest.Digest, size int64) []byte {
		if d.Algorithm() != digest.SHA256 {
			return nil
		}
		if data, ok := byDigest[d.Encoded()]; ok {
			return slices.Clone(data)
		}
		return c.cache.get(d.Encoded(), min(size, c.limits.TargetFile))
	}
}
