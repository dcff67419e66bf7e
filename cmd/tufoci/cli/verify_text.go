package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tufoci/tufoci/trust"
)

// text is the report of one image for a person. Of several, each has its own
// refusal; that of a single one is the error of the command, which says it.
func (r imageReport) text(w io.Writer, a *app, several bool) {
	for _, v := range r.Verdicts {
		v.text(w, r, a.world.Now())
	}
	switch {
	case r.Outcome == outcomeRefused && !several:
		return
	case r.Outcome == outcomeRefused:
		fmt.Fprintf(w, "✗ %s: %s\n", printable(r.Image), printable(r.Error.What))
		return
	case r.Outcome == outcomeAccepted:
		fmt.Fprintf(w, "  accepted at level %s, which is not verified: the policy of the publisher only logs what fails above it\n", r.Level)
	}
	if r.byTag {
		fmt.Fprintln(w, "  this speaks of the digest below; a later pull by tag is not covered")
	}
	fmt.Fprintln(w, printable(r.Resolved))
}

func (v verdictReport) text(w io.Writer, image imageReport, now time.Time) {
	for _, m := range v.Mappings {
		mark := "✓"
		if m.Digest != image.Digest || m.Length != image.Size || m.MediaType != "" && m.MediaType != image.MediaType {
			mark = "✗"
		}
		fmt.Fprintf(w, "%s %s = %s   %s v%d (%s)\n", mark, printable(m.Name), m.Digest, printable(m.Role), m.RoleVersion, v.basis(now))
		if m.Index != "" {
			fmt.Fprintf(w, "  a platform of the index %s, whose signature is checked\n", m.Index)
		}
	}
	if len(v.Mappings) == 0 && v.Error == nil {
		fmt.Fprintf(w, "- no signed entry, and none is required (%s)\n", v.basis(now))
	}
	for _, s := range v.Signatures {
		if image.Error != nil && strings.Contains(image.Error.What, s.Error) {
			s.Error = "" // it is what the image is refused for, and said there
		}
		s.text(w, now)
	}
	if v.MoreSignatures {
		fmt.Fprintln(w, "  there are more signatures than are looked at")
	}
}

// basis is what the verdict of a trust rests on.
func (v verdictReport) basis(now time.Time) string {
	parts := []string{"trust " + v.Trust, placeWords(v.Source)}
	for _, r := range v.Roles {
		if r.Role == "timestamp" {
			parts = append(parts, fmt.Sprintf("timestamp v%d", r.Version), expiry(r.Expires.Time, now))
		}
	}
	if v.Stale {
		parts = append(parts, "stale")
	}
	return strings.Join(parts, ", ")
}

// placeWords is where a trust was read.
func placeWords(source string) string {
	switch source {
	case trust.PlaceBeside:
		return "beside the image"
	case trust.PlaceAttached:
		return "attached to the image"
	default:
		return source
	}
}

func (s signatureReport) text(w io.Writer, now time.Time) {
	if !s.Accepted {
		fmt.Fprintf(w, "✗ signature %s", s.Digest)
		if len(s.Chain) > 0 {
			fmt.Fprintf(w, "   %s", printable(s.Chain[0].Subject))
		}
		if s.Error != "" {
			fmt.Fprintf(w, ": %s", printable(strings.Replace(s.Error, s.Digest+": ", "", 1)))
		}
		fmt.Fprintln(w)
		return
	}
	fmt.Fprintf(w, "✓ notation signature   %s\n", printable(s.words(now)))
	for _, c := range s.Checks {
		if c.Error != "" {
			fmt.Fprintf(w, "  %s is not good and only logged: %s\n", c.Type, printable(c.Error))
		}
	}
}

// words is one line on a good signature: who, by which store, how revocation
// was checked, when.
func (s signatureReport) words(now time.Time) string {
	var parts []string
	if len(s.Chain) > 0 {
		parts = append(parts, s.Chain[0].Subject)
	}
	for _, c := range s.Chain {
		if c.Store != "" {
			parts = append(parts, "chain -> "+c.Store+" (from TUF)")
			break
		}
	}
	for _, c := range s.Chain {
		if c.CRL != nil {
			parts = append(parts, c.CRL.words())
			break
		}
	}
	parts = append(parts, revocationWords(s.Chain))
	if !s.Timestamp.IsZero() {
		parts = append(parts, "timestamped "+s.Timestamp.UTC().Format(time.RFC3339))
	}
	if !s.Expiry.IsZero() {
		parts = append(parts, "signature "+expiry(s.Expiry.Time, now))
	}
	return strings.Join(parts, "   ")
}

func (c crlReport) words() string {
	state := "fresh"
	if c.Stale {
		state = "stale"
	}
	return fmt.Sprintf("CRL %s %s (%s)", c.Name, state, c.NextUpdate.UTC().Format(time.DateOnly))
}

// revocationWords sums up a chain: the least certain word counts.
func revocationWords(chain []certificateReport) string {
	has := func(word string) bool {
		return slices.ContainsFunc(chain, func(c certificateReport) bool { return c.Revocation == word })
	}
	switch {
	case has("unknown"):
		return "revocation unknown"
	case has("ok"):
		return "not revoked"
	default:
		return "not in any revocation list"
	}
}
