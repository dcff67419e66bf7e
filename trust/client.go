package trust

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// Source is where a trust repository is read; fetcher.ParseSource makes one.
type Source = fetcher.Source

// Limits bounds what a source can make a client read, see package fetcher.
type Limits = fetcher.Limits

// Watch bounds what is read beside a trust repository, see package fetcher.
type Watch = fetcher.Watch

// AllLimits returns the table of the limits, see package fetcher.
func AllLimits() []fetcher.Limit { return fetcher.AllLimits() }

// RepositorySource returns the source that reads the bundle called name, a tag
// or a digest, from a repository in memory, a layout or a registry.
func RepositorySource(repo ociremote.Repository, name string) Source {
	return fetcher.FromRepository(repo, name)
}

// IsSource tells what [ParseSource] reads from the name of a trust, where a person may give
// either.
func IsSource(s string) bool { return strings.ContainsAny(s, "/:") }

// ParseSource reads the source forms of the command line.
func ParseSource(s string) (Source, error) { return fetcher.ParseSource(s) }

// Options of [New]. Only Source is needed, and only to use the network.
type Options struct {
	// Source is the trust repository, its home. The zero value: there is none, and
	// the trust is read next to images alone, see RefreshFrom.
	Source Source
	// StateDir holds the states of all pins, one directory each. Empty: the
	// state is kept in memory, and rollback protection lasts as long as the
	// Client.
	StateDir string
	// CacheDir holds target files by sha256. Everything in it is verified again
	// when it is read. Empty: no cache.
	CacheDir string
	// Client reaches registries and web servers. Nil: one with default options.
	Client *ociremote.Client
	// TargetsURL is where target files are, if not beside the metadata.
	TargetsURL string
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// AsOf, if not zero, is the time at which expiry is judged. No state is then
	// read or written: StateDir is not used, and Status.Verified is false.
	AsOf time.Time
	// MaxStale is how long after their expiry timestamp and snapshot are still
	// accepted, each time with a warning. No other role may be stale.
	MaxStale time.Duration
	// MinTimestamp is the least version of timestamp that is accepted.
	MinTimestamp int64
	// AllowExpired accepts expired metadata of all roles, with a warning each.
	// Status.Verified is then false, and nothing is stored.
	AllowExpired bool
	// Limits on what is read; a zero field is its default, one above its ceiling is
	// refused. They do not hold for what is stored already.
	Limits Limits
	// Warn is told what a person should read. It may be called from several
	// goroutines. Nil: nobody is; View.Status has the warnings as well.
	Warn func(string)
}

// Client follows one trust repository from one pinned root. It is safe for
// concurrent use; refreshes of one Client run one after the other.
type Client struct {
	opts     Options
	limits   Limits
	pin      rootFile
	sum      string // hex sha256 of the pin
	spare    string // where temporary files may go if the system has no place
	parsed   *parseCache
	cache    blobCache
	copyWait time.Duration // maxCopyWait; less in tests

	turn     chan struct{} // holds a token while a refresh is under way: one at a time
	storeMu  sync.Mutex
	store    store
	readOnly bool // store was a directory that cannot be written
}

// New returns a client for the root with these bytes. The root must be signed
// by itself. Errors: ErrMalformed, ErrThreshold; ErrLimit of package fetcher.
func New(root []byte, o Options) (*Client, error) {
	pin, err := parsePin(root)
	if err != nil {
		return nil, fmt.Errorf("pinned root: %w", err)
	}
	if o.MaxStale < 0 || o.MinTimestamp < 0 {
		return nil, errors.New("MaxStale and MinTimestamp cannot be negative")
	}
	limits, err := o.Limits.Filled()
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Now = wallClock(o.Now)
	c := &Client{
		opts: o, limits: limits, pin: pin, sum: hexSum(root),
		parsed: newParseCache(), cache: blobCache{o.CacheDir}, copyWait: maxCopyWait, turn: make(chan struct{}, 1),
	}
	if o.StateDir == "" || !o.AsOf.IsZero() {
		c.store = newMemoryStore(nil, nil)
		return c, nil
	}
	dir := filepath.Join(o.StateDir, c.sum)
	c.store, c.spare = newDirStore(dir), dir
	return c, nil
}

// Limits returns the limits, with the defaults for what the options leave open.
func (c *Client) Limits() Limits { return c.limits }

// keeps reports whether what a refresh verifies is there for the next client.
func (c *Client) keeps() bool {
	_, onDisk := c.currentStore().(*dirStore)
	return onDisk && !c.opts.AllowExpired
}

// RootSHA256 returns the hex sha256 of the pinned root, the name of the state.
func (c *Client) RootSHA256() string { return c.sum }

// clockSlack is how far the clock may be behind the last success.
const clockSlack = 5 * time.Minute

// wallClock is a clock whose times have no monotonic reading. Of two times that have one
// that alone is compared, which stands still while a machine sleeps, and does not tell
// that the clock was set back.
func wallClock(now func() time.Time) func() time.Time {
	return func() time.Time { return now().Round(0) }
}

// judge fixes the time of one refresh.
func (c *Client) judge() judge {
	j := judge{now: c.opts.Now(), maxStale: c.opts.MaxStale, allowExpired: c.opts.AllowExpired}
	if !c.opts.AsOf.IsZero() {
		j.now = c.opts.AsOf
	}
	return j
}

// checkClock refuses a clock behind the last success: what has expired since would
// be fresh again.
func checkClock(now time.Time, in info) error {
	if in.Success.IsZero() || !now.Before(in.Success.Add(-clockSlack)) {
		return nil
	}
	return &VerificationError{
		Kind: ErrClock, Now: now,
		Detail: fmt.Sprintf("it is %s here, the last success was at %s", now.UTC().Format(time.RFC3339), in.Success.UTC().Format(time.RFC3339)),
	}
}

// stored reads the state, verifies its root chain from the pin, and leaves out
// what is damaged or no longer counts.
func (c *Client) stored(ctx context.Context, j judge) (asRead, base *state, roots chain, err error) {
	asRead, err = c.currentStore().load(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if roots, err = verifyChain(c.pin, asRead.roots); err != nil {
		return nil, nil, nil, err
	}
	if c.opts.AsOf.IsZero() {
		if err := checkClock(j.now, asRead.info); err != nil {
			return nil, nil, nil, err
		}
	}
	base = asRead.clone()
	if in := base.info; in.Root > 0 && roots.rotated(in.Root) {
		base.timestamp, base.snapshot = nil, nil
	}
	c.heal(base)
	return asRead, base, roots, nil
}

// heal drops what go-tuf could not read. It would stop at such a file for ever.
func (c *Client) heal(st *state) {
	for _, f := range []struct {
		role string
		data *[]byte
	}{{"timestamp", &st.timestamp}, {"snapshot", &st.snapshot}, {"targets", &st.targets}} {
		if *f.data == nil || f.role == "targets" && c.parsed.known(f.role, *f.data) != nil {
			continue
		}
		if Precheck(f.role, *f.data) != nil {
			*f.data = nil
		}
	}
}

// Load returns the view of the stored state and never uses the network. Roles and
// target files that are not stored are read from the inline layer of the bundle of
// the last success. What is nowhere is ErrStaleCopy when it is needed, ErrNoState if
// there is no complete state at all.
func (c *Client) Load(ctx context.Context) (*View, error) { return c.load(ctx, nil) }

// LoadFrom returns the view of the stored state, like Load. Roles and target files
// that are not stored are read from the source, whatever its age: everything but
// the timestamp is content-addressed, so a copy that is older in part still serves.
func (c *Client) LoadFrom(ctx context.Context) (*View, error) {
	if !c.HasHome() {
		return c.Load(ctx)
	}
	return c.load(ctx, c.origin(&state{}))
}

func (c *Client) load(ctx context.Context, o *origin) (*View, error) {
	j := c.judge()
	_, base, roots, err := c.stored(ctx, j)
	if err != nil {
		return nil, err
	}
	s, err := verifyStored(roots, base, j, c.parsed)
	if errors.Is(err, errIncomplete) {
		return nil, ErrNoState
	}
	if err != nil {
		return nil, err
	}
	v, err := c.view(s, j, o, nil)
	if err != nil {
		return nil, err
	}
	v.kept = keptBundle(base)
	return v, nil
}

// origin opens the source when it is first needed, knowing the bundle of st.
func (c *Client) origin(st *state) *origin {
	have := c.have(st)
	o := &origin{source: c.opts.Source, warnings: &warnings{tell: c.opts.Warn}}
	first := true
	o.open = func(ctx context.Context, before *fetcher.View) (*fetcher.View, error) {
		opts := fetcher.Options{
			Client: c.opts.Client, TargetsURL: c.opts.TargetsURL, Limits: c.limits, Have: have, Warn: o.warnings.add, Before: before,
		}
		if first && st.info.Source == c.opts.Source.String() {
			opts.Known, opts.KnownBundle = st.known(), st.bundle
		}
		first = false
		return fetcher.Open(ctx, c.opts.Source, opts)
	}
	return o
}

// view makes the view of a verified set.
func (c *Client) view(s *set, j judge, o *origin, fork *Fork) (*View, error) {
	if v := s.timestamp.Signed.Version; v < c.opts.MinTimestamp {
		return nil, &VerificationError{Kind: ErrMinTimestamp, Role: "timestamp", Version: v, Want: c.opts.MinTimestamp}
	}
	stale, err := s.usable(j)
	if err != nil {
		return nil, err
	}
	c.parsed.next()
	c.parsed.addVerified(rootDelegator(s.roots.last()), s.targets)
	told := &warnings{tell: c.opts.Warn}
	if o != nil {
		told = o.warnings
	}
	v := &View{
		set: s, status: s.status(), judge: j, limits: c.limits, origin: o, store: c.currentStore(),
		cache: c.cache, parsed: c.parsed, persist: !j.allowExpired, warnings: told,
		slots: map[string]*slot{}, unsaved: map[string][]byte{}, saved: map[string]bool{}, checked: map[string]bool{},
	}
	st := &v.status
	st.Stale, st.Fork = stale && !j.allowExpired, fork
	st.Verified = !j.allowExpired && c.opts.AsOf.IsZero()
	st.Source = "state"
	if o != nil {
		st.Source, st.SourceRef = string(o.source.Kind), o.source.String()
	}
	if !c.opts.AsOf.IsZero() {
		at := c.opts.AsOf
		st.AsOf = &at
	}
	v.warn(j, c.readOnlyStore())
	return v, nil
}

// warn says what the view was accepted in spite of.
func (v *View) warn(j judge, readOnly bool) {
	const layout = time.RFC3339
	st := &v.status
	for _, r := range []struct {
		name string
		RoleStatus
	}{{"root", st.Root}, {"timestamp", st.Timestamp}, {"snapshot", st.Snapshot}, {"targets", st.Targets}} {
		if !expired(j.now, r.Expires) {
			continue
		}
		text := fmt.Sprintf("%s v%d expired %s", r.name, r.Version, r.Expires.UTC().Format(layout))
		if j.allowExpired {
			text += "; expired metadata was allowed: nothing here is verified"
		} else {
			text += fmt.Sprintf("; accepted until %s by max-stale", r.Expires.Add(j.maxStale).UTC().Format(layout))
		}
		v.warnings.add(text)
	}
	if j.allowExpired && len(v.warnings.all()) == 0 {
		v.warnings.add("expired metadata is allowed: nothing here counts as verified")
	}
	if f := st.Fork; f != nil {
		v.warnings.add(fmt.Sprintf("fork: timestamp v%d exists with two contents, sha256 %s (kept) and %s (offered): two publishers, or a stolen key", f.Version, f.Digests[0], f.Digests[1]))
	}
	if readOnly {
		v.warnings.add("the state cannot be written: it is kept in memory, and rollback protection lasts for this run only")
	}
}

func (c *Client) currentStore() store {
	c.storeMu.Lock()
	defer c.storeMu.Unlock()
	return c.store
}

func (c *Client) readOnlyStore() bool {
	c.storeMu.Lock()
	defer c.storeMu.Unlock()
	return c.readOnly
}
