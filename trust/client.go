package trust

import (
	"context"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// Source is where a trust repository is read; fetcher.ParseSource makes one.
type Source = fetcher.Source

// Limits bounds what a source can make a client read, see package fetcher.
type Limits = fetcher.Limits

// RepositorySource returns the source that reads the bundle called name, a tag
// or a digest, from a repository in memory, a layout or a registry.
func RepositorySource(repo ociremote.Repository, name string) Source {
	return fetcher.FromRepository(repo, name)
}

// ParseSource reads the source forms of the command line.
func ParseSource(s string) (Source, error) { return fetcher.ParseSource(s) }

// Options of [New]. Only Source is needed, and only by [Client.Refresh].
type Options struct {
	// Source is the trust repository.
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
	// Limits on what is read; a zero field is its default.
	Limits Limits
	// Warn is told what a person should read. It may be called from several
	// goroutines. Nil: nobody is; View.Status has the warnings as well.
	Warn func(string)
}

// Client follows one trust repository from one pinned root. It is safe for
// concurrent use; refreshes of one Client run one after the other.
type Client struct {
	opts Options
}

// New returns a client for the root with these bytes. The root must be signed
// by itself. Errors: ErrMalformed, ErrThreshold, ErrWrongRoot.
func New(root []byte, o Options) (*Client, error) { panic("not implemented") }

// Refresh asks the source for its newest state, verifies it from the pinned
// root, commits what verified, also if the refresh as a whole fails, and returns
// the view of the newest verified state.
func (c *Client) Refresh(ctx context.Context) (*View, error) { panic("not implemented") }

// Load returns the view of the stored state and never uses the network. A role
// or target that is not stored is ErrStaleCopy, or ErrNoState if there is no
// complete state.
func (c *Client) Load(ctx context.Context) (*View, error) { panic("not implemented") }

// RootSHA256 returns the hex sha256 of the pinned root, the name of the state.
func (c *Client) RootSHA256() string { panic("not implemented") }

// FindRoot reads candidate roots from src and returns the one whose bytes have
// this hex sha256, with or without the prefix "sha256:". ErrWrongRoot: the source
// has none.
func FindRoot(ctx context.Context, src Source, client *ociremote.Client, sha256 string, limits Limits) ([]byte, error) {
	panic("not implemented")
}

// Precheck is the strict check of a metadata file that comes before anything
// else parses it. role is the role that the file name says: root, timestamp,
// snapshot, targets or the name of a delegated role. Errors are ErrMalformed.
func Precheck(role string, data []byte) error { panic("not implemented") }
