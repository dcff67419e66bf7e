package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tufoci/tufoci/internal/stranger"
)

// Why an image was refused, for errors.Is. The comment names the exit code of the
// command line. Errors of the trust (expired, rolled back, no scope, …) are those
// of package trust.
var (
	// ErrNotVouched: nothing vouches for the image (10). ErrUnmapped: no signed
	// entry names its tag or digest. ErrNoSignature: it has no signature.
	// ErrLevel: the policy's level is skip, or weaker than the trust asks for.
	// All three are ErrNotVouched.
	ErrNotVouched  = errors.New("nothing vouches for the image")
	ErrUnmapped    = errors.New("no signed entry")
	ErrNoSignature = errors.New("no signature")
	ErrLevel       = errors.New("policy level is too weak")
	// ErrImageNotFound: the registry has no such image (11).
	ErrImageNotFound = errors.New("no such image")
	// ErrDiffers: what the registry serves differs from what is signed (12).
	ErrDiffers = errors.New("image differs from what is signed")
	// ErrEnvelope: the envelope of a signature was tampered with, or signs
	// something else (12).
	ErrEnvelope = errors.New("signature envelope is not good")
	// ErrUntrusted: the signature's chain, identity, dates or timestamp are not
	// trusted (13).
	ErrUntrusted = errors.New("signature is not trusted")
	// ErrNoStatement: the policy has no statement for the repository (13).
	ErrNoStatement = errors.New("no policy statement for the image")
	// ErrNoPolicy: the trust has no policy document, and a signature is required
	// (33).
	ErrNoPolicy = errors.New("no trust policy")
	// ErrUnverifiedTrust: the client of a trust allows expired metadata or moves the
	// clock, so that nothing of it vouches for an image (1).
	ErrUnverifiedTrust = errors.New("the trust was not verified as of now")
	// ErrRevoked: the image, an index or manifest that belongs to it, or a
	// certificate of its signature is revoked (24).
	ErrRevoked = errors.New("revoked")
	// ErrMaterial: certificates, CRLs or policy that break their rules (25).
	ErrMaterial = errors.New("malformed trust material")
	// ErrPolicyScope: a policy statement has a scope outside those of the trust
	// (33).
	ErrPolicyScope = errors.New("policy statement outside the scopes of the trust")
	// ErrNoCopy: the trust can only be read next to the image, and is not there (11;
	// 50 if that is for a home that could not be reached). See [NoCopyError].
	ErrNoCopy = errors.New("no copy of the trust was found next to the image")
	// ErrOffline: an image in a registry, and no network is to be used (2).
	ErrOffline = errors.New("an image in a registry cannot be read offline")
	// ErrNoName: an image in a layout or archive, and nothing says which one it is;
	// or the opposite (2).
	ErrNoName = errors.New("which image it is has to be said of layouts and archives, and of nothing else")
)

// NoCopyError says that neither home nor what lies next to the image has the trust. It
// is ErrNoCopy, and what Home or else Foreign is.
type NoCopyError struct {
	// Home is why that has no answer: it cannot be reached or, without the network,
	// nothing is stored. Nil: there is no home.
	Home error
	// Foreign is why a copy that was found is none of this trust; nil if none was.
	Foreign error
}

// Error states the facts in one line.
func (e *NoCopyError) Error() string {
	text := ErrNoCopy.Error()
	if e.Home != nil {
		text = e.Home.Error() + "; " + text
	}
	if e.Foreign != nil {
		text += ": " + e.Foreign.Error()
	}
	return text
}

// Is makes the error ErrNoCopy.
func (e *NoCopyError) Is(target error) bool { return target == ErrNoCopy }

// Unwrap returns what decides.
func (e *NoCopyError) Unwrap() error {
	if e.Home != nil {
		return e.Home
	}
	return e.Foreign
}

// Refusal is the evidence of a refused image. It is, in the sense of errors.Is,
// its Kind. Fields that do not apply are zero.
type Refusal struct {
	Kind  error
	Image string // as it was asked for
	Trust string
	Name  string // target name, certificate or manifest in question
	// Signed and Served are what differs: digests, lengths or media types.
	Signed, Served string
	Role           string
	RoleVersion    int64
	// Reason and Time of a revocation.
	Reason string
	Time   string
	Detail string
	Err    error // cause, may be nil
}

// maxDetail is how much of a name or type of strangers an error tells, in bytes.
const maxDetail = 512

// Error states the facts in one line. What strangers have named is cut and escaped.
func (e *Refusal) Error() string {
	told := func(s string) string { return stranger.Escape(stranger.Cut(s, maxDetail)) }
	var b strings.Builder
	b.WriteString(e.Kind.Error())
	if e.Name != "" {
		b.WriteString(": " + told(e.Name))
	}
	if e.Role != "" {
		fmt.Fprintf(&b, " in %s v%d", told(e.Role), e.RoleVersion)
	}
	if e.Signed != "" || e.Served != "" {
		fmt.Fprintf(&b, ": signed %s, served %s", told(e.Signed), told(e.Served))
	}
	if e.Time != "" {
		b.WriteString(" at " + told(e.Time))
	}
	for _, part := range []string{e.Reason, e.Detail} {
		if part != "" {
			b.WriteString(": " + stranger.Escape(part))
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Is makes the error its Kind.
func (e *Refusal) Is(target error) bool {
	if target == ErrNotVouched && (e.Kind == ErrUnmapped || e.Kind == ErrNoSignature || e.Kind == ErrLevel) {
		return true
	}
	return target == e.Kind
}

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Err }
