package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tufoci/tufoci/internal/period"
	"github.com/tufoci/tufoci/material"
	"github.com/tufoci/tufoci/trust"
	"github.com/tufoci/tufoci/verify"
)

// What can end of a copy.
const (
	EndRole        = "role"        // a file of metadata expires
	EndCRL         = "crl"         // a CRL is past its next update
	EndSignature   = "signature"   // a signature has an expiry of its own
	EndCertificate = "certificate" // of a signature that no timestamp outlives
)

// endKinds in the order in which they are told.
var endKinds = []string{EndRole, EndCRL, EndSignature, EndCertificate}

// schemeSigningAuthority of the Notary Project signature specification: whoever
// verifies judges its certificates at the time of signing, so that they do not end.
const schemeSigningAuthority = "notary.x509.signingAuthority"

// End says how long one thing lasts on which a copy rests.
type End struct {
	Kind string `json:"kind"`
	// Name is the role, the CRL, the digest of the signature, or the subject of the
	// certificate. Image is that of a signature or certificate, "" otherwise.
	Name  string `json:"name"`
	Image string `json:"image"`
	// Expires is what it says itself. Until is later for timestamp and snapshot of a
	// trust with a max-stale; nothing else is accepted past its end.
	Expires time.Time `json:"expires"`
	Until   time.Time `json:"until"`
}

// Validity is how long a copy stays valid where nothing newer arrives. The end of a
// CRL does not keep a client from taking it while the timestamp is accepted (see
// package verify); it is here because it then rests on old news.
type Validity struct {
	// Ends are sorted, the first to end first.
	Ends     []End
	MaxStale time.Duration
}

// Until is when the first of all ends.
func (v *Validity) Until() time.Time {
	if len(v.Ends) == 0 {
		return time.Time{}
	}
	return v.Ends[0].Until
}

// Require is a [ShortLivedError] if anything ends before a time.
func (v *Validity) Require(until time.Time) error {
	n := slices.IndexFunc(v.Ends, func(e End) bool { return !e.Until.Before(until) })
	if n < 0 {
		n = len(v.Ends)
	}
	if n == 0 {
		return nil
	}
	return &ShortLivedError{Want: until, Last: v.Until(), Ends: slices.Clone(v.Ends[:n]), MaxStale: v.MaxStale}
}

func (v *Validity) add(ends ...End) {
	for _, e := range ends {
		e.Expires, e.Until = e.Expires.UTC().Truncate(time.Second), e.Until.UTC().Truncate(time.Second)
		v.Ends = append(v.Ends, e)
	}
	slices.SortFunc(v.Ends, func(a, b End) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(slices.Index(endKinds, a.Kind), slices.Index(endKinds, b.Kind)),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Image, b.Image))
	})
	v.Ends = slices.Compact(v.Ends)
}

// addMetadata adds what ends of a view: every role that a copy of it holds, and the
// CRLs among its files.
func (v *Validity) addMetadata(ctx context.Context, view *trust.View) error {
	roles, err := view.Roles(ctx)
	if err != nil {
		return err
	}
	for _, r := range roles {
		if r.Err != nil {
			return fmt.Errorf("role %q: %w", r.Name, r.Err)
		}
		e := End{Kind: EndRole, Name: r.Name, Expires: r.Expires, Until: r.Expires}
		if r.Name == "timestamp" || r.Name == "snapshot" {
			e.Until = r.Expires.Add(v.MaxStale)
		}
		v.add(e)
	}
	set, err := verify.ReadSet(ctx, view)
	if err != nil {
		return err
	}
	v.addCRLs(set)
	return nil
}

func (v *Validity) addCRLs(set *material.Set) {
	for _, c := range set.CRLs {
		v.add(End{Kind: EndCRL, Name: c.Name, Expires: c.List.NextUpdate, Until: c.List.NextUpdate})
	}
}

// addImage adds what ends of the signature by which an image was accepted.
func (v *Validity) addImage(image string, r *verify.Result) {
	for _, verdict := range r.Verdicts {
		for _, s := range verdict.Signatures {
			if s.Accepted {
				v.addSignature(image, s)
			}
		}
	}
}

// addSignature adds the expiry of a signature, and the ends of its certificates
// unless a timestamp or a signing authority says when it was made (Notary Project
// trust store and trust policy specification, "Signature Verification details").
func (v *Validity) addSignature(image string, s verify.Signature) {
	if !s.Expiry.IsZero() {
		v.add(End{Kind: EndSignature, Name: s.Digest.String(), Image: image, Expires: s.Expiry, Until: s.Expiry})
	}
	if !s.Timestamp.IsZero() || s.Scheme == schemeSigningAuthority {
		return
	}
	for _, c := range s.Chain {
		v.add(End{Kind: EndCertificate, Name: c.Subject, Image: image, Expires: c.NotAfter, Until: c.NotAfter})
	}
}

// ErrShortLived says that a copy would not stay valid as long as it has to.
var ErrShortLived = errors.New("the copy would not stay valid long enough")

// ShortLivedError lists what ends before a copy may. It is [ErrShortLived].
type ShortLivedError struct {
	// Want is how long the copy has to stay valid, Last how long it would.
	Want, Last time.Time
	// Ends are all that end before Want, the first to end first.
	Ends     []End
	MaxStale time.Duration
}

// Error names the first to end of each kind.
func (e *ShortLivedError) Error() string {
	var parts []string
	for _, kind := range endKinds {
		if i := slices.IndexFunc(e.Ends, func(end End) bool { return end.Kind == kind }); i >= 0 {
			parts = append(parts, e.describe(e.Ends[i]))
		}
	}
	return fmt.Sprintf("refused: %s, before %s", strings.Join(parts, "; "), FormatDate(e.Want))
}

func (e *ShortLivedError) describe(first End) string {
	var names []string
	for _, end := range e.Ends {
		if end.Kind == first.Kind && end.Image == first.Image && end.Until.Equal(first.Until) {
			names = append(names, end.Name)
		}
	}
	return describeEnds(first, names, e.MaxStale)
}

// Is makes the error an ErrShortLived.
func (e *ShortLivedError) Is(target error) bool { return target == ErrShortLived }

// describeEnds says in words when things of one kind end together.
func describeEnds(first End, names []string, maxStale time.Duration) string {
	what, verb := enumerate(names), "expires"
	if len(names) > 1 {
		verb = "expire"
	}
	when := FormatDate(first.Expires)
	switch first.Kind {
	case EndCRL:
		what, verb = "CRL "+what, "has its next update at"
		if len(names) > 1 {
			verb = "have their next updates at"
		}
	case EndSignature:
		what = "the signature of " + first.Image
	case EndCertificate:
		what = fmt.Sprintf("certificate %q of the signature of %s, which has no timestamp,", names[0], first.Image)
		verb = "ends"
	}
	text := fmt.Sprintf("%s %s %s", what, verb, when)
	if !first.Until.Equal(first.Expires) {
		text += fmt.Sprintf(" (%s with max-stale %s)", FormatDate(first.Until), period.Format(maxStale))
	}
	return text
}

// enumerate lists words as in "a, b and c".
func enumerate(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// FormatDate writes a time in UTC, as short as it can be read back: without the time
// of day at midnight.
func FormatDate(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(period.Day)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}
