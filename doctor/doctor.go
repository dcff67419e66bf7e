package doctor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/tufoci/tufoci/metadata"
	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// Options of [Run]. The zero value checks nothing.
type Options struct {
	// Workspace, read only, whose keys and state are checked; nil: none.
	Workspace *metadata.Workspace
	// Repository is where the trust repository lies; nil: nowhere yet. Probes are
	// written to it if it is a [ociremote.WritableRepository] in a registry.
	Repository ociremote.Repository
	// Channel is its tag; default [ociremote.DefaultChannel].
	Channel string
	// Pin is a root of the repository; nil: what is published is not verified.
	Pin []byte
	// Seen is what was seen before: what is published may be older than none of it.
	Seen []trust.Seen
	// ReadOnly writes nothing to the registry.
	ReadOnly bool
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Warn is given what the registry says in warnings; nil: nobody is.
	Warn func(string)
}

// Run makes every check that the options allow. What is wrong stands in the report; the error is that the checks could
// not be made: a damaged workspace, or the end of the context.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Channel == "" {
		o.Channel = ociremote.DefaultChannel
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Report{}
	if o.Workspace != nil {
		if err := checkWorkspace(r, o.Workspace); err != nil {
			return nil, err
		}
		if err := checkKeys(r, o.Workspace); err != nil {
			return nil, err
		}
	}
	if o.Repository != nil {
		if _, _, ok := ociremote.RegistryName(o.Repository); ok {
			p := &probe{o: o, r: r, repo: o.Repository, suffix: suffix()}
			p.run(ctx)
		} else {
			r.skip(AreaRegistry, "it is a directory, which can do all that is needed", nameReach)
		}
		if err := checkPublished(ctx, r, o); err != nil {
			return nil, err
		}
	}
	return r, ctx.Err()
}

// suffix of the tags of one run: nobody else has it.
func suffix() string {
	b := make([]byte, 5)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
