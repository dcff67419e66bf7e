package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tufoci/tufoci/ociremote"
	"github.com/tufoci/tufoci/trust"
)

// maxSignatures is how many signatures of an image are looked at by default: more
// than people make, few enough that whoever pads an image costs little.
const maxSignatures = 50

// HomeConnect is how long a home has to be connected to before copies next to images
// are looked at: the ociremote.Options.Connect of the clients of trusts with a
// fallback.
const HomeConnect = 3 * time.Second

// Trust is a named pin with its client. The client should warn nobody by itself:
// what there is to say about the view that was used is in Verdict.Status.
type Trust struct {
	trust.Entry
	Client *trust.Client
}

// Options of [New]. Trusts and Open are needed.
type Options struct {
	// Trusts to choose from, by their scopes.
	Trusts []Trust
	// Open opens the place where an image is.
	Open func(ctx context.Context, image ociremote.ImageReference) (ociremote.Repository, error)
	// Require is added to what each trust requires.
	Require []string
	// Offline reads trusts from their state, and from what lies next to an image in
	// its layout or archive, unless a trust's Fallback forbids that. Images then have
	// to be in layouts or archives; others are ErrOffline.
	Offline bool
	// Online asks the network (CRL and OCSP, by HTTP) about certificates that no
	// CRL of the trust covers. What TUF delivers counts all the same. Nil: no
	// network.
	Online *http.Client
	// MaxSignatures is how many signatures of an image are looked at; 0 is 50.
	MaxSignatures int
	// Wait is how long an image that nothing vouches for yet is tried again:
	// replication may bring it before its trust.
	Wait time.Duration
	// Now is the clock by which the age of CRLs is judged; nil: time.Now. Trusts
	// have clocks of their own. Notation itself, which judges certificates, their
	// signatures' expiry and timestamps, reads the clock of the machine.
	Now func() time.Time
}

// Verifier verifies images. Each of its trusts is refreshed once, when it is first
// needed, however many images there are. It is safe for concurrent use.
type Verifier struct {
	opts      Options
	entries   []trust.Entry
	followers map[string]*follower // by name of the trust
}

// New checks the options.
func New(o Options) (*Verifier, error) {
	if o.Open == nil {
		return nil, errors.New("options of verify: Open is missing")
	}
	if o.MaxSignatures < 0 || o.Wait < 0 {
		return nil, errors.New("options of verify: MaxSignatures and Wait cannot be negative")
	}
	if o.MaxSignatures == 0 {
		o.MaxSignatures = maxSignatures
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &Verifier{opts: o, followers: map[string]*follower{}}
	for _, t := range o.Trusts {
		if err := v.add(t); err != nil {
			return nil, fmt.Errorf("trust %q: %w", t.Name, err)
		}
	}
	return v, checkRequire(o.Require)
}

func (v *Verifier) add(t Trust) error {
	if _, ok := v.followers[t.Name]; ok {
		return errors.New("is there twice")
	}
	if t.Client == nil {
		return errors.New("has no client")
	}
	if t.MinLevel != "" && !slices.Contains([]string{levelStrict, levelPermissive, levelAudit}, t.MinLevel) {
		return fmt.Errorf("invalid level %q", t.MinLevel)
	}
	v.followers[t.Name] = newFollower(t, v.opts)
	v.entries = append(v.entries, t.Entry)
	return checkRequire(t.Require)
}

func checkRequire(require []string) error {
	for _, r := range require {
		if r != trust.RequireMapping && r != trust.RequireSignature {
			return fmt.Errorf("cannot require %q of an image", r)
		}
	}
	return nil
}

// requires reports whether a trust, or the options, require something.
func (v *Verifier) requires(e trust.Entry, what string) bool {
	return slices.Contains(e.Required(), what) || slices.Contains(v.opts.Require, what)
}

// Image verifies one image. Of a layout or archive, as says which image it is
// (HOST/REPOSITORY with tag or digest); nil for one in a registry. The result has
// an Err unless the image may run.
//
// A trust is read at home. Only if that cannot be reached (trust.IsUnreachable), or
// there is none, is it read next to the image: beside it, then attached to it. See
// docs/operations.md.
//
// Requests are made at the same time where one does not need the other: for a
// digest, or a tag whose signed digest is in the state, the bundle, the image's
// manifest and its referrers; then the signature's manifest; then its envelope.
func (v *Verifier) Image(ctx context.Context, image ociremote.ImageReference, as *ociremote.ImageReference) *Result {
	r := &Result{Image: image, As: image}
	if as != nil {
		r.As = *as
	}
	inRegistry := image.Kind == ociremote.KindRegistry
	switch {
	case inRegistry == (as != nil), as != nil && (as.Kind != ociremote.KindRegistry || as.Tag == "" && as.Digest == ""):
		r.Err = fmt.Errorf("%s: %w", image, ErrNoName)
	case inRegistry && v.opts.Offline:
		r.Err = fmt.Errorf("%s: %w", image, ErrOffline)
	default:
		v.persist(ctx, r)
	}
	return r
}
