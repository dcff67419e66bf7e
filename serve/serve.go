// Package serve gives a trust repository to TUF clients that know no registries: as
// a classic TUF repository over http, read-only.
//
// [New] makes the handler, which follows the repository, and [Run] answers with it
// until a context ends:
//
//	handler, err := serve.New(ctx, serve.Options{Root: root, Trust: trust.Options{Source: source}})
//	…
//	err = serve.Run(ctx, listener, handler, serve.RunOptions{})
//	<-handler.Done()
//
// With a pinned root nothing is served that has not been verified from it. Metadata
// is read ahead; target files are read from the source when they are asked for, and
// verified before the first byte is sent. A source that is unreachable, or turns
// hostile, changes nothing: what was verified last is served until it expires, and
// nothing after that. Without a pin bytes are passed on as they are, and each answer
// says so.
package serve

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/trust"
)

// ErrPartial is the error for a bundle with what one image needs: clients would take
// it for the whole repository.
var ErrPartial = errors.New("a partial bundle cannot be served")

// What the zero [Options] stand for.
const (
	// DefaultRefresh is the longest time between two refreshes.
	DefaultRefresh = 5 * time.Minute
	// DefaultRequests is how many requests are answered at the same time.
	DefaultRequests = 256
	// DefaultMemory bounds the target files in memory, in bytes: the largest that
	// may be read.
	DefaultMemory = 256 << 20
)

const (
	// pace is the least time between two refreshes, also after a failure.
	pace = time.Minute
	// jitter keeps servers that started together from asking all at once.
	jitter = 0.2
)

// Options of [New]. Trust.Source is needed.
type Options struct {
	// Root is the pinned root. Nil: nothing is verified.
	Root []byte
	// Trust says where the repository is, and how it is verified. Without Root only
	// Source, Client, TargetsURL, Now, Limits and Warn count.
	Trust trust.Options
	// Refresh is the longest time between two refreshes; default [DefaultRefresh].
	// A timestamp that lives short is refreshed sooner.
	Refresh time.Duration
	// Requests is how many are answered at the same time; default [DefaultRequests].
	Requests int
	// Memory bounds the target files in memory, in bytes; default [DefaultMemory].
	// A file that is larger is not served.
	Memory int64
	// OnRefresh is told about each attempt to refresh, the first one too. Nil:
	// nobody is.
	OnRefresh func(Refreshed)
}

// Refreshed says what came of an attempt to refresh.
type Refreshed struct {
	// Err is why what was served before goes on being served.
	Err error
	// Changed: another state is served from now on.
	Changed bool
	// Status is what the new state rests on; nil with Err, and without a pin.
	Status *trust.Status
	// Missing are the delegated roles that are not served, with the reason.
	Missing []trust.MissingRole
}

// Handler answers requests for the files of a repository. It is safe for concurrent
// use.
type Handler struct {
	contents contents
	verified bool
	memory   *memory
	slots    chan struct{} // one for each request that is answered
	now      func() time.Time
	warn     func(string)
	done     chan struct{}
}

// contents is the repository as it is at the moment.
type contents interface {
	// usable says why nothing may be served.
	usable() error
	// find returns a file by its title, nil if there is none.
	find(title string) *file
	// follow keeps the contents current until ctx ends.
	follow(ctx context.Context)
}

// New reads the repository, and follows it until ctx ends. Errors are those of
// trust.New and trust.Client.Refresh, of fetcher.Open without a pin, and ErrPartial.
func New(ctx context.Context, o Options) (*Handler, error) {
	o = o.filled()
	life, end := context.WithCancel(ctx)
	h := &Handler{
		verified: o.Root != nil,
		memory:   newMemory(life, o.Memory, o.Trust.Now),
		slots:    make(chan struct{}, o.Requests),
		now:      o.Trust.Now,
		warn:     o.Trust.Warn,
		done:     make(chan struct{}),
	}
	open := openUnverified
	if h.verified {
		open = openVerified
	}
	var err error
	if h.contents, err = open(life, o); err != nil {
		end()
		return nil, err
	}
	go func() {
		defer close(h.done)
		defer end()
		h.contents.follow(life)
		h.memory.close()
	}()
	return h, nil
}

// filled returns the options with their defaults.
func (o Options) filled() Options {
	if o.Refresh <= 0 {
		o.Refresh = DefaultRefresh
	}
	if o.Requests <= 0 {
		o.Requests = DefaultRequests
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Trust.Now == nil {
		o.Trust.Now = time.Now
	}
	if o.Trust.Warn == nil {
		o.Trust.Warn = func(string) {}
	}
	if o.OnRefresh == nil {
		o.OnRefresh = func(Refreshed) {}
	}
	limits := &o.Trust.Limits
	if limits.TargetFile == 0 {
		limits.TargetFile = fetcher.DefaultLimits().TargetFile
	}
	limits.TargetFile = min(limits.TargetFile, o.Memory)
	return o
}

// Done is closed once nothing goes on in the background any more, after ctx has
// ended.
func (h *Handler) Done() <-chan struct{} { return h.done }

// Verified reports whether there is a pin.
func (h *Handler) Verified() bool { return h.verified }

// Usable says why nothing is served: what was verified last has expired.
func (h *Handler) Usable() error { return h.contents.usable() }

var _ http.Handler = (*Handler)(nil)
