package trust

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

// The places next to an image where a bundle can lie.
const (
	PlaceBeside   = "beside"   // under a tag in the image's own repository
	PlaceAttached = "attached" // as a referrer of the image
)

// MaxCopy is how much is read of one copy, in bytes: its manifest with what that
// carries, and all other files.
const MaxCopy = 4 << 20

// maxCopyWait is how long the metadata of a copy, and each of its target files, is
// waited for: while it is read, other images of the same trust wait too.
const maxCopyWait = time.Minute

// Copy is a bundle that lies next to an image.
type Copy struct {
	Place string
	// Repository is that of the image, Name the tag or digest of the bundle in it.
	Repository ociremote.Repository
	Name       string
	// Reference is what people call it: "registry.acme.io/shop/api:tuf".
	Reference string
	// Subject is the manifest that the bundle has to be attached to; "" if it may
	// have any or none.
	Subject digest.Digest
}

// where is the place in words.
func (c *Copy) where() string {
	if c.Place == PlaceAttached {
		return "attached to the image"
	}
	return "beside the image"
}

// RefreshFrom is Refresh from a copy next to an image. Whoever can push there
// decides how old it is, so the newest verified state decides: a copy that is
// older, or from before a root that is known, is no rollback, and gives the files
// that it shares with that state. A copy of other roots is ErrWrongRoot, and says
// nothing about the trust.
//
// Nothing of that state that neither the state itself nor the copy has is made up
// for: what is missing is ErrStaleCopy, also later, of a lookup in the view. A copy
// that is newer is stored as Refresh does it, but only whole: one that lacks files,
// and cannot be used, gives nothing but its roots. A manifest that is no bundle, or
// is attached to something else, is ociremote.ErrForeign, no manifest
// fetcher.ErrNoRepository. The copy is read once, up to MaxCopy bytes.
func (c *Client) RefreshFrom(ctx context.Context, from Copy) (*View, error) {
	asRead, err := c.currentStore().load(ctx)
	if err != nil {
		return nil, err
	}
	r := &refresh{c: c, judge: c.judge(), copied: &from}
	r.origin = r.open(asRead)
	// The network is not waited for under the lock: each image has a copy of its own.
	if _, err := r.origin.current(ctx); err != nil {
		return nil, c.ofCopy(err)
	}
	done, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	view, err := r.run(ctx)
	return view, c.ofCopy(err)
}

// ofCopy says of a copy that is too large that no limit of the trust would change that.
func (c *Client) ofCopy(err error) error {
	over, ok := errors.AsType[*fetcher.LimitError](err)
	if !ok || over.Limit != "total" || c.limits.Total <= MaxCopy {
		return err
	}
	fixed := *over
	fixed.Title, fixed.Limit = "one copy next to an image", ""
	return fmt.Errorf("%w: %w", &fixed, err)
}

// copyOrigin opens a copy, and holds it to the pin. It is never Known: what the state
// knows of home says nothing about it.
func (c *Client) copyOrigin(from *Copy, st *state) *origin {
	limits, have := c.limits, c.have(st)
	limits.Total, limits.Operation = min(limits.Total, MaxCopy), min(limits.Operation, c.copyWait)
	o := &origin{
		source:   fetcher.FromRepository(from.Repository, from.Name).Labelled(from.Reference),
		warnings: &warnings{tell: c.opts.Warn},
	}
	o.open = func(ctx context.Context, before *fetcher.View) (*fetcher.View, error) {
		view, err := fetcher.Open(ctx, o.source, fetcher.Options{Limits: limits, Have: have, Warn: o.warnings.add, Before: before})
		if err != nil {
			return nil, err
		}
		return view, from.admit(view.Bundle(), c.pin)
	}
	return o
}

// admit refuses what is no copy of the repository with this pin. Nothing is
// accepted here: what is admitted has yet to verify.
func (c *Copy) admit(b *ociremote.Bundle, pin rootFile) error {
	switch {
	case b.Legacy:
		return fmt.Errorf("%s: %w: it has the layout of docker/attest", c.Reference, ociremote.ErrForeign)
	case c.Subject != "" && (b.Subject == nil || b.Subject.Digest != c.Subject):
		return fmt.Errorf("%s: %w that is attached to %s", c.Reference, ociremote.ErrForeign, c.Subject)
	case !holds(b, pin):
		return &VerificationError{
			Kind: ErrWrongRoot, Role: tuf.ROOT, Version: pin.version, Source: c.Reference,
			Detail: "the copy does not hold the root that is pinned",
		}
	}
	return nil
}

// IsAbsent reports whether RefreshFrom has found no copy of the trust: nothing is
// there, or something else, or a copy of other roots. That is never a reason to accept
// anything.
func IsAbsent(err error) bool {
	if errors.Is(err, fetcher.ErrNoRepository) || errors.Is(err, ociremote.ErrForeign) {
		return true
	}
	// A stored chain of roots that does not start at the pin is the same error, but of
	// no source.
	e, ok := errors.AsType[*VerificationError](err)
	return ok && e.Kind == ErrWrongRoot && e.Source != ""
}

// holds reports whether a bundle has this very root.
func holds(b *ociremote.Bundle, root rootFile) bool {
	file, ok := b.File(metadataDir + rootFileName(root.version))
	return ok && file.Descriptor.Digest.Encoded() == hexSum(root.data)
}

// behind reports whether a copy was refused for nothing but being older than what is
// known: its timestamp is older than the stored one; or it lacks the newest root, and
// what was refused is signed by the keys of the newest root that it has.
func (r *refresh) behind(u *update, failure error) bool {
	if isOlder(failure) {
		return true
	}
	refused, ok := failure.(*VerificationError)
	if !ok || refused.Kind != ErrThreshold {
		return false
	}
	own := r.newestShared(u.roots)
	return own.version < u.roots.last().version && signedBy(own, refused.Role, u.adapter.asked(refused.Role)) == nil
}

// newestShared is the newest root of a chain that the copy has; at least the pin.
func (r *refresh) newestShared(roots chain) rootFile {
	bundle := r.origin.bundle()
	for i := len(roots) - 1; i > 0; i-- {
		if holds(bundle, roots[i]) {
			return roots[i]
		}
	}
	return roots.pin()
}

// signedBy verifies a top-level role by a root.
func signedBy(root rootFile, role string, data []byte) error {
	switch role {
	case tuf.TIMESTAMP:
		return signed[tuf.TimestampType](root, role, data)
	case tuf.SNAPSHOT:
		return signed[tuf.SnapshotType](root, role, data)
	default:
		return signed[tuf.TargetsType](root, tuf.TARGETS, data)
	}
}

func signed[T tuf.Roles](root rootFile, role string, data []byte) error {
	meta, err := parse[T](role, data)
	if err != nil {
		return err
	}
	return verifyBy(root.meta, tuf.ROOT, role, 0, meta)
}

// beforeRoot is the error for a copy from before a root that is known, when nothing
// newer is stored.
func (r *refresh) beforeRoot(roots chain) error {
	return &VerificationError{
		Kind: ErrStaleCopy, Role: tuf.TIMESTAMP, Source: r.copied.Reference,
		Detail: fmt.Sprintf("this copy has root v%d, from before root v%d, which is known; a timestamp under that root is needed",
			r.newestShared(roots).version, roots.last().version),
	}
}

// tellOlder says of a file that an older copy lacks how old that is.
func (r *refresh) tellOlder(ctx context.Context, base *state, failure error) error {
	refused, ok := failure.(*VerificationError)
	if !ok || refused.Kind != ErrStaleCopy {
		return failure
	}
	told := *refused
	seen, err := parse[tuf.TimestampType](tuf.TIMESTAMP, base.timestamp)
	if err == nil {
		told.Want, told.Detail = r.origin.staleness(ctx, told.Role, told.Version, seen.Signed.Version, r.c.limits)
	}
	return &told
}

// marks says on a view that it comes from a copy.
func (r *refresh) marks(v *View, base *state) *View {
	v.kept = keptBundle(base)
	st := &v.status
	st.Source, st.SourceRef = r.copied.Place, r.copied.Reference
	v.warnings.add(fmt.Sprintf("the trust was read %s (%s): whoever can push there chooses how fresh it is, until timestamp v%d expires %s",
		r.copied.where(), r.copied.Reference, st.Timestamp.Version, st.Timestamp.Expires.UTC().Format(time.RFC3339)))
	if r.older {
		v.warnings.add(fmt.Sprintf("%s is older than what was seen, timestamp v%d under root v%d, which decides",
			r.copied.Reference, st.Timestamp.Version, st.Root.Version))
	}
	return v
}

// FirstRoot returns the digest of root version 1, by which copies are named where
// several repositories share a place: that of the pin or, as a hint that nothing
// vouches for, the one in the stored bundle. It is "" if neither says.
func (c *Client) FirstRoot(ctx context.Context) digest.Digest {
	if c.pin.version == 1 {
		return digest.NewDigestFromEncoded(digest.SHA256, c.sum)
	}
	st, err := c.currentStore().load(ctx)
	if err != nil || st.bundle == nil {
		return ""
	}
	bundle, err := ociremote.ParseBundle(st.bundle)
	if err != nil {
		return ""
	}
	file, _ := bundle.File(metadataDir + rootFileName(1))
	return file.Descriptor.Digest
}
